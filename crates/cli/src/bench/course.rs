//! The course of a run: warm-up, measuring, the end, and who brings it about.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use super::cpu::{Cores, Meter};
use super::options::Times;
use super::progress::Progress;
use super::{STOP_PATIENCE, failed};
use crate::Context;
use crate::error::CliError;

const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Not yet.
const NEVER: u64 = u64::MAX;

/// What clients know of the course they are on.
#[derive(Debug)]
pub(super) struct Course {
    /// Stamps and the two times below count from here.
    pub(super) epoch: Instant,
    begins_ns: AtomicU64,
    ends_ns: AtomicU64,
    ended: Notify,
    is_failed: AtomicBool,
    warms_up: bool,
}

impl Course {
    pub(super) fn new(times: &Times) -> Course {
        Course {
            epoch: Instant::now(),
            begins_ns: AtomicU64::new(NEVER),
            ends_ns: AtomicU64::new(NEVER),
            ended: Notify::new(),
            is_failed: AtomicBool::new(false),
            warms_up: !times.warm_up().is_zero(),
        }
    }

    pub(super) fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// Before the first client does anything: without a warm-up all of it counts.
    pub(super) fn start(&self) {
        if !self.warms_up {
            self.begin();
        }
    }

    fn begin(&self) {
        self.begins_ns.store(self.nanos(Instant::now()), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.ends_ns.store(self.nanos(Instant::now()), Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends_ns.load(Ordering::Relaxed) != NEVER
    }

    /// Whether a client met trouble: nothing is worth waiting for.
    pub(super) fn is_failed(&self) -> bool {
        self.is_failed.load(Ordering::Relaxed)
    }

    pub(super) fn is_measuring(&self) -> bool {
        self.begins_ns.load(Ordering::Relaxed) != NEVER && !self.is_over()
    }

    /// Whether what was due then is measured, however late its answer.
    pub(super) fn counts(&self, due_ns: u64) -> bool {
        (self.begins_ns.load(Ordering::Relaxed)..self.ends_ns.load(Ordering::Relaxed)).contains(&due_ns)
    }

    pub(super) async fn over(&self) {
        loop {
            let ended = self.ended.notified();
            if self.is_over() {
                return;
            }
            ended.await;
        }
    }

    /// When it ended; now, when it did not.
    pub(super) fn end_time(&self) -> Instant {
        match self.ends_ns.load(Ordering::Relaxed) {
            NEVER => Instant::now(),
            ns => self.epoch + Duration::from_nanos(ns),
        }
    }

    fn seconds(&self) -> f64 {
        let (begins, ends) = (self.begins_ns.load(Ordering::Relaxed), self.ends_ns.load(Ordering::Relaxed));
        if begins == NEVER { 0.0 } else { Duration::from_nanos(ends.saturating_sub(begins)).as_secs_f64() }
    }
}

/// How a course ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub seconds: f64,
    pub cores: Option<Cores>,
    pub is_interrupted: bool,
    pub error: Option<CliError>,
}

/// The clients of a course. They stop when it is over, and end with an error when they meet trouble.
pub(super) type Clients = JoinSet<Result<(), CliError>>;

/// Runs clients to the end of the course, and waits for what they have under way.
pub(super) async fn run(
    context: &Context,
    times: &Times,
    course: &Course,
    clients: &mut Clients,
    so_far: impl Fn() -> (u64, u64),
) -> Result<Outcome, CliError> {
    let mut progress = Progress::new(context, times);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // A process that is not there is said before the time is spent.
    Meter::start(&context.host, &times.pid)?;
    let mut outcome = Outcome { seconds: 0.0, cores: None, is_interrupted: false, error: None };
    let mut meter: Option<Meter> = None;
    let timer = tokio::time::sleep(times.warm_up());
    tokio::pin!(timer);
    let mut is_timed = true;
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            () = &mut timer, if is_timed => {
                if meter.is_some() {
                    break;
                }
                meter = Some(Meter::start(&context.host, &times.pid)?);
                if course.warms_up {
                    course.begin();
                }
                match times.duration() {
                    Some(duration) => timer.as_mut().reset(tokio::time::Instant::now() + duration),
                    None => is_timed = false,
                }
            }
            ended = clients.join_next() => match ended {
                Some(ended) => {
                    outcome.error = trouble(ended);
                    if outcome.error.is_some() {
                        break;
                    }
                }
                None => break,
            },
            _ = &mut interrupt => {
                outcome.is_interrupted = true;
                break;
            }
            _ = ticks.tick() => progress.show(meter.is_some(), so_far()),
        }
    }
    course.is_failed.store(outcome.error.is_some(), Ordering::Relaxed);
    course.end();
    outcome.seconds = course.seconds();
    // A broker that died has no CPU time any more; it is no news then.
    outcome.cores = meter.and_then(|meter| meter.stop(&context.host).ok());
    progress.end();
    tokio::select! {
        error = stop(clients) => outcome.error = outcome.error.or(error),
        () = tokio::time::sleep(STOP_PATIENCE) => clients.abort_all(),
        _ = tokio::signal::ctrl_c() => clients.abort_all(),
    }
    Ok(outcome)
}

/// Waits for all clients; gives the first trouble.
async fn stop(clients: &mut Clients) -> Option<CliError> {
    let mut first = None;
    while let Some(ended) = clients.join_next().await {
        first = first.or(trouble(ended));
    }
    first
}

fn trouble(ended: Result<Result<(), CliError>, JoinError>) -> Option<CliError> {
    match ended {
        Ok(outcome) => outcome.err(),
        Err(error) if error.is_cancelled() => None,
        Err(error) => Some(failed(error.to_string())),
    }
}
