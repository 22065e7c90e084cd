//! Records change the image, here and nowhere else.
//!
//! Application is deterministic: the same records give the same image, or the same refusal, on every broker, now and at
//! each replay. A refused record was decided against an older state: it changes nothing, and its proposer decides anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eddy_types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId};

use super::{Broker, Image, Partition, RemovedTopic, Topic};
use crate::config::{BrokerConfig, GroupConfig, Overrides, TopicConfig};
use crate::record::{PartitionAssignment, Record, Resource};

/// Why a record does not fit the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum ApplyError {
    /// The cluster has another identity already.
    #[error("cluster was created already")]
    ClusterExists,
    /// No registration of the broker.
    #[error("no such broker: {0}")]
    UnknownBroker(BrokerId),
    /// No topic of this id.
    #[error("no such topic: {0}")]
    UnknownTopic(TopicId),
    /// A topic of this name or id is there, or waits for reclamation.
    #[error("topic exists: {name} ({topic_id})")]
    TopicExists {
        /// Name of the new topic.
        name: String,
        /// Id of the new topic.
        topic_id: TopicId,
    },
    /// No such partition.
    #[error("topic {topic_id} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic_id: TopicId,
        /// Index asked for.
        partition: i32,
    },
    /// The new partitions do not follow those there are.
    #[error("partitions of topic {topic_id} are added from {first}, it has {count}")]
    PartitionGap {
        /// The topic.
        topic_id: TopicId,
        /// Index of the first new one.
        first: i32,
        /// Partitions there are.
        count: usize,
    },
    /// An epoch went backwards or a change was not made against the current state.
    #[error(
        "stale change of topic {topic_id} partition {partition}: leader epoch {leader_epoch}, partition epoch {partition_epoch}"
    )]
    StaleEpoch {
        /// The topic.
        topic_id: TopicId,
        /// Index of the partition.
        partition: i32,
        /// Leader epoch of the record.
        leader_epoch: LeaderEpoch,
        /// Partition epoch of the record.
        partition_epoch: PartitionEpoch,
    },
    /// Producer ids would be given twice.
    #[error("producer ids would go back to {0}")]
    ProducerIdsGoBack(eddy_types::ProducerId),
}

