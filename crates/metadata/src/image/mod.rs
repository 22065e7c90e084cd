//! The cluster as this broker knows it: everything committed so far, applied.
//!
//! An image is immutable to its readers: the applier clones it (maps share their entries), applies the next records and
//! publishes the new one. Two brokers that applied the same records hold equal images; only [`Local`], the lens through
//! which this broker resolves topic configurations, is its own and is never stored.

mod apply;
mod query;
mod replicas;
mod shared_map;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use apply::ApplyError;
use eddy_types::{BrokerId, ClusterId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId};
pub use query::{PartitionCounts, PlacedPartition};
use serde::{Deserialize, Serialize};
pub use snapshot::SnapshotError;

use self::shared_map::SharedMap;
use crate::config::{BrokerConfig, ClientMetricsConfig, GroupConfig, Overrides, StaticConfig, TopicConfig};
use crate::quota::ClientQuotas;
use crate::record::Endpoint;

/// Everything the metadata group has committed, as of one record.
#[derive(Clone, Debug)]
pub struct Image {
    version: u64,
    cluster_id: Option<ClusterId>,
    brokers: Arc<BTreeMap<BrokerId, Broker>>,
    topics: SharedMap<Arc<str>, Arc<Topic>>,
    names: SharedMap<TopicId, Arc<str>>,
    removed: Arc<BTreeMap<TopicId, RemovedTopic>>,
    removed_replicas: Arc<BTreeSet<(BrokerId, TopicId, i32)>>,
    broker_configs: Arc<BTreeMap<BrokerId, Overrides>>,
    broker_default_configs: Arc<Overrides>,
    group_configs: Arc<BTreeMap<String, Overrides>>,
    client_metrics: Arc<BTreeMap<String, Overrides>>,
    client_quotas: Arc<ClientQuotas>,
    next_producer_id: ProducerId,
    local: Arc<Local>,
    broker_config: Arc<BrokerConfig>,
    topic_defaults: Arc<TopicConfig>,
    group_defaults: Arc<GroupConfig>,
}

/// What this broker adds to the image to resolve configurations: who it is and what its file, environment and flags say.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// This broker.
    pub broker: BrokerId,
    /// Its static configuration.
    pub config: StaticConfig,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// `node.id`.
    pub id: BrokerId,
    /// Random number of its current run.
    pub incarnation: u64,
    /// Rises at each registration; fences requests of an earlier run (KIP-903).
    pub epoch: i64,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether it counts as dead.
    pub fenced: bool,
    /// Random id of its data directory; zero when it never told one.
    #[serde(default, with = "crate::record::directory")]
    pub directory: [u8; 16],
    /// Whether it is about to stop: it serves, but leads nothing new.
    #[serde(default)]
    pub shutting_down: bool,
    /// Whether it is to be emptied: it serves, but gets nothing new.
    #[serde(default)]
    pub draining: bool,
}

impl Broker {
    /// Whether it may lead, join an ISR and be told to clients: alive, and not about to stop.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }

    /// Whether it may get new replicas and leaderships.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        self.is_active() && !self.draining
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Identity.
    pub id: TopicId,
    /// Name.
    pub name: Arc<str>,
    /// Partitions by index.
    pub partitions: Vec<Partition>,
    /// Configuration overrides in canonical text.
    pub overrides: Overrides,
    /// The configuration in force on this broker.
    pub config: Arc<TopicConfig>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Brokers that hold it; the first is the preferred leader.
    pub replicas: Arc<[BrokerId]>,
    /// The leader, `None` while there is none.
    pub leader: Option<BrokerId>,
    /// Epoch of the leader (or of the last one); never falls.
    pub leader_epoch: LeaderEpoch,
    /// In-sync replicas. Never empty, but for one case: the data directory of the last one was replaced, and nobody holds
    /// the records any more. Only then may a fenced broker not be the only member.
    pub isr: Arc<[BrokerId]>,
    /// Eligible leader replicas (KIP-966): outside the ISR, but they hold everything below the high watermark, which stands
    /// still while the ISR is below `min.insync.replicas`. Empty otherwise.
    #[serde(default = "no_brokers", skip_serializing_if = "<[_]>::is_empty")]
    pub elr: Arc<[BrokerId]>,
    /// Replicas that a reassignment adds (KIP-455); they are among `replicas`.
    #[serde(default = "no_brokers", skip_serializing_if = "<[_]>::is_empty")]
    pub adding: Arc<[BrokerId]>,
    /// Replicas that a reassignment removes once it is complete; they are among `replicas`.
    #[serde(default = "no_brokers", skip_serializing_if = "<[_]>::is_empty")]
    pub removing: Arc<[BrokerId]>,
    /// Version of leader, ISR and replicas, for compare-and-set (KIP-497).
    pub partition_epoch: PartitionEpoch,
}

fn no_brokers() -> Arc<[BrokerId]> {
    Arc::from([])
}

