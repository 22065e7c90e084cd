//! Elections that somebody asks for, and those that come with time.

use std::collections::BTreeSet;
use std::sync::Arc;

use eddy_types::{ErrorCode, TopicPartition};

use super::change::{Change, Election, Fitness, Standing};
use crate::{Image, PlacedPartition, Record};

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
    image: &Image,
    kind: ElectionKind,
    targets: Option<&[TopicPartition]>,
) -> (Vec<Record>, Vec<ElectionOutcome>) {
    let standing = Standing::of(image);
    let mut records = Vec::new();
    let mut outcomes = Vec::new();
    let Some(targets) = targets else {
        for placed in image.partitions() {
            let result = elect(&standing, kind, placed).map(|record| records.push(record));
            if result != Err(ElectionRefusal::NotNeeded) {
                let topic = placed.topic.name.clone();
                outcomes.push((TopicPartition { topic, partition: placed.index }, result));
            }
        }
        return (records, outcomes);
    };
    let mut seen = BTreeSet::new();
    for target in targets {
        // Named a second time, it has what it needs.
        let result = if seen.insert(target) {
            find(image, target).and_then(|placed| elect(&standing, kind, placed))
        } else {
            Err(ElectionRefusal::NotNeeded)
        };
        outcomes.push((target.clone(), result.map(|record| records.push(record))));
    }
    (records, outcomes)
}

fn find<'a>(image: &'a Image, target: &TopicPartition) -> Result<PlacedPartition<'a>, ElectionRefusal> {
    let unknown = || ElectionRefusal::UnknownTopic(target.topic.clone());
    let topic = image.topic(&target.topic).ok_or_else(unknown)?;
    let index = usize::try_from(target.partition).ok();
    let partition = index.and_then(|index| topic.partitions.get(index));
    let partition = partition.ok_or_else(|| ElectionRefusal::UnknownPartition(target.clone()))?;
    Ok(PlacedPartition { topic, index: target.partition, partition })
}

fn elect(
    standing: &Standing<'_>,
    kind: ElectionKind,
    placed: PlacedPartition<'_>,
) -> Result<Record, ElectionRefusal> {
    let leader = placed.partition.leader;
    match kind {
        ElectionKind::Preferred => {
            let preferred = placed.partition.replicas.first().copied();
            if leader.is_some() && leader == preferred {
                return Err(ElectionRefusal::NotNeeded);
            }
            prefer(standing, placed, Fitness::Reluctant).ok_or(ElectionRefusal::PreferredNotAvailable)
        }
        ElectionKind::Unclean if leader.is_some() => Err(ElectionRefusal::NotNeeded),
        ElectionKind::Unclean => {
            let record = Change::of(placed).finish(standing, Election::Unclean);
            record.filter(is_led).ok_or(ElectionRefusal::NoneEligible)
        }
    }
}

/// The election of the preferred leader, `None` when it cannot be had or leads already.
fn prefer(standing: &Standing<'_>, placed: PlacedPartition<'_>, least: Fitness) -> Option<Record> {
    let preferred = placed.partition.replicas.first().copied()?;
    if placed.partition.leader == Some(preferred) || standing.fitness(preferred) < least {
        return None;
    }
    let record = Change::of(placed).finish(standing, Election::Of(preferred))?;
    match &record {
        Record::PartitionChanged { leader, .. } if *leader == Some(preferred) => Some(record),
        _ => None,
    }
}

fn is_led(record: &Record) -> bool {
    matches!(record, Record::PartitionChanged { leader: Some(_), .. })
}

/// Gives leaderships back to the preferred leaders that are in the ISR and may lead (`auto.leader.rebalance.enable`); at most
/// [`MOVES_PER_ROUND_MAX`].
#[must_use]
pub fn preferred_leaders(image: &Image) -> Vec<Record> {
    let standing = Standing::of(image);
    let moves = image.partitions().filter_map(|placed| prefer(&standing, placed, Fitness::Fit));
    moves.take(MOVES_PER_ROUND_MAX).collect()
}
