//! The image as bytes: what a broker that is too far behind, or that starts again, reads instead of all records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eddy_types::{BrokerId, ClusterId, ProducerId, TopicId};
use serde::{Deserialize, Serialize};

use super::{Broker, Image, Local, Partition, RemovedTopic, Topic};
use crate::config::{Overrides, TopicConfig};
use crate::quota::{ClientQuotas, StoredQuotas};

/// Version of the form below; raised when an older broker would misread it.
const VERSION: u32 = 2;

/// Why a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A newer broker wrote it.
    #[error("metadata snapshot has version {version}, this broker reads up to {VERSION}")]
    NewerVersion {
        /// Version of the snapshot.
        version: u32,
    },
    /// Not what any broker writes.
    #[error("malformed metadata snapshot: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
}

#[derive(Deserialize)]
struct Head {
    snapshot: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    snapshot: u32,
    version: u64,
    cluster_id: Option<ClusterId>,
    brokers: Vec<Broker>,
    topics: Vec<StoredTopic>,
    removed: BTreeMap<TopicId, RemovedTopic>,
    // Empty in version 1.
    #[serde(default)]
    removed_replicas: BTreeSet<(BrokerId, TopicId, i32)>,
    broker_configs: BTreeMap<BrokerId, Overrides>,
    broker_default_configs: Overrides,
    // Empty in what was written before there were such.
    #[serde(default)]
    group_configs: BTreeMap<String, Overrides>,
    #[serde(default)]
    client_metrics: BTreeMap<String, Overrides>,
    #[serde(default)]
    client_quotas: Vec<StoredQuotas>,
    next_producer_id: ProducerId,
}

#[derive(Serialize, Deserialize)]
struct StoredTopic {
    id: TopicId,
    name: Arc<str>,
    partitions: Vec<Partition>,
    configs: Overrides,
}

impl Image {
    /// The image as bytes; equal on all brokers that applied the same records.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let stored = Stored {
            snapshot: VERSION,
            version: self.version,
            cluster_id: self.cluster_id,
            brokers: self.brokers().cloned().collect(),
            topics: self.topics().map(|topic| StoredTopic::from(&**topic)).collect(),
            removed: (*self.removed).clone(),
            removed_replicas: (*self.removed_replicas).clone(),
            broker_configs: (*self.broker_configs).clone(),
            broker_default_configs: (*self.broker_default_configs).clone(),
            group_configs: (*self.group_configs).clone(),
            client_metrics: (*self.client_metrics).clone(),
            client_quotas: self.client_quotas.to_stored(),
            next_producer_id: self.next_producer_id,
        };
        // Serialising can only fail on maps with keys that are not text, and these types have none.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads what [`Image::to_snapshot`] wrote, to be seen by `local`.
    pub fn from_snapshot(bytes: &[u8], local: Arc<Local>) -> Result<Image, SnapshotError> {
        let malformed = |error: serde_json::Error| SnapshotError::Malformed { detail: error.to_string() };
        let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
        if head.snapshot > VERSION {
            return Err(SnapshotError::NewerVersion { version: head.snapshot });
        }
        let stored: Stored = serde_json::from_slice(bytes).map_err(malformed)?;
        let mut image = Image {
            version: stored.version,
            cluster_id: stored.cluster_id,
            brokers: Arc::new(stored.brokers.into_iter().map(|broker| (broker.id, broker)).collect()),
            removed: Arc::new(stored.removed),
            removed_replicas: Arc::new(stored.removed_replicas),
            broker_configs: Arc::new(stored.broker_configs),
            broker_default_configs: Arc::new(stored.broker_default_configs),
            group_configs: Arc::new(stored.group_configs),
            client_metrics: Arc::new(stored.client_metrics),
            client_quotas: Arc::new(ClientQuotas::from_stored(stored.client_quotas)),
            next_producer_id: stored.next_producer_id,
            ..Image::empty(local)
        };
        image.resolve_configs();
        let names = stored.topics.iter().map(|topic| (topic.id, topic.name.clone())).collect();
        let topics =
            stored.topics.into_iter().map(|topic| (topic.name.clone(), Arc::new(topic.resolve(&image))));
        let topics = topics.collect();
        image.names = names;
        image.topics = topics;
        Ok(image)
    }
}

impl From<&Topic> for StoredTopic {
    fn from(topic: &Topic) -> StoredTopic {
        StoredTopic {
            id: topic.id,
            name: topic.name.clone(),
            partitions: topic.partitions.clone(),
            configs: topic.overrides.clone(),
        }
    }
}

impl StoredTopic {
    fn resolve(self, image: &Image) -> Topic {
        let config = TopicConfig::resolve(&self.configs, image);
        Topic { id: self.id, name: self.name, partitions: self.partitions, overrides: self.configs, config }
    }
}
