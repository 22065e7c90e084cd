//! What metrics show of this broker's part in the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use eddy_engine::FollowerLag;
use eddy_types::BrokerId;

/// A look at this broker's part in the cluster. Empty on a lone node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterStats {
    /// Time since the last heartbeat that the controller answered had been sent; `None` before the first.
    pub heartbeat_age: Option<Duration>,
    /// Proposals for other in-sync replicas that wait for the controller.
    pub isr_proposals: usize,
    /// What this broker follows, by leader.
    pub fetchers: Vec<FetcherStats>,
    /// What others follow here, by follower.
    pub sessions: Vec<SessionStats>,
    /// What followers lack of what is led here, connected or not.
    pub lags: BTreeMap<BrokerId, FollowerLag>,
}

/// What this broker follows at one leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetcherStats {
    /// The leader.
    pub leader: BrokerId,
    /// Whether there is a stream to it.
    pub connected: bool,
    /// Partitions that are to be followed there.
    pub partitions: usize,
    /// Offsets that the leader is ahead, over all partitions, as far as it has told.
    pub lag_records: u64,
    /// The largest of them.
    pub lag_records_max: u64,
    /// Bytes of batches taken since the start.
    pub bytes: u64,
    /// Those of them that the throttle of followers has let through.
    pub throttled_bytes: u64,
    /// Streams opened after the first.
    pub reconnects: u64,
    /// Batches refused here, or damaged on the way.
    pub failures: u64,
    /// Truncations of logs that left the leader's.
    pub truncations: u64,
}

/// What another broker follows here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStats {
    /// The follower.
    pub follower: BrokerId,
    /// Partitions that it follows.
    pub partitions: usize,
    /// Bytes of batches sent on its stream.
    pub bytes: u64,
    /// Those of them that the throttle of leaders has let through.
    pub throttled_bytes: u64,
    /// Partitions that a throttle holds back, this broker's or the follower's.
    pub held: usize,
}