impl Partition {
    /// Whether replicas are moving.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas it will have when no reassignment is under way, preferred leader first.
    pub fn target_replicas(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.replicas.iter().copied().filter(|id| !self.removing.contains(id))
    }
}

/// A removed topic whose data is still on some disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedTopic {
    /// Name it had.
    pub name: Arc<str>,
    /// Brokers that have not yet reclaimed its directories.
    pub brokers: BTreeSet<BrokerId>,
}

static NO_OVERRIDES: Overrides = Overrides::new();

impl Image {
    /// The image before the first record, seen by `local`.
    #[must_use]
    pub fn empty(local: Arc<Local>) -> Image {
        let mut image = Image {
            version: 0,
            cluster_id: None,
            brokers: Arc::default(),
            topics: SharedMap::default(),
            names: SharedMap::default(),
            removed: Arc::default(),
            removed_replicas: Arc::default(),
            broker_configs: Arc::default(),
            broker_default_configs: Arc::default(),
            group_configs: Arc::default(),
            client_metrics: Arc::default(),
            client_quotas: Arc::default(),
            next_producer_id: ProducerId(0),
            local,
            broker_config: Arc::default(),
            topic_defaults: Arc::default(),
            group_defaults: Arc::default(),
        };
        image.resolve_configs();
        image
    }

    /// The configuration in force on the broker that sees the image.
    #[must_use]
    pub fn broker_config(&self) -> &Arc<BrokerConfig> {
        &self.broker_config
    }

    /// The configuration of topics without overrides on the broker that sees the image.
    #[must_use]
    pub fn topic_defaults(&self) -> &Arc<TopicConfig> {
        &self.topic_defaults
    }

    /// The configuration of groups without overrides on the broker that sees the image.
    #[must_use]
    pub fn group_defaults(&self) -> &Arc<GroupConfig> {
        &self.group_defaults
    }

    /// The configuration in force for a group, whether it exists or not. Cheap for a group without overrides.
    #[must_use]
    pub fn group_config(&self, group: &str) -> Arc<GroupConfig> {
        GroupConfig::resolve(self.group_overrides(group), self)
    }

    /// Configuration overrides of a group, by key.
    #[must_use]
    pub fn group_overrides(&self, group: &str) -> &Overrides {
        self.group_configs.get(group).unwrap_or(&NO_OVERRIDES)
    }

    /// Groups with configuration overrides, by id.
    pub fn configured_groups(&self) -> impl Iterator<Item = &str> {
        self.group_configs.keys().map(String::as_str)
    }

    /// The subscriptions to client metrics, by name (KIP-714). They change only with [`Image::version`]: a caller that asks
    /// often keeps the compiled patterns.
    pub fn client_metrics_subscriptions(&self) -> impl Iterator<Item = (&str, ClientMetricsConfig)> {
        self.client_metrics.iter().map(|(name, set)| (name.as_str(), ClientMetricsConfig::resolve(set)))
    }

    /// What is set of a subscription to client metrics, by key; nothing when there is no such subscription.
    #[must_use]
    pub fn client_metrics_overrides(&self, name: &str) -> &Overrides {
        self.client_metrics.get(name).unwrap_or(&NO_OVERRIDES)
    }

    /// Names of the subscriptions to client metrics.
    pub fn client_metrics_names(&self) -> impl Iterator<Item = &str> {
        self.client_metrics.keys().map(String::as_str)
    }

    /// Number of records applied since the cluster came to be.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Identity of the cluster, `None` only before its first record.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// Who sees this image.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// Registered brokers, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// Registered brokers that are not fenced, by id.
    pub fn alive_brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers().filter(|broker| !broker.fenced)
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.names.get(&id).and_then(|name| self.topics.get(name))
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// Number of topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Removed topics whose data is not reclaimed everywhere. Only what stands here may be deleted from disk: a topic that
    /// is merely missing from the image is no proof that it was removed.
    pub fn removed_topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &RemovedTopic)> {
        self.removed.iter().map(|(id, removed)| (*id, removed))
    }

    /// A removed topic whose data is not reclaimed everywhere.
    #[must_use]
    pub fn removed_topic(&self, id: TopicId) -> Option<&RemovedTopic> {
        self.removed.get(&id)
    }

    /// Dynamic configuration of one broker.
    #[must_use]
    pub fn broker_overrides(&self, broker: BrokerId) -> &Overrides {
        self.broker_configs.get(&broker).unwrap_or(&NO_OVERRIDES)
    }

    /// Dynamic configuration of every broker.
    #[must_use]
    pub fn broker_default_overrides(&self) -> &Overrides {
        &self.broker_default_configs
    }

    /// Quotas of clients.
    #[must_use]
    pub fn client_quotas(&self) -> &ClientQuotas {
        &self.client_quotas
    }

    /// First producer id that no block contains.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
