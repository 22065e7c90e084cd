//! Metadata records: what the metadata group commits, and their form on disk and between brokers.
//!
//! A record is one JSON object, `{"type": "topic_created", "version": 1, "body": {…}}`. A field may be added to a body
//! without a new version only when a reader that ignores it still does the right thing; everything else is a new version
//! or a new type, which older brokers refuse by name instead of misreading.

use std::collections::BTreeMap;

use eddy_types::{BrokerId, ClusterId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::quota::{QuotaEntity, QuotaKey, QuotaValue};

/// One committed change of the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", rename_all = "snake_case")]
pub enum Record {
    /// The cluster came to be; once, before every other record.
    ClusterCreated {
        /// Identity of the cluster.
        cluster_id: ClusterId,
    },
    /// A broker started, or changed its endpoints; replaces its former registration at once and unfences it.
    BrokerRegistered {
        /// `node.id` of the broker.
        broker: BrokerId,
        /// Random number of this run of the process: tells a restart from a repeated request.
        incarnation: u64,
        /// Where clients and brokers reach it, by listener name.
        endpoints: Vec<Endpoint>,
        /// `broker.rack`, when set.
        rack: Option<String>,
        /// Random id of its data directory: tells a restart from a broker whose disk was replaced. Zero in what was
        /// written before there were such ids.
        #[serde(default, with = "directory", skip_serializing_if = "is_unknown")]
        directory: [u8; 16],
    },
    /// A broker is taken for dead, or has shut down: it counts as not alive until it registers again.
    BrokerFenced {
        /// The broker.
        broker: BrokerId,
    },
    /// A broker is about to stop: it still serves, but leads nothing new and joins no ISR until it registers again.
    BrokerShuttingDown {
        /// The broker.
        broker: BrokerId,
    },
    /// A broker is to be emptied (or no longer is); this outlives its restarts.
    BrokerDraining {
        /// The broker.
        broker: BrokerId,
        /// Whether it is to be emptied.
        draining: bool,
    },
    /// A broker is no longer part of the cluster. Whatever it owed is forgiven.
    BrokerRemoved {
        /// The broker.
        broker: BrokerId,
    },
    /// A topic came to be, with all its partitions.
    TopicCreated {
        /// Identity of the topic.
        topic_id: TopicId,
        /// Name of the topic.
        name: String,
        /// Its partitions, from index 0.
        partitions: Vec<PartitionAssignment>,
        /// Configuration overrides, in canonical text.
        configs: BTreeMap<String, String>,
    },
    /// A topic grew.
    PartitionsAdded {
        /// The topic.
        topic_id: TopicId,
        /// Index of the first new partition: the number of partitions before.
        first: i32,
        /// The new partitions.
        partitions: Vec<PartitionAssignment>,
    },
    /// A topic is gone. Its replicas owe the reclamation of its data.
    TopicRemoved {
        /// The topic.
        topic_id: TopicId,
    },
    /// A partition has another leader, ISR or replicas.
    PartitionChanged {
        /// The topic.
        topic_id: TopicId,
        /// Index of the partition.
        partition: i32,
        /// The leader, `None` while there is none.
        leader: Option<BrokerId>,
        /// Epoch of the leader; never below the one before.
        leader_epoch: LeaderEpoch,
        /// In-sync replicas.
        isr: Vec<BrokerId>,
        /// Replicas outside the ISR that hold everything below the high watermark (KIP-966).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        elr: Vec<BrokerId>,
        /// The replicas, when they are others than before or begin or end to move.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assignment: Option<Assignment>,
        /// One above the partition epoch before (KIP-497).
        partition_epoch: PartitionEpoch,
    },
    /// Configuration overrides of a resource were set (`Some`) or returned to their default (`None`).
    ConfigsSet {
        /// What the keys belong to.
        resource: Resource,
        /// Canonical key to canonical text.
        changes: BTreeMap<String, Option<String>>,
    },
    /// Quotas of an entity were set (`Some`) or removed (`None`).
    ClientQuotasSet {
        /// Whom they limit.
        entity: QuotaEntity,
        /// The limits.
        changes: BTreeMap<QuotaKey, Option<QuotaValue>>,
    },
    /// Producer ids below `next` are taken.
    ProducerIdsAllocated {
        /// The broker that got the block.
        broker: BrokerId,
        /// First id that nobody has.
        next: ProducerId,
    },
    /// A broker has removed the data of topics that were removed before, or of partitions that moved away from it.
    DirectoriesReclaimed {
        /// The broker.
        broker: BrokerId,
        /// The topics whose directories it removed, durably.
        topic_ids: Vec<TopicId>,
        /// The partitions of other topics whose directories it removed, durably.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        partitions: Vec<(TopicId, i32)>,
    },
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name of the listener.
    pub listener: String,
    /// Host that clients are told.
    pub host: String,
    /// Port that clients are told.
    pub port: u16,
}

/// Who holds a partition, and how that changes at present (KIP-455).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Brokers that hold the partition, those that leave it last; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// Those of the replicas that are new and not all in the ISR yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adding: Vec<BrokerId>,
    /// Those of the replicas that leave once the others are in the ISR.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removing: Vec<BrokerId>,
}

