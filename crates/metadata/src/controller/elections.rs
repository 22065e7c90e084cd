//! Elections that somebody asks for, and those that come with time.

use std::sync::Arc;

use eddy_types::{ErrorCode, TopicPartition};

use crate::{Image, Record};

/// Most partitions whose leaders one round of [`preferred_leaders`] or [`upkeep`](super::upkeep) moves; the rest waits for the
/// next round.
pub const MOVES_PER_ROUND_MAX: usize = 1_000;

/// What kind of election is asked for, with Kafka's numbers 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The preferred leader shall lead, from the ISR or the ELR.
    Preferred,
    /// Any replica that is alive shall lead, even when records are lost.
    Unclean,
}

impl ElectionKind {
    /// The kind of a number on the wire.
    #[must_use]
    pub fn from_code(code: i8) -> Option<ElectionKind> {
        match code {
            0 => Some(ElectionKind::Preferred),
            1 => Some(ElectionKind::Unclean),
            _ => None,
        }
    }
}

/// Why a partition's leader does not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionRefusal {
    /// No topic has the name.
    #[error("no such topic: {0:?}")]
    UnknownTopic(Arc<str>),
    /// The topic has no such partition.
    #[error("no such partition: {0}")]
    UnknownPartition(TopicPartition),
    /// The preferred leader leads, or there is a leader when an unclean election is asked for.
    #[error("partition needs no election")]
    NotNeeded,
    /// The preferred leader is not alive, or not in the ISR.
    #[error("preferred leader is not available")]
    PreferredNotAvailable,
    /// No replica is alive.
    #[error("no replica of the partition is alive")]
    NoneEligible,
}

impl ElectionRefusal {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ElectionRefusal::UnknownTopic(_) | ElectionRefusal::UnknownPartition(_) => {
                ErrorCode::UnknownTopicOrPartition
            }
            ElectionRefusal::NotNeeded => ErrorCode::ElectionNotNeeded,
            ElectionRefusal::PreferredNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
            ElectionRefusal::NoneEligible => ErrorCode::EligibleLeadersNotAvailable,
        }
    }
}

/// What came of an election, by partition.
pub type ElectionOutcome = (TopicPartition, Result<(), ElectionRefusal>);

/// Decides elections of the given partitions, or of all (`None`); of all, those that need none are not in the answer.
#[must_use]
pub fn elect_leaders(
    _image: &Image,
    _kind: ElectionKind,
    _targets: Option<&[TopicPartition]>,
) -> (Vec<Record>, Vec<ElectionOutcome>) {
    (Vec::new(), Vec::new())
}

/// Gives leaderships back to the preferred leaders that are in the ISR and may lead (`auto.leader.rebalance.enable`); at most
/// [`MOVES_PER_ROUND_MAX`].
#[must_use]
pub fn preferred_leaders(_image: &Image) -> Vec<Record> {
    Vec::new()
}
