//! The streams that other brokers have opened to follow partitions here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashMap;
use eddy_engine::Engine;
use eddy_peer::{PeerStream, StreamHandler};
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::counters::SessionCounters;
use super::opened::Opener;
use super::session::Session;
use super::throttle::Throttle;
use crate::stats::SessionStats;

/// One session for each broker that follows.
pub(crate) struct Sessions {
    engine: Arc<Engine>,
    opener: Opener,
    throttle: Arc<Throttle>,
    /// A stream on which nothing comes for this long has ended.
    silence: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: AHashMap<BrokerId, OpenSession>,
    stopped: bool,
}

struct OpenSession {
    task: AbortHandle,
    counters: Arc<SessionCounters>,
}

impl Sessions {
    pub(crate) fn new(engine: Arc<Engine>, throttle: Arc<Throttle>, silence: Duration) -> Arc<Sessions> {
        let opener = Opener::new(Arc::clone(&engine));
        Arc::new(Sessions { engine, opener, throttle, silence, open: Mutex::default() })
    }

    /// Ends all sessions, and takes no more.
    pub(crate) fn stop(&self) {
        let mut open = self.open.lock();
        open.stopped = true;
        for (_, session) in open.sessions.drain() {
            session.task.abort();
        }
    }

    /// The sessions that are open, by follower.
    pub(crate) fn stats(&self) -> Vec<SessionStats> {
        let open = self.open.lock();
        let mut stats: Vec<SessionStats> = open
            .sessions
            .iter()
            .filter(|(_, session)| !session.task.is_finished())
            .map(|(follower, session)| SessionStats {
                follower: *follower,
                partitions: session.counters.slots.load(Ordering::Relaxed),
                bytes: session.counters.bytes.load(Ordering::Relaxed),
                throttled_bytes: session.counters.throttled_bytes.load(Ordering::Relaxed),
                held: session.counters.held.load(Ordering::Relaxed),
            })
            .collect();
        stats.sort_by_key(|stats| stats.follower);
        stats
    }
}

impl StreamHandler for Sessions {
    /// A broker opens one stream: a second one means that the first is lost, or that it has started again.
    fn accepted(&self, from: BrokerId, incarnation: u64, stream: PeerStream) {
        let counters = Arc::<SessionCounters>::default();
        let (engine, opener, throttle) =
            (Arc::clone(&self.engine), self.opener.clone(), Arc::clone(&self.throttle));
        let session = Session::new(engine, from, opener, throttle, Arc::clone(&counters));
        let mut open = self.open.lock();
        if open.stopped {
            return;
        }
        let silence = self.silence;
        let task = tokio::spawn(async move {
            tracing::info!(broker = %from, incarnation, "a broker follows");
            let ending = Arc::new(session).run(stream, silence).await;
            tracing::info!(broker = %from, incarnation, reason = %ending, "a broker follows no longer");
        });
        let session = OpenSession { task: task.abort_handle(), counters };
        if let Some(former) = open.sessions.insert(from, session) {
            former.task.abort();
        }
    }
}
