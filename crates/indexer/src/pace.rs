//! Stepping aside: the indexer works only while the broker does not need the machine.
//!
//! While the write-ahead log is *pressed*, work stands still, but for a small slice now and then: under pressure that never
//! ends the index still gets on. When the pressure has gone, work resumes at a tenth of its speed and doubles that while nothing
//! happens. The threads have the lowest priority, and while they wait for a processor all the same ([`Contention`]) they work less
//! and less, down to a twentieth of the time, or to a third of it when there is little to do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eddy_wal::Pressure;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::contention::Contention;
use crate::split::Pacing;

/// Under pressure, one slice of work in this time.
const FLOOR_INTERVAL: Duration = Duration::from_millis(500);

/// How often the pressure is looked at while work stands still.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Share of the time that work may take after pressure, and how long it takes to double.
const SHARE_MIN: f64 = 0.1;
const SHARE_DOUBLES_IN: Duration = Duration::from_millis(250);

/// Share of the time that work takes at least while others need the processors.
const SHARE_CONTENDED_MIN: f64 = 0.05;

/// The same while there is little work ([`Pace::set_little`]): what does not last long may go on.
const SHARE_LITTLE_MIN: f64 = 0.3;

/// Work goes on for so long before a pause, if there is no pressure: a thread that wakes often waits often, for no one's sake.
const BURST: Duration = Duration::from_millis(10);

/// Longest pause between two slices while there is no pressure.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Bytes that a merge writes as one slice.
const SLICE_BYTES: u64 = 256 << 10;

/// The work is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop;

/// What work steps aside for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The write-ahead log is pressed, or was a moment ago.
    Wal,
    /// Others need the processors.
    Processors,
}

/// Microseconds spent stepping aside, of all threads.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    wal: AtomicU64,
    processors: AtomicU64,
}

impl Backoff {
    fn of(&self, reason: Reason) -> &AtomicU64 {
        match reason {
            Reason::Wal => &self.wal,
            Reason::Processors => &self.processors,
        }
    }

    fn add(&self, reason: Reason, time: Duration) {
        self.of(reason).fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was spent by now.
    pub(crate) fn spent(&self) -> Vec<(&'static str, Duration)> {
        [("wal", Reason::Wal), ("processors", Reason::Processors)]
            .map(|(name, reason)| (name, Duration::from_micros(self.of(reason).load(Ordering::Relaxed))))
            .to_vec()
    }
}

/// The pace of one thread.
pub(crate) struct Pace {
    stopping: Arc<AtomicBool>,
    backoff: Arc<Backoff>,
    state: Mutex<State>,
}

struct State {
    pressure: watch::Receiver<Pressure>,
    contention: Contention,
    share: f64,
    /// Share that work takes at least while others need the processors.
    contended_min: f64,
    /// What the share was set for last.
    reason: Reason,
    /// When the share was changed last.
    changed: Instant,
    /// When the last slice under pressure began.
    floor: Option<Instant>,
    /// When the slice at hand began.
    began: Instant,
    /// Time that slices have taken since the last pause.
    worked: Duration,
    /// Time spent stepping aside, ever.
    waited: Duration,
    written: u64,
}

impl Pace {
    pub(crate) fn new(
        pressure: watch::Receiver<Pressure>,
        stopping: Arc<AtomicBool>,
        backoff: Arc<Backoff>,
        contention: Contention,
    ) -> Pace {
        let now = Instant::now();
        let state = State {
            pressure,
            contention,
            share: 1.0,
            contended_min: SHARE_CONTENDED_MIN,
            reason: Reason::Wal,
            changed: now,
            floor: None,
            began: now,
            worked: Duration::ZERO,
            waited: Duration::ZERO,
            written: 0,
        };
        Pace { stopping, backoff, state: Mutex::new(state) }
    }

    /// A slice of work is done: waits until the next one may begin.
    pub(crate) fn step(&self) -> Result<(), Stop> {
        let mut state = self.state.lock();
        let begin = Instant::now();
        let began = state.began;
        state.worked += begin.saturating_duration_since(began);
        if state.contention.look() {
            state.heed_contention(begin);
        }
        while let Some(pause) = state.pause(begin) {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Stop);
            }
            std::thread::sleep(pause.min(LOOK_INTERVAL));
        }
        let waited = begin.elapsed();
        state.waited += waited;
        self.backoff.add(state.reason, waited);
        if state.worked >= BURST {
            state.worked = Duration::ZERO;
        }
        state.began = Instant::now();
        if self.stopping.load(Ordering::Relaxed) { Err(Stop) } else { Ok(()) }
    }

    /// Tells whether what there is to do takes little of the machine, however long it goes on.
    pub(crate) fn set_little(&self, is_little: bool) {
        self.state.lock().contended_min = if is_little { SHARE_LITTLE_MIN } else { SHARE_CONTENDED_MIN };
    }

    /// Time that this thread spent stepping aside, ever.
    pub(crate) fn waited(&self) -> Duration {
        self.state.lock().waited
    }

    /// Work begins after a time without any.
    pub(crate) fn begin(&self) -> Result<(), Stop> {
        self.state.lock().began = Instant::now();
        self.step()
    }
}

impl State {
    /// There is a new judgement.
    fn heed_contention(&mut self, now: Instant) {
        if self.contention.is_high() {
            self.set_share((self.share / 2.0).max(self.contended_min), Reason::Processors, now);
        }
    }

