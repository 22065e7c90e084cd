//! AlterPartition: a leader asks for another ISR (R-3.101, KIP-497, KIP-903).

use std::collections::BTreeSet;

use eddy_types::{BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId};

use super::change::{Change, Election, Standing};
use crate::{Image, PlacedPartition, Record};

/// What a leader wants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// The topic.
    pub topic: TopicId,
    /// Index of the partition.
    pub partition: i32,
    /// Epoch in which the broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// Version of leader and ISR that the wish is based on.
    pub partition_epoch: PartitionEpoch,
    /// The ISR wanted, each member with the broker epoch in which the leader knows it.
    pub isr: Vec<(BrokerId, i64)>,
}

/// What a partition's ISR is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrAccepted {
    /// The ISR; without members that a reassignment completed by this change has removed.
    pub isr: Vec<BrokerId>,
    /// Version of leader and ISR.
    pub partition_epoch: PartitionEpoch,
}

/// Why a partition's ISR is not changed as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsrRefusal {
    /// The broker is not registered.
    #[error("broker {0} is not registered")]
    NotRegistered(BrokerId),
    /// An earlier run of the broker asks.
    #[error("broker epoch {sent} is not the current one, {current}")]
    StaleBroker {
        /// Epoch it sent.
        sent: i64,
        /// Epoch it has.
        current: i64,
    },
    /// No topic has the id.
    #[error("no such topic: {0}")]
    UnknownTopic(TopicId),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: TopicId,
        /// Index asked for.
        partition: i32,
    },
    /// The leader knows more than this image: it is asked too early.
    #[error(
        "leader epoch {leader_epoch} or partition epoch {partition_epoch} is newer than what is known here"
    )]
    AheadOfImage {
        /// Leader epoch it sent.
        leader_epoch: LeaderEpoch,
        /// Partition epoch it sent.
        partition_epoch: PartitionEpoch,
    },
    /// There is a newer leader.
    #[error("leader epoch {sent} is fenced by {current}")]
    FencedEpoch {
        /// Epoch it sent.
        sent: LeaderEpoch,
        /// Epoch of the partition.
        current: LeaderEpoch,
    },
    /// The broker does not lead the partition.
    #[error("broker {0} does not lead the partition")]
    NotLeader(BrokerId),
    /// The wish is based on an older version.
    #[error("partition epoch {sent} is not the current one, {current}")]
    StalePartition {
        /// Partition epoch it sent.
        sent: PartitionEpoch,
        /// Partition epoch there is.
        current: PartitionEpoch,
    },
    /// The ISR has no members, one twice, one that is no replica, or not the leader.
    #[error("not an ISR of the partition: {reason}")]
    InvalidIsr {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A member is fenced, about to stop, or known to the leader from an earlier run.
    #[error("broker {broker} may not be in the ISR: {reason}")]
    Ineligible {
        /// The member.
        broker: BrokerId,
        /// Why it may not.
        reason: &'static str,
    },
    /// The change was made and completed a reassignment, after which another broker leads.
    #[error("another broker leads the partition now")]
    NewLeader,
}

impl IsrRefusal {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            IsrRefusal::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            IsrRefusal::StaleBroker { .. } => ErrorCode::StaleBrokerEpoch,
            IsrRefusal::UnknownTopic(_) => ErrorCode::UnknownTopicId,
            IsrRefusal::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            IsrRefusal::AheadOfImage { .. } => ErrorCode::NotController,
            IsrRefusal::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            IsrRefusal::NotLeader(_) | IsrRefusal::InvalidIsr { .. } => ErrorCode::InvalidRequest,
            IsrRefusal::StalePartition { .. } => ErrorCode::InvalidUpdateVersion,
            IsrRefusal::Ineligible { .. } => ErrorCode::IneligibleReplica,
            IsrRefusal::NewLeader => ErrorCode::NewLeaderElected,
        }
    }
}

