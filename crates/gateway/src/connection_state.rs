//! What others may know of a connection, and how they end it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// What a client sends of a frame in a second, at least.
const BODY_BYTES_PER_SECOND: u64 = 1 << 20;

/// User of a connection without authentication.
const ANONYMOUS: &str = "ANONYMOUS";

/// Whose turn it is on the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Between two frames: the client may be silent for long.
    Idle = 0,
    /// Within a frame: the client owes the rest of it.
    Client = 1,
    /// The broker has a whole frame, or makes room for one: silence is not the client's fault.
    Broker = 2,
}

/// Why a connection is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing was asked, or nothing of the answers was read, for too long.
    Idle,
    /// A frame was begun and not finished.
    Stalled,
}

/// The library that a client uses; empty when it does not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Software {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
}

/// State of a connection that the sweep over all connections looks at.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// Address of the client.
    pub(crate) peer: SocketAddr,
    /// The address it reached us on.
    pub(crate) local: SocketAddr,
    /// By [`coarse_clock`], as everything here.
    opened: Duration,
    /// Milliseconds from `opened` to the last byte in either direction.
    last_active: AtomicU64,
    turn: AtomicU8,
    /// Milliseconds from `opened` to when the body of the frame that is being read should be here.
    body_due: AtomicU64,
    /// Requests started whose answer is not sent.
    unanswered: AtomicUsize,
    /// Whether the client is to read what we send.
    sending: AtomicBool,
    /// Milliseconds from `opened` to when requests are read again.
    muted_until: AtomicU64,
    /// Client id of the last request: clients do not change theirs, so it is copied once.
    client_id: Mutex<Arc<str>>,
    software: Mutex<Software>,
    end: Notify,
    stalled: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr) -> ConnectionState {
        ConnectionState {
            peer,
            local,
            opened: coarse_clock(),
            last_active: AtomicU64::new(0),
            turn: AtomicU8::new(Turn::Idle as u8),
            body_due: AtomicU64::new(u64::MAX),
            unanswered: AtomicUsize::new(0),
            sending: AtomicBool::new(false),
            muted_until: AtomicU64::new(0),
            client_id: Mutex::default(),
            software: Mutex::default(),
            end: Notify::new(),
            stalled: AtomicBool::new(false),
        }
    }

    /// Name of the authenticated user; without authentication everybody is nobody in particular.
    pub(crate) fn user(&self) -> &'static str {
        ANONYMOUS
    }

    /// What the client says that it is (KIP-511).
    pub(crate) fn software(&self) -> Software {
        self.software.lock().clone()
    }

    pub(crate) fn set_software(&self, name: &str, version: &str) {
        *self.software.lock() = Software { name: Arc::from(name), version: Arc::from(version) };
    }

    /// A client id of a request, as a copy that keeps no frame.
    pub(crate) fn client_id(&self, id: &str) -> Arc<str> {
        let mut known = self.client_id.lock();
        if &**known != id {
            *known = Arc::from(id);
        }
        Arc::clone(&known)
    }

    /// Leaves the client's requests unread for a time (KIP-219).
    pub(crate) fn mute(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.muted_until.fetch_max(self.millis().saturating_add(pause), Ordering::Relaxed);
    }

    /// Waits until requests may be read again.
    pub(crate) async fn unmuted(&self) {
        loop {
            let until = self.muted_until.load(Ordering::Relaxed);
            if until == 0 {
                // Never muted: every request comes by here, and need not ask for the time.
                return;
            }
            let Some(left) = until.checked_sub(self.millis()).filter(|&left| left > 0) else { return };
            // The silence is ours.
            self.set_turn(Turn::Broker);
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }

    fn age(&self) -> Duration {
        coarse_clock().saturating_sub(self.opened)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes came or went.
    pub(crate) fn touch(&self) {
        self.last_active.store(self.millis(), Ordering::Relaxed);
    }

    pub(crate) fn set_turn(&self, turn: Turn) {
        self.touch();
        self.body_due.store(u64::MAX, Ordering::Relaxed);
        self.turn.store(turn as u8, Ordering::Relaxed);
    }

    /// The client owes `length` bytes, for which memory is held: one that sends them drop by drop may not hold it for ever.
    pub(crate) fn begin_body(&self, length: usize) {
        self.set_turn(Turn::Client);
        let allowed = (length as u64 / BODY_BYTES_PER_SECOND + 1) * 1000;
        self.body_due.store(self.millis().saturating_add(allowed), Ordering::Relaxed);
    }

    /// A request was started.
    pub(crate) fn started(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// `count` requests have their answers.
    pub(crate) fn answered(&self, count: usize) {
        self.unanswered.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn set_sending(&self, sending: bool) {
        self.touch();
        self.sending.store(sending, Ordering::Relaxed);
    }

    /// Ends the connection when it has been silent too long: `stall` within a frame or after it was due, `idle` between frames, and `idle` too
    /// when the client does not read its answers. A request under way, a parked fetch for example, is activity.
    pub(crate) fn end_if_silent(&self, idle: Duration, stall: Duration) {
        let active = Duration::from_millis(self.last_active.load(Ordering::Relaxed));
        let silent = self.age().saturating_sub(active);
        if self.sending.load(Ordering::Relaxed) {
            if silent > idle {
                self.end.notify_one();
            }
            return;
        }
        let turn = self.turn.load(Ordering::Relaxed);
        let overdue =
            self.millis().checked_sub(self.body_due.load(Ordering::Relaxed)).map(Duration::from_millis);
        if turn == Turn::Client as u8 && (silent > stall || overdue.is_some_and(|overdue| overdue > stall)) {
            self.stalled.store(true, Ordering::Relaxed);
            self.end.notify_one();
        }
        let waits_for_us = self.unanswered.load(Ordering::Relaxed) > 0;
        if turn == Turn::Idle as u8 && !waits_for_us && silent > idle {
            self.end.notify_one();
        }
    }

    /// Waits until the connection is to be ended.
    pub(crate) async fn ended(&self) -> Silence {
        self.end.notified().await;
        if self.stalled.load(Ordering::Relaxed) { Silence::Stalled } else { Silence::Idle }
    }
}

/// A clock that only goes on, some milliseconds at a time, and costs next to nothing: every request asks for the time often.
fn coarse_clock() -> Duration {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(40);
    const STALL: Duration = Duration::from_millis(10);

    /// Who is ended after 20 ms of silence, and after 60 ms.
    async fn ends(prepare: impl Fn(&ConnectionState)) -> [Option<Silence>; 2] {
        let address = "127.0.0.1:1".parse().unwrap();
        let state = ConnectionState::new(address, address);
        prepare(&state);
        let mut ends = [None; 2];
        for (end, wait) in ends.iter_mut().zip([20, 40]) {
            std::thread::sleep(Duration::from_millis(wait));
            state.end_if_silent(IDLE, STALL);
            *end = futures_util::future::poll_immediate(state.ended()).await;
        }
        ends
    }

    #[tokio::test]
    async fn silence_ends_a_connection_only_when_it_is_the_clients_fault_r_2_10() {
        assert_eq!(ends(|_| {}).await, [None, Some(Silence::Idle)]);
        assert_eq!(ends(|state| state.set_turn(Turn::Broker)).await, [None, None]);
        assert_eq!(ends(ConnectionState::started).await, [None, None]);
        let stalled = ends(|state| state.set_turn(Turn::Client)).await;
        assert_eq!(stalled[0], Some(Silence::Stalled));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answers_is_ended() {
        let unread = |state: &ConnectionState| {
            state.started();
            state.set_sending(true);
        };
        assert_eq!(ends(unread).await, [None, Some(Silence::Idle)]);
    }
}
