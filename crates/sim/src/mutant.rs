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
    /// Nobody asks in which life the leader has heard whom it proposes for the ISR, nor whether that broker lives.
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
    /// The controller lets a fenced broker into an ISR.
    FencedJoins,
    /// Who left an ISR stays eligible while the high watermark moves on without it.
    EligibleThoughTheLogGrows,
    /// The machines of replicas measure lag and idleness by the time of day.
    MachinesByTimeOfDay,
    /// A broker whose session is over is told that it lives, and fenced all the same.
    LivesAfterItsSession,
    /// The lease is measured by the time of day.
    LeaseByTimeOfDay,
    /// A start acts on the metadata that the disk has, before it has what was committed since.
    StartsWithOldMetadata,
    /// The directory of a partition has the topic's name instead of its id: what a deleted topic left is the new one's log.
    DirectoriesByName,
    /// Followers name the topic to their leader instead of its id: what they say of a deleted one counts for the new one.
    FollowersNameTheTopic,
    /// A decommission removes the broker at once, with all that it holds.
    RemovedBeforeItIsEmpty,
    /// What a drain cannot move when it begins stays where it is.
    UpkeepForgetsDrains,
    /// The controller elects anybody for a partition without a leader, though nobody asked for that.
    UpkeepElectsUnclean,
    /// An unclean election that somebody asks for takes place though others can lead without a loss.
    UncleanThoughSomebodyCanLead,
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
        Mutant::FencedJoins,
        Mutant::EligibleThoughTheLogGrows,
        Mutant::MachinesByTimeOfDay,
        Mutant::LivesAfterItsSession,
        Mutant::LeaseByTimeOfDay,
        Mutant::StartsWithOldMetadata,
        Mutant::DirectoriesByName,
        Mutant::FollowersNameTheTopic,
        Mutant::RemovedBeforeItIsEmpty,
        Mutant::UpkeepForgetsDrains,
        Mutant::UpkeepElectsUnclean,
        Mutant::UncleanThoughSomebodyCanLead,
    ];
}