/// First state of a new partition: leader epoch 0, partition epoch 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionAssignment {
    /// Brokers that hold the partition; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// The leader, `None` when no replica is alive.
    pub leader: Option<BrokerId>,
    /// In-sync replicas: those alive at the time.
    pub isr: Vec<BrokerId>,
}

/// What configuration overrides belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A topic, by id: a topic made again under the name starts without overrides.
    Topic(TopicId),
    /// One broker.
    Broker(BrokerId),
    /// Every broker (Kafka's broker resource with an empty name).
    BrokerDefault,
    /// A group, by id, whether it exists or not.
    Group(String),
    /// A subscription to client metrics, by name (KIP-714); it exists while it has a key.
    ClientMetrics(String),
}

/// Why a stored record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer broker wrote it.
    #[error("metadata record of unknown type: {kind:?} (written by a newer version?)")]
    UnknownType {
        /// The type it names.
        kind: String,
    },
    /// A newer broker wrote it.
    #[error("metadata record {kind:?} has version {version}, this broker reads up to {supported}")]
    NewerVersion {
        /// Type of the record.
        kind: String,
        /// Its version.
        version: u64,
        /// Highest version this broker reads.
        supported: u64,
    },
    /// Not what any broker writes.
    #[error("malformed metadata record: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
}

impl Record {
    /// The stored form, see the module.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Serialising can only fail on maps with keys that are not text, and these types have none.
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        if let Some(object) = value.as_object_mut() {
            object.insert("version".to_owned(), Value::from(self.version()));
        }
        value
    }

    /// Reads the stored form.
    pub fn from_value(value: &Value) -> Result<Record, DecodeError> {
        let malformed = |detail: String| DecodeError::Malformed { detail };
        let kind =
            value.get("type").and_then(Value::as_str).ok_or_else(|| malformed("no type".to_owned()))?;
        let version =
            value.get("version").and_then(Value::as_u64).ok_or_else(|| malformed("no version".to_owned()))?;
        let supported =
            supported_version(kind).ok_or_else(|| DecodeError::UnknownType { kind: kind.to_owned() })?;
        if version > supported {
            return Err(DecodeError::NewerVersion { kind: kind.to_owned(), version, supported });
        }
        Record::deserialize(value).map_err(|error| malformed(error.to_string()))
    }

    fn version(&self) -> u64 {
        match self {
            Record::ConfigsSet { resource: Resource::Group(_) | Resource::ClientMetrics(_), .. } => 2,
            Record::BrokerRegistered { directory, .. } if !is_unknown(directory) => 2,
            Record::PartitionChanged { elr, assignment, .. } if !elr.is_empty() || assignment.is_some() => 2,
            Record::DirectoriesReclaimed { partitions, .. } if !partitions.is_empty() => 2,
            _ => 1,
        }
    }
}

/// Highest version that this broker reads of a record type; `None` for a type it does not know.
fn supported_version(kind: &str) -> Option<u64> {
    match kind {
        "cluster_created"
        | "broker_fenced"
        | "broker_shutting_down"
        | "broker_draining"
        | "broker_removed"
        | "topic_created"
        | "partitions_added"
        | "topic_removed"
        | "client_quotas_set"
        | "producer_ids_allocated" => Some(1),
        // Version 2 knows data directories.
        "broker_registered" => Some(2),
        // Version 2 knows eligible leaders and replicas that move.
        "partition_changed" | "directories_reclaimed" => Some(2),
        // Version 2 knows groups and client metrics.
        "configs_set" => Some(2),
        _ => None,
    }
}

/// The id of a data directory as text, like every other identity.
pub(crate) mod directory {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::ClusterId;

    pub(crate) fn serialize<S: Serializer>(directory: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        ClusterId(*directory).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        ClusterId::deserialize(from).map(|id| id.0)
    }
}