/// Decides the wishes of a leader, each by itself, in their order: the records of all that are good, and a result for each.
/// `from` asks in its `broker_epoch`. An ISR that makes a reassignment complete is shortened by those who leave.
#[must_use]
pub fn alter_partitions(
    image: &Image,
    from: BrokerId,
    broker_epoch: i64,
    changes: &[IsrChange],
) -> (Vec<Record>, Vec<Result<IsrAccepted, IsrRefusal>>) {
    if let Err(refusal) = check_broker(image, from, broker_epoch) {
        return (Vec::new(), changes.iter().map(|_| Err(refusal.clone())).collect());
    }
    let standing = Standing::of(image);
    let mut records = Vec::new();
    let mut changed = BTreeSet::new();
    let results = changes.iter().map(|wish| {
        let at = check(image, from, wish)?;
        if !changed.insert((wish.topic, wish.partition)) {
            // The first wish of the request has made the version that this one names an old one.
            let sent = wish.partition_epoch;
            return Err(IsrRefusal::StalePartition {
                sent,
                current: PartitionEpoch(sent.0.saturating_add(1)),
            });
        }
        let members: Vec<BrokerId> = wish.isr.iter().map(|(member, _)| *member).collect();
        let mut change = Change::of(at);
        change.set_isr(&members);
        let Some(record) = change.finish(&standing, Election::Keep) else {
            let partition_epoch = at.partition.partition_epoch;
            return Ok(IsrAccepted { isr: at.partition.isr.to_vec(), partition_epoch });
        };
        let result = accepted(from, &record);
        records.push(record);
        result
    });
    let results = results.collect();
    (records, results)
}

fn check_broker(image: &Image, from: BrokerId, sent: i64) -> Result<(), IsrRefusal> {
    let current = image.broker(from).ok_or(IsrRefusal::NotRegistered(from))?.epoch;
    if sent == current { Ok(()) } else { Err(IsrRefusal::StaleBroker { sent, current }) }
}

/// Kafka's checks in Kafka's order.
fn check<'a>(image: &'a Image, from: BrokerId, wish: &IsrChange) -> Result<PlacedPartition<'a>, IsrRefusal> {
    let topic = image.topic_by_id(wish.topic).ok_or(IsrRefusal::UnknownTopic(wish.topic))?;
    let index = usize::try_from(wish.partition).ok();
    let unknown = IsrRefusal::UnknownPartition { topic: wish.topic, partition: wish.partition };
    let partition = index.and_then(|index| topic.partitions.get(index)).ok_or(unknown)?;
    let (leader_epoch, partition_epoch) = (wish.leader_epoch, wish.partition_epoch);
    if leader_epoch > partition.leader_epoch || partition_epoch > partition.partition_epoch {
        return Err(IsrRefusal::AheadOfImage { leader_epoch, partition_epoch });
    }
    if leader_epoch < partition.leader_epoch {
        return Err(IsrRefusal::FencedEpoch { sent: leader_epoch, current: partition.leader_epoch });
    }
    if partition.leader != Some(from) {
        return Err(IsrRefusal::NotLeader(from));
    }
    if partition_epoch < partition.partition_epoch {
        let current = partition.partition_epoch;
        return Err(IsrRefusal::StalePartition { sent: partition_epoch, current });
    }
    let is_member = |broker: BrokerId| wish.isr.iter().any(|(member, _)| *member == broker);
    if !is_member(from) {
        return Err(IsrRefusal::InvalidIsr { reason: "without the leader" });
    }
    for (position, (member, epoch)) in wish.isr.iter().enumerate() {
        if !partition.replicas.contains(member) {
            return Err(IsrRefusal::InvalidIsr { reason: "with a broker that is no replica" });
        }
        if wish.isr.iter().take(position).any(|(earlier, _)| earlier == member) {
            return Err(IsrRefusal::InvalidIsr { reason: "with a broker twice" });
        }
        let joins = !partition.isr.contains(member);
        check_member(image, *member, *epoch, joins)?;
    }
    Ok(PlacedPartition { topic, index: wish.partition, partition })
}

/// A member must be alive, and be the run of the broker that the leader has heard: the one before may have had records that
/// this one lost (KIP-903).
fn check_member(image: &Image, member: BrokerId, epoch: i64, joins: bool) -> Result<(), IsrRefusal> {
    let reason = match image.broker(member) {
        None => "it is not registered",
        Some(known) if known.fenced => "it is fenced",
        Some(known) if known.epoch != epoch => "its broker epoch is another",
        Some(known) if joins && known.shutting_down => "it is shutting down",
        Some(_) => return Ok(()),
    };
    Err(IsrRefusal::Ineligible { broker: member, reason })
}

fn accepted(from: BrokerId, record: &Record) -> Result<IsrAccepted, IsrRefusal> {
    match record {
        Record::PartitionChanged { leader, isr, partition_epoch, .. } if *leader == Some(from) => {
            Ok(IsrAccepted { isr: isr.clone(), partition_epoch: *partition_epoch })
        }
        _ => Err(IsrRefusal::NewLeader),
    }
}
