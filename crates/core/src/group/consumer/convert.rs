//! From a classic group to a consumer group and back, with its members (`group.consumer.migration.policy`).

use eddy_types::Millis;

use super::ConsumerGroup;
use super::classic::{by_id, to_bytes};
use super::member::{Member, MemberState};
use super::partitions::{OwnedPartitions, Partitions};
use super::protocol::{Assignment, Subscription};
use super::subscription::Subscriptions;
use crate::group::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Member as ClassicMember};
use crate::group::config::{GroupConfig, MigrationPolicy};
use crate::group::record::{
    ClassicGroupValue, ClassicMemberValue, ConsumerClassicMember, ConsumerGroupValue, ConsumerMemberValue,
    ConsumerTargetValue, GroupRecord, Str,
};
use crate::group::topics::ClusterTopics;

const DISABLED: &str = "it is a classic group, and changing over is disabled";
const NOT_CONSUMERS: &str = "it is a classic group whose members are no consumers";
const TOO_LARGE: &str = "it is a classic group with more members than a consumer group may have";
const MALFORMED: &str = "it is a classic group, and what its members said cannot be read";
const OWN_ASSIGNOR: &str = "it is a classic group whose members use an assignor of their own";

/// The consumer group that a classic group with members becomes, and the records that say so; else why it cannot.
///
/// Members keep what their leader assigned to them, at an epoch that is their generation.
pub(super) fn upgrade(
    classic: &ClassicGroup,
    config: &GroupConfig,
    topics: &ClusterTopics,
) -> Result<(ConsumerGroup, Vec<GroupRecord>), &'static str> {
    if !matches!(config.consumer.migration_policy, MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade)
    {
        return Err(DISABLED);
    }
    if !classic.is_of_consumers() {
        return Err(NOT_CONSUMERS);
    }
    if classic.members.len() > config.consumer.size_max {
        return Err(TOO_LARGE);
    }
    let mut members = Vec::new();
    let mut taken = Partitions::default();
    for member in classic.members.iter() {
        let mut consumer = upgrade_member(member, classic, topics)?;
        // A leader may have given a partition to two: only one of them keeps it.
        consumer.assigned = consumer.assigned.split(|topic, partition| !taken.contains(topic, partition)).0;
        taken.extend(consumer.assigned.partitions().iter());
        members.push((member.id.clone(), consumer));
    }
    let mut group = ConsumerGroup::new(classic.id.clone());
    let records = upgrade_records(&classic.id, classic.generation, members, topics);
    records.iter().for_each(|record| group.replay(record));
    Ok((group, records))
}

fn upgrade_member(
    member: &ClassicMember,
    classic: &ClassicGroup,
    topics: &ClusterTopics,
) -> Result<Member, &'static str> {
    let assignment = Assignment::parse(&member.assignment).map_err(|_| MALFORMED)?;
    if assignment.has_user_data {
        return Err(OWN_ASSIGNOR);
    }
    let chosen =
        classic.protocol.as_ref().and_then(|name| member.protocols.iter().find(|known| known.name == *name));
    let metadata = chosen.or(member.protocols.first()).map_or(&[][..], |protocol| &protocol.metadata);
    let subscription = Subscription::parse(metadata).map_err(|_| MALFORMED)?;
    let epoch = classic.generation;
    let assigned = by_id(&assignment.partitions, topics);
    Ok(Member {
        wishes: ConsumerMemberValue {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topic_names: subscription.topics,
            topic_regex: None,
            rebalance_timeout: member.rebalance_timeout,
            assignor: None,
            classic: Some(ConsumerClassicMember {
                session_timeout: member.session_timeout,
                protocols: member.protocols.clone(),
            }),
        },
        epoch,
        previous_epoch: epoch,
        state: MemberState::Stable,
        assigned: assigned.iter().map(|(topic, partition)| (topic, partition, epoch)).collect(),
        revoking: OwnedPartitions::default(),
    })
}

