//! What a replica wants done by its owner.

use eddy_types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::producer::EndedTransaction;

/// Effects in the order in which they happened.
pub type Effects = Vec<Effect>;

/// One thing for the owner of the replica to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Everything below is durable here: acks=1 waiters up to it are done.
    DurableEnd(Offset),
    /// Everything below is durable on every ISR member: acks=all waiters up to it are done, waiting fetches wake. The
    /// last stable offset moves only together with it.
    HighWatermark(Offset),
    /// The first offset that may be read; the log is told, and forgets what lies before in its own time.
    LogStart(Offset),
    /// A marker ended a transaction: the log keeps the aborted ones in its index.
    TransactionEnded(EndedTransaction),
    /// Ask the controller for another ISR. [`Leader::isr_decided`](crate::Leader::isr_decided) takes the answer, and
    /// no other proposal is made before it.
    ProposeIsr(IsrProposal),
}

/// An ISR that the leader asks the controller for (AlterPartition, KIP-497).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// Epoch of the leader that asks.
    pub leader_epoch: LeaderEpoch,
    /// Version of the partition's state that the proposal is based on: compared and set by the controller.
    pub partition_epoch: PartitionEpoch,
    /// The members wanted, by id.
    pub isr: Vec<IsrMember>,
}

/// A member of a proposed ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// Epoch of its registration as its last fetch said; the controller refuses a member that has started again since
    /// (KIP-903). -1 when it has not said, and for the leader itself.
    pub broker_epoch: i64,
}
