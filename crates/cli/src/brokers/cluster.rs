//! What metadata says of a cluster.

use eddy_client::PartitionName;
use eddy_client::messages::MetadataResponse;
use eddy_client::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use eddy_types::{BrokerId, ErrorCode, TopicId};

use crate::Address;
use crate::error::CliError;

/// A cluster as one of its brokers sees it. Brokers, topics and partitions are in order.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// The cluster's id; none from brokers that have none.
    pub id: Option<String>,
    /// Whom the broker names as the controller.
    pub controller: Option<BrokerId>,
    /// The brokers that are alive.
    pub nodes: Vec<Node>,
    /// The topics that were asked for.
    pub topics: Vec<Topic>,
}

/// A broker.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its id.
    pub id: BrokerId,
    /// What it advertises.
    pub address: Address,
    /// Its rack.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Its name.
    pub name: String,
    /// Its id; zero from a broker older than topic ids.
    pub id: TopicId,
    /// Whether it belongs to the brokers themselves.
    pub is_internal: bool,
    /// What is the matter with it, 0 for nothing.
    pub error: i16,
    /// Its partitions, in order.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// Its index in the topic.
    pub index: i32,
    /// Its leader; [`BrokerId::NONE`] when it has none.
    pub leader: BrokerId,
    /// Epoch of the leader.
    pub leader_epoch: i32,
    /// Where it is kept, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Which of them are in sync.
    pub isr: Vec<BrokerId>,
    /// Which of them are on brokers or disks that are not there.
    pub offline: Vec<BrokerId>,
}

impl Cluster {
    pub(crate) fn new(answer: MetadataResponse) -> Cluster {
        let node = |broker: eddy_client::messages::metadata_response::MetadataResponseBroker| Node {
            id: BrokerId(broker.node_id.0),
            address: Address {
                host: broker.host.to_string(),
                port: u16::try_from(broker.port).unwrap_or_default(),
            },
            rack: broker.rack.map(|rack| rack.to_string()),
        };
        let mut nodes: Vec<Node> = answer.brokers.into_iter().map(node).collect();
        nodes.sort_unstable_by_key(|node| node.id);
        let mut topics: Vec<Topic> = answer.topics.into_iter().map(Topic::new).collect();
        topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Cluster {
            id: answer.cluster_id.map(|id| id.to_string()),
            controller: Some(BrokerId(answer.controller_id.0)).filter(|id| *id != BrokerId::NONE),
            nodes,
            topics,
        }
    }

    /// A topic by its name.
    ///
    /// # Errors
    /// It does not exist, or the broker says something else about it.
    pub(crate) fn topic(&self, name: &str) -> Result<&Topic, CliError> {
        let topic = self.topics.iter().find(|topic| topic.name == name);
        let topic = topic.ok_or_else(|| CliError::not_found(format!("no such topic: {name}")))?;
        match ErrorCode::from_code(topic.error) {
            Some(ErrorCode::None | ErrorCode::LeaderNotAvailable) => Ok(topic),
            Some(ErrorCode::UnknownTopicOrPartition) => {
                Err(CliError::not_found(format!("no such topic: {name}"))
                    .fix("eddy topic ls", "list the topics"))
            }
            _ => Err(CliError::refused(format!("topic {name}"), topic.error, None)),
        }
    }
}

impl Topic {
    fn new(topic: MetadataResponseTopic) -> Topic {
        let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(Partition::new).collect();
        partitions.sort_unstable_by_key(|partition| partition.index);
        Topic {
            name: topic.name.map(|name| name.to_string()).unwrap_or_default(),
            id: TopicId(*topic.topic_id.as_bytes()),
            is_internal: topic.is_internal,
            error: topic.error_code,
            partitions,
        }
    }

    /// The name of a partition in requests.
    #[must_use]
    pub(crate) fn partition(&self, index: i32) -> PartitionName {
        PartitionName { topic: self.name.clone().into(), topic_id: self.id, index }
    }

    /// Replicas of a partition: the most that one has.
    #[must_use]
    pub(crate) fn replication_factor(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
    }
}

impl Partition {
    fn new(partition: MetadataResponsePartition) -> Partition {
        let ids =
            |ids: Vec<eddy_client::messages::BrokerId>| ids.into_iter().map(|id| BrokerId(id.0)).collect();
        Partition {
            index: partition.partition_index,
            leader: BrokerId(partition.leader_id.0),
            leader_epoch: partition.leader_epoch,
            replicas: ids(partition.replica_nodes),
            isr: ids(partition.isr_nodes),
            offline: ids(partition.offline_replicas),
        }
    }
}
