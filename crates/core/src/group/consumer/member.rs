//! A member of a consumer group.

use eddy_types::Millis;

use super::partitions::OwnedPartitions;
use crate::group::record::{ConsumerCurrentValue, ConsumerMemberValue};

/// The epoch of a static member that left for a time only.
pub(super) const LEFT_FOR_A_TIME: i32 = -2;

/// The epoch in the request of a member that leaves.
pub(super) const LEAVES: i32 = -1;

/// Where a member is on its way to the target assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    /// It has all that the target of its epoch gives it.
    Stable,
    /// It has to give partitions back, and keeps its epoch until it says that it did.
    UnrevokedPartitions,
    /// It is in the target's epoch, but others have not given back all that is for it.
    UnreleasedPartitions,
    /// Written by a broker that knows more states than we do: the member has to start anew.
    Unknown,
}

impl MemberState {
    fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    fn from_number(number: i8) -> MemberState {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// What is known of a member: all of it is in records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it asked for; topic names ascending and each once.
    pub(super) wishes: ConsumerMemberValue,
    /// Its epoch: 0 before the first assignment.
    pub(super) epoch: i32,
    /// The epoch before: a member that missed the last answer still sends it.
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    /// What it may own.
    pub(super) assigned: OwnedPartitions,
    /// What it has to give back, and owns until it says that it did.
    pub(super) revoking: OwnedPartitions,
}

impl Default for Member {
    fn default() -> Member {
        Member {
            wishes: ConsumerMemberValue {
                instance: None,
                rack: None,
                client_id: "".into(),
                client_host: "".into(),
                topic_names: Vec::new(),
                topic_regex: None,
                rebalance_timeout: Millis(-1),
                assignor: None,
                classic: None,
            },
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: OwnedPartitions::default(),
            revoking: OwnedPartitions::default(),
        }
    }
}

impl Member {
    /// Whether it speaks the classic protocol.
    pub(super) fn is_classic(&self) -> bool {
        self.wishes.classic.is_some()
    }

    pub(super) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    pub(super) fn current_value(&self) -> ConsumerCurrentValue {
        ConsumerCurrentValue {
            epoch: self.epoch,
            previous_epoch: self.previous_epoch,
            state: self.state.number(),
            assigned: self.assigned.to_record(),
            pending_revocation: self.revoking.to_record(),
        }
    }

    /// Takes what a record says, or nothing if it is a tombstone.
    pub(super) fn set_current(&mut self, value: Option<&ConsumerCurrentValue>) {
        let Some(value) = value else {
            *self = Member {
                wishes: self.wishes.clone(),
                epoch: LEAVES,
                previous_epoch: LEAVES,
                ..Member::default()
            };
            return;
        };
        self.epoch = value.epoch;
        self.previous_epoch = value.previous_epoch;
        self.state = MemberState::from_number(value.state);
        self.assigned = OwnedPartitions::from_record(&value.assigned, value.epoch);
        self.revoking = OwnedPartitions::from_record(&value.pending_revocation, value.epoch);
    }
}