/// First who the members are, then the epoch, the target, and last what each member has.
fn upgrade_records(
    group: &Str,
    epoch: i32,
    members: Vec<(Str, Member)>,
    topics: &ClusterTopics,
) -> Vec<GroupRecord> {
    let id = || group.clone();
    let mut records = Vec::new();
    let mut subscriptions = Subscriptions::default();
    for (member, consumer) in &members {
        subscriptions.add(&consumer.wishes);
        let value = Some(consumer.wishes.clone());
        records.push(GroupRecord::ConsumerMember { group: id(), member: member.clone(), value });
    }
    let value = Some(ConsumerGroupValue { epoch, metadata_hash: subscriptions.metadata_hash(topics) });
    records.push(GroupRecord::ConsumerGroup { group: id(), value });
    for (member, consumer) in &members {
        let value = Some(consumer.assigned.partitions().to_record());
        records.push(GroupRecord::ConsumerTargetMember { group: id(), member: member.clone(), value });
    }
    let value = Some(ConsumerTargetValue { epoch, timestamp: Millis(0) });
    records.push(GroupRecord::ConsumerTarget { group: id(), value });
    for (member, consumer) in members {
        let value = Some(consumer.current_value());
        records.push(GroupRecord::ConsumerCurrentMember { group: id(), member, value });
    }
    records
}

impl ConsumerGroup {
    /// Whether a member speaks the consumer protocol.
    pub(super) fn has_consumers(&self) -> bool {
        self.members.values().any(|member| !member.is_classic())
    }

    /// Whether every member is where the group is.
    pub(super) fn is_settled(&self) -> bool {
        self.members.values().all(|member| member.is_reconciled_to(self.epoch))
    }

    /// Whether the group may become a classic one when these leave: some remain, and all of those are classic.
    pub(super) fn is_classic_without(&self, leaving: &[Str], config: &GroupConfig) -> bool {
        let policy = config.consumer.migration_policy;
        let remaining = || self.members.iter().filter(|(id, _)| !leaving.contains(id));
        matches!(policy, MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade)
            && remaining().all(|(_, member)| member.is_classic())
            && (1..=config.size_max).contains(&remaining().count())
    }

    /// The classic group that the members make without those that leave, in a generation that is the group epoch.
    /// `None` if some of them is not classic, or none remains.
    pub(super) fn downgraded(
        &self,
        leaving: &[Str],
        now: Millis,
        topics: &ClusterTopics,
    ) -> Option<ClassicGroupValue> {
        let remaining = self.members.iter().filter(|(id, _)| !leaving.contains(id));
        let classic: Option<Vec<_>> =
            remaining.map(|(id, member)| Some((id, member, member.wishes.classic.as_ref()?))).collect();
        let classic = classic?;
        let (leader, _, first) = classic.first()?;
        // Members are admitted only with a protocol that all of them know.
        let is_known = |name: &Str| {
            classic.iter().all(|(_, _, member)| member.protocols.iter().any(|known| known.name == *name))
        };
        let protocol = first.protocols.iter().map(|protocol| &protocol.name).find(|name| is_known(name))?;
        let members =
            classic.iter().map(|(id, member, said)| downgrade_member(id, member, said, protocol, topics));
        Some(ClassicGroupValue {
            protocol_type: CONSUMER_PROTOCOL_TYPE.into(),
            generation: self.epoch,
            protocol: Some(protocol.clone()),
            leader: Some((*leader).clone()),
            state_timestamp: Some(now),
            members: members.collect(),
        })
    }
}

fn downgrade_member(
    id: &Str,
    member: &Member,
    said: &ConsumerClassicMember,
    protocol: &Str,
    topics: &ClusterTopics,
) -> ClassicMemberValue {
    let chosen = said.protocols.iter().find(|known| known.name == *protocol);
    let subscription = chosen.map_or_else(|| [].into(), |chosen| chosen.metadata.clone());
    ClassicMemberValue {
        member: id.clone(),
        instance: member.wishes.instance.clone(),
        client_id: member.wishes.client_id.clone(),
        client_host: member.wishes.client_host.clone(),
        rebalance_timeout: member.wishes.rebalance_timeout,
        session_timeout: said.session_timeout,
        assignment: to_bytes(&member.assigned.partitions(), &subscription, topics),
        subscription,
    }
}
