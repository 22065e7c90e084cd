//! What this broker follows at one leader: which partitions, and the stream to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use eddy_engine::{Engine, Partition, PartitionKey};
use eddy_peer::{LinkState, Peers};
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::FetcherCounters;
use super::following::Following;
use super::stream::Stream;
use super::throttle::Throttle;
use crate::stats::FetcherStats;

/// How long a connection may take to come up.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Pause before the second attempt to connect in a row, and the longest.
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(500);

/// A stream that lasted this long was a good one: the next attempt is made at once.
const LASTING: Duration = Duration::from_secs(1);

/// Follows partitions at one leader.
pub(super) struct Fetcher {
    pub(super) engine: Arc<Engine>,
    peers: Peers,
    pub(super) leader: BrokerId,
    /// Nothing comes for this long: the stream has ended.
    pub(super) silence: Duration,
    wanted: Mutex<Wanted>,
    changed: Notify,
    pub(super) following: Mutex<Following>,
    pub(super) counters: FetcherCounters,
    pub(super) throttle: Arc<Throttle>,
}

#[derive(Default)]
struct Wanted {
    partitions: AHashMap<PartitionKey, Arc<Partition>>,
    changed: AHashSet<PartitionKey>,
}

impl Fetcher {
    pub(super) fn new(
        engine: Arc<Engine>,
        peers: Peers,
        leader: BrokerId,
        throttle: Arc<Throttle>,
        silence: Duration,
    ) -> Fetcher {
        Fetcher {
            engine,
            peers,
            leader,
            silence,
            wanted: Mutex::default(),
            changed: Notify::new(),
            following: Mutex::default(),
            counters: FetcherCounters::default(),
            throttle,
        }
    }

    /// Follows a partition from now on, or looks at it again.
    pub(super) fn assign(&self, partition: Arc<Partition>) {
        let key = partition.key();
        let mut wanted = self.wanted.lock();
        wanted.partitions.insert(key, partition);
        wanted.changed.insert(key);
        drop(wanted);
        self.changed.notify_one();
    }

    /// Follows a partition no longer.
    pub(super) fn unassign(&self, key: PartitionKey) {
        let mut wanted = self.wanted.lock();
        if wanted.partitions.remove(&key).is_some() {
            wanted.changed.insert(key);
            drop(wanted);
            self.changed.notify_one();
        }
    }

    /// Looks at every partition again: what the leader was told of this broker is void.
    pub(super) fn follow_all_again(&self) {
        let mut wanted = self.wanted.lock();
        let Wanted { partitions, changed } = &mut *wanted;
        changed.extend(partitions.keys());
        drop(wanted);
        self.changed.notify_one();
    }

    /// Partitions whose assignment has changed since the last call, with what is to be followed now.
    pub(super) fn take_changed(&self) -> Vec<(PartitionKey, Option<Arc<Partition>>)> {
        let mut wanted = self.wanted.lock();
        let changed = std::mem::take(&mut wanted.changed);
        changed.into_iter().map(|key| (key, wanted.partitions.get(&key).cloned())).collect()
    }

    /// What is to be followed of a partition.
    pub(super) fn wanted(&self, key: PartitionKey) -> Option<Arc<Partition>> {
        self.wanted.lock().partitions.get(&key).cloned()
    }

    /// Waits until an assignment has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether nothing is to be followed at this leader.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.lock().partitions.is_empty()
    }

    pub(super) fn stats(&self) -> FetcherStats {
        let (lag_records, lag_records_max) = self.following.lock().lag();
        let counters = &self.counters;
        FetcherStats {
            leader: self.leader,
            connected: counters.connected.load(Ordering::Relaxed),
            partitions: self.wanted.lock().partitions.len(),
            lag_records,
            lag_records_max,
            bytes: counters.bytes.load(Ordering::Relaxed),
            throttled_bytes: counters.throttled_bytes.load(Ordering::Relaxed),
            reconnects: counters.connections.load(Ordering::Relaxed).saturating_sub(1),
            failures: counters.failures.load(Ordering::Relaxed),
            truncations: counters.truncations.load(Ordering::Relaxed),
        }
    }

    /// Connects and follows, for as long as it is polled.
    pub(super) async fn run(self: Arc<Fetcher>) {
        let mut pause = Duration::ZERO;
        let mut reachable = true;
        loop {
            while self.is_idle() {
                self.changed().await;
            }
            let began = Instant::now();
            match self.peers.open_stream(self.leader, CONNECT_WITHIN).await {
                Ok(stream) => {
                    reachable = true;
                    self.follow_on(stream).await;
                    if began.elapsed() >= LASTING {
                        pause = Duration::ZERO;
                    }
                }
                Err(error) => {
                    if std::mem::replace(&mut reachable, false) {
                        tracing::warn!(leader = %self.leader, %error, "cannot follow the leader");
                    }
                }
            }
            self.rest(pause).await;
            pause = (pause * 2).clamp(*PAUSE.start(), *PAUSE.end());
        }
    }

    /// Waits before the next attempt; not longer than until the leader is heard of again.
    async fn rest(&self, pause: Duration) {
        let mut link = self.peers.link(self.leader);
        link.mark_unchanged();
        let came_back = async {
            let connected = |state: &LinkState| matches!(state, LinkState::Connected { .. });
            if connected(&link.borrow_and_update()) || link.wait_for(connected).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = came_back => {}
        }
    }

    async fn follow_on(self: &Arc<Fetcher>, stream: eddy_peer::PeerStream) {
        *self.following.lock() = Following::default();
        self.follow_all_again();
        self.counters.connected.store(true, Ordering::Relaxed);
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        tracing::info!(leader = %self.leader, "following");
        let ending = Stream::new(self).run(stream).await;
        self.counters.connected.store(false, Ordering::Relaxed);
        *self.following.lock() = Following::default();
        tracing::info!(leader = %self.leader, reason = %ending, "following no longer");
    }
}