    fn set_share(&mut self, share: f64, reason: Reason, now: Instant) {
        self.share = share;
        self.reason = reason;
        self.changed = now;
    }

    /// How much longer to wait after a slice that ended at `begin`; `None` when the next one may begin.
    fn pause(&mut self, begin: Instant) -> Option<Duration> {
        let now = Instant::now();
        // A short pressure between two looks counts.
        let has_changed = self.pressure.has_changed().unwrap_or(false);
        let pressed = *self.pressure.borrow_and_update() != Pressure::Normal;
        if pressed {
            self.set_share(SHARE_MIN, Reason::Wal, now);
            let floor = *self.floor.get_or_insert(now);
            let left = FLOOR_INTERVAL.saturating_sub(now - floor);
            if left.is_zero() {
                self.floor = Some(now);
                return None;
            }
            return Some(left);
        }
        self.floor = None;
        if has_changed {
            self.set_share(SHARE_MIN, Reason::Wal, now);
        }
        if self.contention.is_high() {
            self.changed = now;
        }
        while self.share < 1.0 && now - self.changed >= SHARE_DOUBLES_IN {
            self.share = (self.share * 2.0).min(1.0);
            self.changed += SHARE_DOUBLES_IN;
        }
        if self.worked < BURST {
            return None;
        }
        let pause = self.worked.mul_f64(1.0 / self.share - 1.0).min(PAUSE_MAX);
        let left = pause.saturating_sub(now - begin);
        (!left.is_zero()).then_some(left)
    }
}

impl Pacing for Pace {
    fn moved(&self, bytes: u64) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            state.written += bytes;
            if state.written < SLICE_BYTES && bytes > 0 {
                return Ok(());
            }
            state.written = 0;
        }
        self.step().map_err(|Stop| io::Error::new(io::ErrorKind::Interrupted, "stopping"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(pressure: &watch::Sender<Pressure>) -> (Pace, Arc<AtomicBool>, Arc<Backoff>) {
        let (stopping, backoff) = (Arc::new(AtomicBool::new(false)), Arc::<Backoff>::default());
        let pace = Pace::new(
            pressure.subscribe(),
            Arc::clone(&stopping),
            Arc::clone(&backoff),
            Contention::default(),
        );
        (pace, stopping, backoff)
    }

    /// Slices of a millisecond that are worked in a time.
    fn slices(pace: &Pace, during: Duration) -> usize {
        pace.begin().unwrap();
        let begin = Instant::now();
        let mut count = 0;
        while begin.elapsed() < during {
            std::thread::sleep(Duration::from_millis(1));
            pace.step().unwrap();
            count += 1;
        }
        count
    }

    #[test]
    fn without_pressure_nothing_waits() {
        let pressure = watch::Sender::new(Pressure::Normal);
        let (pace, _, backoff) = pace(&pressure);
        pace.begin().unwrap();
        for _ in 0..1000 {
            pace.step().unwrap();
        }
        assert!(backoff.of(Reason::Wal).load(Ordering::Relaxed) < 200_000);
    }

    #[test]
    fn under_pressure_work_stands_still_but_for_the_floor() {
        let pressure = watch::Sender::new(Pressure::Pressed);
        let (pace, _, backoff) = pace(&pressure);
        let count = slices(&pace, FLOOR_INTERVAL * 3);
        assert!((1..=4).contains(&count), "{count}");
        assert!(backoff.of(Reason::Wal).load(Ordering::Relaxed) > 1_000_000);
    }

    #[test]
    fn after_pressure_work_resumes_slowly_even_if_nobody_looked_meanwhile() {
        let pressure = watch::Sender::new(Pressure::Normal);
        let (pace, _, _) = pace(&pressure);
        pace.begin().unwrap();
        pressure.send_replace(Pressure::Full);
        pressure.send_replace(Pressure::Normal);
        let soon = slices(&pace, SHARE_DOUBLES_IN);
        std::thread::sleep(SHARE_DOUBLES_IN * 4);
        let later = slices(&pace, SHARE_DOUBLES_IN);
        assert!(soon * 2 < later, "{soon} and {later}");
    }

    #[test]
    fn while_others_need_the_processors_work_shrinks_to_a_small_share_and_stays_there() {
        let pressure = watch::Sender::new(Pressure::Normal);
        let (pace, _, _) = pace(&pressure);
        let freely = slices(&pace, SHARE_DOUBLES_IN * 4);
        let contended = |is_little| {
            pace.set_little(is_little);
            pace.state.lock().contention = Contention::high();
            for _ in 0..10 {
                pace.state.lock().heed_contention(Instant::now());
            }
            slices(&pace, SHARE_DOUBLES_IN * 4)
        };
        let (much, little) = (contended(false), contended(true));
        assert!(much > 0 && much * 3 < freely, "{much} and {freely}");
        assert!(little * 2 > much * 3, "{little} and {much}");
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let pressure = watch::Sender::new(Pressure::Pressed);
        let (pace, stopping, _) = pace(&pressure);
        stopping.store(true, Ordering::Relaxed);
        assert_eq!(pace.begin(), Err(Stop));
        assert!(pace.moved(SLICE_BYTES).is_err());
    }
}
