//! Throttles of replication (KIP-73): what replicas out of sync copy may be held to a rate, so that moving partitions does not
//! take the network and the disks from everybody else.
//!
//! A broker has one for what it sends as a leader and one for what it takes as a follower; each follows its
//! configuration. In-sync replicas are never held back, and what they copy does not count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eddy_core::Pace;
use eddy_engine::{Engine, PartitionKey};
use eddy_types::{BrokerId, Millis};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A rate that nobody reaches: the default of both keys.
const UNLIMITED: u64 = i64::MAX as u64;

/// Longest time until somebody who is held back looks again: the rate may have changed, or the replica may be in sync.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whose rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What this broker sends.
    Leader,
    /// What it takes.
    Follower,
}

/// A rate that all streams of one side share.
pub(crate) struct Throttle {
    engine: Arc<Engine>,
    side: Side,
    rate: AtomicU64,
    began: Instant,
    pace: Mutex<Pace>,
}

impl Throttle {
    pub(crate) fn new(engine: Arc<Engine>, side: Side) -> Arc<Throttle> {
        let throttle = Throttle {
            engine,
            side,
            rate: AtomicU64::new(UNLIMITED),
            began: Instant::now(),
            pace: Mutex::default(),
        };
        throttle.configure();
        Arc::new(throttle)
    }

    /// Follows the configuration for as long as it is polled.
    pub(crate) async fn follow_config(self: Arc<Self>) {
        let mut images = self.engine.image_version();
        while images.changed().await.is_ok() {
            self.configure();
        }
    }

    fn configure(&self) {
        let image = self.engine.image();
        let config = image.broker_config();
        let rate = match self.side {
            Side::Leader => config.leader_replication_throttled_rate,
            Side::Follower => config.follower_replication_throttled_rate,
        };
        if self.rate.swap(rate, Ordering::Relaxed) != rate {
            let limited = (rate < UNLIMITED).then_some(rate);
            tracing::info!(side = ?self.side, bytes_a_second = limited, "throttle of replication");
        }
    }

    /// Whether there is a rate.
    pub(super) fn is_set(&self) -> bool {
        self.rate.load(Ordering::Relaxed) < UNLIMITED
    }

    /// Whether what `follower` copies of a partition is held to the rate: it is out of sync, and the replica here is listed in
    /// the topic's configuration.
    pub(super) fn holds(&self, key: PartitionKey, follower: BrokerId) -> bool {
        if !self.is_set() {
            return false;
        }
        let image = self.engine.image();
        let Some(topic) = image.topic_by_id(key.topic) else { return false };
        let listed = match self.side {
            Side::Leader => &topic.config.leader_replication_throttled_replicas,
            Side::Follower => &topic.config.follower_replication_throttled_replicas,
        };
        let Some(partition) = usize::try_from(key.index).ok().and_then(|at| topic.partitions.get(at)) else {
            return false;
        };
        listed.contains(key.index, self.engine.me()) && !partition.isr.contains(&follower)
    }

    /// Bytes that may go now.
    ///
    /// # Errors
    /// None; the time after which to ask again.
    pub(super) fn piece(&self) -> Result<u64, Duration> {
        let piece = self.pace.lock().piece(self.now(), self.rate.load(Ordering::Relaxed));
        piece.map_err(|delay| {
            let delay = u64::try_from(delay.0).unwrap_or(u64::MAX);
            Duration::from_millis(delay).min(LOOK_AGAIN)
        })
    }

    /// So many bytes went.
    pub(super) fn took(&self, bytes: u64) {
        self.pace.lock().took(self.now(), self.rate.load(Ordering::Relaxed), bytes);
    }

    fn now(&self) -> Millis {
        self.began.elapsed().into()
    }
}