impl Image {
    /// Applies one record. On an error the image is unchanged.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::ClusterCreated { cluster_id } => {
                if self.cluster_id.is_some() {
                    return Err(ApplyError::ClusterExists);
                }
                self.cluster_id = Some(*cluster_id);
            }
            Record::BrokerRegistered { broker, incarnation, endpoints, rack, directory } => {
                let registered = Broker {
                    id: *broker,
                    incarnation: *incarnation,
                    // The number of the record: rises with each registration and is equal on all brokers.
                    epoch: i64::try_from(self.version).unwrap_or(i64::MAX),
                    endpoints: endpoints.clone(),
                    rack: rack.clone(),
                    fenced: false,
                    directory: *directory,
                    shutting_down: false,
                    draining: self.broker(*broker).is_some_and(|known| known.draining),
                };
                Arc::make_mut(&mut self.brokers).insert(*broker, registered);
            }
            Record::BrokerFenced { broker } => {
                let broker = self.broker_mut(*broker)?;
                broker.fenced = true;
                broker.shutting_down = false;
            }
            Record::BrokerShuttingDown { broker } => self.broker_mut(*broker)?.shutting_down = true,
            Record::BrokerDraining { broker, draining } => self.broker_mut(*broker)?.draining = *draining,
            Record::BrokerRemoved { broker } => self.remove_broker(*broker)?,
            Record::TopicCreated { topic_id, name, partitions, configs } => {
                self.create_topic(*topic_id, name, partitions, configs)?;
            }
            Record::PartitionsAdded { topic_id, first, partitions } => {
                self.add_partitions(*topic_id, *first, partitions)?;
            }
            Record::TopicRemoved { topic_id } => self.remove_topic(*topic_id)?,
            Record::PartitionChanged { .. } => self.change_partition(record)?,
            Record::ConfigsSet { resource, changes } => self.set_configs(resource, changes)?,
            Record::ClientQuotasSet { entity, changes } => {
                Arc::make_mut(&mut self.client_quotas).change(entity, changes);
            }
            Record::ProducerIdsAllocated { next, .. } => {
                if *next < self.next_producer_id {
                    return Err(ApplyError::ProducerIdsGoBack(*next));
                }
                self.next_producer_id = *next;
            }
            Record::DirectoriesReclaimed { broker, topic_ids, partitions } => {
                self.reclaim(*broker, topic_ids);
                self.reclaim_replicas(*broker, partitions);
            }
        }
        self.version += 1;
        Ok(())
    }

    fn create_topic(
        &mut self,
        topic_id: TopicId,
        name: &str,
        partitions: &[PartitionAssignment],
        configs: &Overrides,
    ) -> Result<(), ApplyError> {
        let taken = self.topics.contains_key(name)
            || self.names.contains_key(&topic_id)
            || self.removed.contains_key(&topic_id);
        if taken {
            return Err(ApplyError::TopicExists { name: name.to_owned(), topic_id });
        }
        let topic = Arc::new(Topic::new(self, topic_id, name, partitions, configs));
        self.names.insert(topic_id, topic.name.clone());
        self.topics.insert(topic.name.clone(), topic);
        Ok(())
    }

    fn add_partitions(
        &mut self,
        topic_id: TopicId,
        first: i32,
        partitions: &[PartitionAssignment],
    ) -> Result<(), ApplyError> {
        let topic = self.topic_mut(topic_id)?;
        let count = topic.partitions.len();
        if usize::try_from(first) != Ok(count) {
            return Err(ApplyError::PartitionGap { topic_id, first, count });
        }
        topic.partitions.extend(partitions.iter().map(Partition::new));
        Ok(())
    }

    fn remove_topic(&mut self, topic_id: TopicId) -> Result<(), ApplyError> {
        let name = self.names.remove(&topic_id);
        let name = name.ok_or(ApplyError::UnknownTopic(topic_id))?;
        let topic = self.topics.remove(&name);
        let mut brokers: BTreeSet<BrokerId> =
            topic.iter().flat_map(|t| &t.partitions).flat_map(|p| p.replicas.iter().copied()).collect();
        // What replicas left behind that moved away before goes with the rest.
        if self.removed_replicas.iter().any(|(_, topic, _)| *topic == topic_id) {
            let owed = Arc::make_mut(&mut self.removed_replicas);
            brokers
                .extend(owed.iter().filter(|(_, topic, _)| *topic == topic_id).map(|(broker, ..)| *broker));
            owed.retain(|(_, topic, _)| *topic != topic_id);
        }
        if !brokers.is_empty() {
            Arc::make_mut(&mut self.removed).insert(topic_id, RemovedTopic { name, brokers });
        }
        Ok(())
    }

    fn broker_mut(&mut self, broker: BrokerId) -> Result<&mut Broker, ApplyError> {
        Arc::make_mut(&mut self.brokers).get_mut(&broker).ok_or(ApplyError::UnknownBroker(broker))
    }

    /// What a broker owes when it leaves for good it will never pay.
    fn remove_broker(&mut self, broker: BrokerId) -> Result<(), ApplyError> {
        let removed = Arc::make_mut(&mut self.brokers).remove(&broker);
        removed.ok_or(ApplyError::UnknownBroker(broker))?;
        let topic_ids: Vec<TopicId> = self.removed.keys().copied().collect();
        self.reclaim(broker, &topic_ids);
        if self.removed_replicas_of(broker).next().is_some() {
            Arc::make_mut(&mut self.removed_replicas).retain(|(owing, ..)| *owing != broker);
        }
        Ok(())
    }

    fn set_configs(
        &mut self,
        resource: &Resource,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ApplyError> {
        match resource {
            Resource::Topic(topic_id) => {
                let mut overrides = self.topic_mut(*topic_id)?.overrides.clone();
                merge(&mut overrides, changes);
                let config = TopicConfig::resolve(&overrides, self);
                let topic = self.topic_mut(*topic_id)?;
                topic.overrides = overrides;
                topic.config = config;
            }
            Resource::Broker(broker) => {
                merge_entry(Arc::make_mut(&mut self.broker_configs), broker, changes);
                self.resolve_configs();
            }
            Resource::BrokerDefault => {
                merge(Arc::make_mut(&mut self.broker_default_configs), changes);
                self.resolve_configs();
            }
            Resource::Group(group) => merge_entry(Arc::make_mut(&mut self.group_configs), group, changes),
            Resource::ClientMetrics(name) => {
                merge_entry(Arc::make_mut(&mut self.client_metrics), name, changes);
            }
        }
        Ok(())
    }

    /// Broker-level values are the defaults of topics: a change reaches all of them.
    pub(super) fn resolve_configs(&mut self) {
        self.broker_config = Arc::new(BrokerConfig::resolve(self));
        self.topic_defaults = Arc::new(TopicConfig::defaults(self));
        self.group_defaults = Arc::new(GroupConfig::defaults(self));
        let resolve = |topic: &Topic| TopicConfig::resolve(&topic.overrides, self);
        let resolved = self.topics().map(|topic| (topic, resolve(topic)));
        let changed: Vec<_> = resolved
            .filter(|(topic, config)| topic.config != *config)
            .map(|(topic, config)| (topic.name.clone(), config))
            .collect();
        for (name, config) in changed {
            if let Some(topic) = self.topics.get_mut(&name) {
                Arc::make_mut(topic).config = config;
            }
        }
    }

    pub(super) fn topic_mut(&mut self, topic_id: TopicId) -> Result<&mut Topic, ApplyError> {
        let unknown = ApplyError::UnknownTopic(topic_id);
        let name = self.names.get(&topic_id).ok_or_else(|| unknown.clone())?;
        self.topics.get_mut(name).map(Arc::make_mut).ok_or(unknown)
    }
}

impl Topic {
    /// A new topic as it will stand in the image.
    pub(crate) fn new(
        image: &Image,
        id: TopicId,
        name: &str,
        partitions: &[PartitionAssignment],
        overrides: &Overrides,
    ) -> Topic {
        Topic {
            id,
            name: name.into(),
            partitions: partitions.iter().map(Partition::new).collect(),
            overrides: overrides.clone(),
            config: TopicConfig::resolve(overrides, image),
        }
    }
}

impl Partition {
    fn new(assignment: &PartitionAssignment) -> Partition {
        Partition {
            replicas: assignment.replicas.as_slice().into(),
            leader: assignment.leader,
            leader_epoch: LeaderEpoch(0),
            isr: assignment.isr.as_slice().into(),
            elr: Arc::from([]),
            adding: Arc::from([]),
            removing: Arc::from([]),
            partition_epoch: PartitionEpoch(0),
        }
    }
}

/// Merges into the overrides of one resource; a resource without any is not kept.
fn merge_entry<K: Ord + Clone>(
    configs: &mut BTreeMap<K, Overrides>,
    resource: &K,
    changes: &BTreeMap<String, Option<String>>,
) {
    let overrides = configs.entry(resource.clone()).or_default();
    merge(overrides, changes);
    if overrides.is_empty() {
        configs.remove(resource);
    }
}

fn merge(overrides: &mut Overrides, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => overrides.insert(key.clone(), value.clone()),
            None => overrides.remove(key),
        };
    }
}
