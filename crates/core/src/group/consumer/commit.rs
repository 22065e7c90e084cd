//! Who may commit and fetch offsets of a group.

use eddy_types::{ErrorCode, TopicId};

use super::ConsumerGroup;
use super::member::Member;

fn stale(member: &Member) -> ErrorCode {
    if member.is_classic() { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch }
}

impl ConsumerGroup {
    /// Whether a commit may be made at all. One of an older epoch may, and then counts for the partitions that
    /// [`ConsumerGroup::validate_commit_of`] lets through.
    pub(in crate::group) fn validate_commit(
        &self,
        member: &str,
        epoch: i32,
        knows_epochs: bool,
    ) -> Result<(), ErrorCode> {
        // A client that does without membership, such as an administrator's, may commit while nobody is in the group.
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        if !member.is_classic() && !knows_epochs {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if epoch > member.epoch { Err(stale(member)) } else { Ok(()) }
    }

    /// Whether a commit may be for a partition. One that crossed a rebalance is good for what the member had at the
    /// epoch of the commit already, and has not given back since (KIP-1251).
    pub(in crate::group) fn validate_commit_of(
        &self,
        member: &str,
        epoch: i32,
        topic: TopicId,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let Some(member) = self.members.get(member) else { return Ok(()) };
        if epoch == member.epoch {
            return Ok(());
        }
        let owned =
            member.assigned.epoch(topic, partition).or_else(|| member.revoking.epoch(topic, partition));
        match owned {
            Some(assigned_at) if assigned_at <= epoch => Ok(()),
            _ => Err(stale(member)),
        }
    }

    /// Whether offsets may be fetched.
    pub(in crate::group) fn validate_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if member.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member.and_then(|id| self.members.get(id)).ok_or(ErrorCode::UnknownMemberId)?;
        if member.epoch == epoch { Ok(()) } else { Err(stale(member)) }
    }
}
