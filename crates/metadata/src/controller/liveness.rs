//! Who is alive: the sessions of the brokers, kept by the broker that leads the metadata group.
//!
//! A broker lives while it is heard at least once in a session timeout, or until its process is known to be gone. The
//! machine only tells whom to fence; [`fence_broker`](super::fence_broker) decides what that changes.

use std::collections::BTreeMap;

use eddy_types::{BrokerId, Millis};

/// Sessions of the brokers. Time may be any clock that does not go backwards.
#[derive(Clone, Debug)]
pub struct Liveness {
    session_timeout: Millis,
    sessions: BTreeMap<BrokerId, Session>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    /// Run of the process that was heard last, `None` when none was heard by this controller.
    incarnation: Option<u64>,
    /// When it ends unless the broker is heard.
    deadline: Millis,
    /// Whether the connection to it broke since it was heard last.
    cut_off: bool,
}

impl Liveness {
    /// No sessions; `session_timeout` is `broker.session.timeout.ms`.
    #[must_use]
    pub fn new(session_timeout: Millis) -> Liveness {
        Liveness { session_timeout, sessions: BTreeMap::new() }
    }

    /// This broker leads the metadata group from now on: every broker gets a full session, whatever was known before. The
    /// leader before may have heard them a moment ago.
    pub fn became_controller(&mut self, now: Millis, brokers: impl IntoIterator<Item = BrokerId>) {
        self.sessions.clear();
        let deadline = now + self.session_timeout;
        let session = Session { incarnation: None, deadline, cut_off: false };
        self.sessions.extend(brokers.into_iter().map(|broker| (broker, session)));
    }

    /// A broker was heard, or has just registered.
    pub fn heartbeat(&mut self, now: Millis, broker: BrokerId, incarnation: u64) {
        let deadline = now + self.session_timeout;
        let session = Session { incarnation: Some(incarnation), deadline, cut_off: false };
        self.sessions.insert(broker, session);
    }

    /// The connection to a broker broke, which proves nothing: the session goes on to its end.
    pub fn link_lost(&mut self, _now: Millis, broker: BrokerId) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.cut_off = true;
        }
    }

    /// The process of a broker is provably gone: its session ends at once.
    pub fn process_gone(&mut self, now: Millis, broker: BrokerId) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.deadline = session.deadline.min(now);
            session.cut_off = true;
        }
    }

    /// A broker left the cluster, or was fenced at its own wish: it has no session until it is heard again.
    pub fn forget(&mut self, broker: BrokerId) {
        self.sessions.remove(&broker);
    }

    /// Brokers whose session is over. They are told again at each call until they are heard or forgotten, so that a fencing
    /// that could not be committed is tried again; fencing a fenced broker changes nothing.
    #[must_use]
    pub fn tick(&mut self, now: Millis) -> Vec<BrokerId> {
        let over = self.sessions.iter().filter(|(_, session)| session.deadline <= now);
        over.map(|(broker, _)| *broker).collect()
    }

    /// When the next session ends that has not, for a timer.
    #[must_use]
    pub fn next_deadline(&self, now: Millis) -> Option<Millis> {
        self.sessions.values().map(|session| session.deadline).filter(|deadline| *deadline > now).min()
    }

    /// Whether the connection to a broker broke since it was last heard.
    #[must_use]
    pub fn is_cut_off(&self, broker: BrokerId) -> bool {
        self.sessions.get(&broker).is_some_and(|session| session.cut_off)
    }

    /// Run of the process that was heard last.
    #[must_use]
    pub fn incarnation(&self, broker: BrokerId) -> Option<u64> {
        self.sessions.get(&broker)?.incarnation
    }
}
