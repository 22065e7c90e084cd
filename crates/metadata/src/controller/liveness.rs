//! Who is alive: the sessions of the brokers, kept by the broker that leads the metadata group.
//!
//! A broker lives while it is heard at least once in a session timeout, or until its process is known to be gone. A session begins
//! with a registration and belongs to it. One that is over stays over: whoever is heard after that is about to be fenced, and must
//! not be told that it lives, because that would keep up its right to lead beside the leader that comes after it. The machine only
//! tells whom to fence; [`fence_broker`](super::fence_broker) decides what that changes.

use std::collections::BTreeMap;

use eddy_types::{BrokerId, Millis};

use crate::Image;

/// Sessions of the brokers. Time may be any clock that does not go backwards.
#[derive(Clone, Debug)]
pub struct Liveness {
    session_timeout: Millis,
    sessions: BTreeMap<BrokerId, Session>,
    ticked: Millis,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    /// Epoch of the registration that it belongs to.
    broker_epoch: i64,
    /// When it ends unless the broker is heard.
    deadline: Millis,
}

/// What a look at the sessions finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Brokers whose session is over, with the epoch of the registration that was silent.
    pub brokers: Vec<(BrokerId, i64)>,
    /// How long the controller itself stood still, if it did. Nobody could be heard meanwhile, which proves nothing about the
    /// others: their sessions have begun anew.
    pub stood_still: Option<Millis>,
}

impl Liveness {
    /// This broker leads the metadata group since `since`: every broker gets a full session, whatever was known before. The
    /// leader before may have heard them a moment ago. `session_timeout` is `broker.session.timeout.ms`.
    #[must_use]
    pub fn new(session_timeout: Millis, since: Millis, now: Millis, image: &Image) -> Liveness {
        let mut liveness = Liveness { session_timeout, sessions: BTreeMap::new(), ticked: now };
        for broker in image.alive_brokers() {
            liveness.begin(since, broker.id, broker.epoch);
        }
        liveness
    }

    /// A broker was heard in the life that began with the registration of `broker_epoch`. Says whether it lives: otherwise its session
    /// is over, and whoever is told of it fences it.
    #[must_use]
    pub fn heartbeat(&mut self, now: Millis, broker: BrokerId, broker_epoch: i64) -> bool {
        let session = self.sessions.get(&broker).filter(|session| session.broker_epoch == broker_epoch);
        let is_over = session.is_some_and(|session| session.deadline <= now);
        if !is_over {
            self.begin(now, broker, broker_epoch);
        }
        !is_over
    }

    /// The process of a broker is provably gone: its session ends at once.
    pub fn process_gone(&mut self, now: Millis, broker: BrokerId) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.deadline = session.deadline.min(now);
        }
    }

    /// Looks at the sessions; some ten times a session timeout is often enough. Brokers whose session is over are told again at each
    /// call until the image says that they are fenced, so that a fencing that could not be committed is tried again.
    #[must_use]
    pub fn tick(&mut self, now: Millis, image: &Image) -> Silence {
        let stood_still = Some(now - self.ticked).filter(|pause| *pause > Millis(self.session_timeout.0 / 2));
        if stood_still.is_some() {
            let deadline = now + self.session_timeout;
            self.sessions.values_mut().for_each(|session| session.deadline = deadline);
        }
        self.ticked = now;
        self.sessions.retain(|id, _| image.broker(*id).is_some_and(|broker| !broker.fenced));
        for broker in image.alive_brokers() {
            // A session begins with the registration, or one who registers and dies at once would live for ever.
            if self.sessions.get(&broker.id).is_none_or(|session| session.broker_epoch != broker.epoch) {
                self.begin(now, broker.id, broker.epoch);
            }
        }
        let over = self.sessions.iter().filter(|(_, session)| session.deadline <= now);
        Silence { brokers: over.map(|(id, session)| (*id, session.broker_epoch)).collect(), stood_still }
    }

    fn begin(&mut self, now: Millis, broker: BrokerId, broker_epoch: i64) {
        let deadline = now + self.session_timeout;
        self.sessions.insert(broker, Session { broker_epoch, deadline });
    }
}