/// Whether a data directory's id is not known.
pub(crate) fn is_unknown(directory: &[u8; 16]) -> bool {
    *directory == [0; 16]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::QuotaName;
    use serde_json::json;

    fn every_record() -> Vec<Record> {
        let topic_id = TopicId([7; 16]);
        let assignment = PartitionAssignment {
            replicas: vec![BrokerId(1), BrokerId(2)],
            leader: Some(BrokerId(1)),
            isr: vec![BrokerId(1)],
        };
        vec![
            Record::ClusterCreated { cluster_id: ClusterId([1; 16]) },
            Record::BrokerRegistered {
                broker: BrokerId(1),
                incarnation: u64::MAX,
                endpoints: vec![Endpoint { listener: "kafka".into(), host: "localhost".into(), port: 9092 }],
                rack: Some("a".into()),
                directory: [0; 16],
            },
            Record::BrokerRegistered {
                broker: BrokerId(1),
                incarnation: 1,
                endpoints: vec![],
                rack: None,
                directory: [3; 16],
            },
            Record::BrokerFenced { broker: BrokerId(1) },
            Record::BrokerShuttingDown { broker: BrokerId(1) },
            Record::BrokerDraining { broker: BrokerId(1), draining: true },
            Record::BrokerRemoved { broker: BrokerId(1) },
            Record::TopicCreated {
                topic_id,
                name: "t".into(),
                partitions: vec![assignment.clone()],
                configs: BTreeMap::from([("retention.ms".into(), "1".into())]),
            },
            Record::PartitionsAdded { topic_id, first: 1, partitions: vec![assignment] },
            Record::TopicRemoved { topic_id },
            Record::PartitionChanged {
                topic_id,
                partition: 0,
                leader: None,
                leader_epoch: LeaderEpoch(3),
                isr: vec![],
                elr: vec![],
                assignment: None,
                partition_epoch: PartitionEpoch(4),
            },
            Record::PartitionChanged {
                topic_id,
                partition: 0,
                leader: Some(BrokerId(2)),
                leader_epoch: LeaderEpoch(4),
                isr: vec![BrokerId(2)],
                elr: vec![BrokerId(1)],
                assignment: Some(Assignment {
                    replicas: vec![BrokerId(2), BrokerId(3), BrokerId(1)],
                    adding: vec![BrokerId(3)],
                    removing: vec![BrokerId(1)],
                }),
                partition_epoch: PartitionEpoch(5),
            },
            Record::ConfigsSet {
                resource: Resource::BrokerDefault,
                changes: BTreeMap::from([("log.retention.ms".into(), None)]),
            },
            Record::ConfigsSet {
                resource: Resource::Group("g".into()),
                changes: BTreeMap::from([("consumer.session.timeout.ms".into(), Some("45000".into()))]),
            },
            Record::ConfigsSet {
                resource: Resource::ClientMetrics("all".into()),
                changes: BTreeMap::from([("interval.ms".into(), Some("1000".into()))]),
            },
            Record::ProducerIdsAllocated { broker: BrokerId(1), next: ProducerId(1000) },
            Record::ClientQuotasSet {
                entity: QuotaEntity {
                    user: Some(QuotaName::Exact("alice".into())),
                    client_id: Some(QuotaName::Default),
                    ip: None,
                },
                changes: BTreeMap::from([
                    (QuotaKey::ProducerByteRate, QuotaValue::new(QuotaKey::ProducerByteRate, 1e6).ok()),
                    (QuotaKey::RequestPercentage, None),
                ]),
            },
            Record::DirectoriesReclaimed {
                broker: BrokerId(1),
                topic_ids: vec![topic_id],
                partitions: vec![],
            },
            Record::DirectoriesReclaimed {
                broker: BrokerId(1),
                topic_ids: vec![],
                partitions: vec![(topic_id, 3)],
            },
        ]
    }

    #[test]
    fn every_record_comes_back_from_its_stored_form() {
        for record in every_record() {
            let text = record.to_value().to_string();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(Record::from_value(&value), Ok(record), "{text}");
        }
    }

    /// The bytes on disk are a promise: this changes only together with a version.
    #[test]
    fn stored_form_is_stable() {
        let stored: Vec<String> = every_record().iter().map(|record| record.to_value().to_string()).collect();
        expect_test::expect_file!["record_forms.txt"].assert_eq(&(stored.join("\n") + "\n"));
    }

    #[test]
    fn unknown_types_and_newer_versions_are_refused_by_name() {
        let unknown = json!({"type": "tea_made", "version": 1, "body": {}});
        assert_eq!(Record::from_value(&unknown), Err(DecodeError::UnknownType { kind: "tea_made".into() }));
        let newer = json!({"type": "broker_fenced", "version": 2, "body": {"broker": 1}});
        assert_eq!(
            Record::from_value(&newer),
            Err(DecodeError::NewerVersion { kind: "broker_fenced".into(), version: 2, supported: 1 })
        );
        for malformed in [json!({}), json!([]), json!({"type": "broker_fenced", "version": 1, "body": {}})] {
            assert!(matches!(Record::from_value(&malformed), Err(DecodeError::Malformed { .. })));
        }
    }
}
