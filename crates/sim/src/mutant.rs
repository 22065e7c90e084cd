//! Defects that can be put into the simulated brokers on purpose: the simulation must find each of them.

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The leader calls durable what is not synced.
    LeaderAcksBeforeSync,
    /// A follower reports as durable what is not synced.
    FollowerReportsBeforeSync,
    /// A sync of batches that have been cut off since counts for the batches that took their place.
    SyncOfWhatWasCutOff,
    /// Consumers are served beyond the high watermark.
    ServeBeforeHighWatermark,
    /// A restarted broker with a former epoch is let into the ISR.
    StaleEpochJoins,
    /// A replaced disk keeps its place in the ISR.
    WipedDiskStaysInSync,
    /// A new leader's followers cut their logs at the high watermark instead of asking where they leave the leader's.
    TruncateAtHighWatermark,
    /// Followers keep what leaves the leader's log.
    NeverTruncate,
    /// The high watermark moves although the ISR is below the minimum.
    NoMinInSyncFreeze,
    /// A broker that starts again leads under the same epoch as before.
    LeadsAgainInTheSameEpoch,
    /// The controller takes ISR changes that were made against an older state.
    NoCompareAndSet,
    /// The leader counts on its proposal before the controller has accepted it.
    ProposalCountsAtOnce,
    /// The controller elects any living replica.
    UncleanElection,
    /// A replica that takes over knows nothing of the producers.
    ForgetsProducers,
    /// Records from before a truncation are appended after it.
    StaleDataCounts,
    /// A replica that leaves is given back in the same leader epoch: what it said in its former life counts.
    ReplicaLeavesInTheSameEpoch,
}

impl Mutant {
    /// All of them.
    pub const ALL: &'static [Mutant] = &[
        Mutant::LeaderAcksBeforeSync,
        Mutant::FollowerReportsBeforeSync,
        Mutant::SyncOfWhatWasCutOff,
        Mutant::ServeBeforeHighWatermark,
        Mutant::StaleEpochJoins,
        Mutant::WipedDiskStaysInSync,
        Mutant::TruncateAtHighWatermark,
        Mutant::NeverTruncate,
        Mutant::NoMinInSyncFreeze,
        Mutant::LeadsAgainInTheSameEpoch,
        Mutant::NoCompareAndSet,
        Mutant::ProposalCountsAtOnce,
        Mutant::UncleanElection,
        Mutant::ForgetsProducers,
        Mutant::StaleDataCounts,
        Mutant::ReplicaLeavesInTheSameEpoch,
    ];
}
