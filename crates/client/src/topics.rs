//! Topics: look up, create, delete; where a partition begins and ends.

use std::fmt;
use std::time::Duration;

use eddy_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, ListOffsetsRequest,
    MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::error::{CallError, accepted};

/// How long the broker may take over an administrative request, in milliseconds.
const ADMIN_TIMEOUT_MS: i32 = 30_000;
/// Up to this version topics to delete are a list of names.
const DELETE_BY_NAME_MAX: i16 = 5;
/// Between two look-ups of a topic that is not ready.
const LOOK_UP_INTERVAL: Duration = Duration::from_millis(5);

/// A topic as the broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: StrBytes,
    /// Its id; zero from a broker older than topic ids (KIP-516).
    pub id: TopicId,
    /// Leader of each partition, -1 where there is none; the place is the partition's index.
    pub leaders: Vec<BrokerId>,
}

/// A partition by the name and the id of its topic: requests name it by the one or the other, as their version wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionName {
    /// Name of the topic.
    pub topic: StrBytes,
    /// Id of the topic.
    pub topic_id: TopicId,
    /// Index of the partition in the topic, from 0.
    pub index: i32,
}

/// An offset that a broker found for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// First offset whose record is not older; [`Offset::NONE`] when there is none.
    pub offset: Offset,
    /// Epoch of the leader that wrote it.
    pub leader_epoch: LeaderEpoch,
}

impl Topic {
    /// A partition of the topic, whether or not it exists.
    #[must_use]
    pub fn partition(&self, index: i32) -> PartitionName {
        PartitionName { topic: self.name.clone(), topic_id: self.id, index }
    }

    /// All partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionName> + '_ {
        (0..).take(self.leaders.len()).map(|index| self.partition(index))
    }

    /// Whether each partition has a leader.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.leaders.is_empty() && self.leaders.iter().all(|leader| leader.0 >= 0)
    }
}

impl PartitionName {
    pub(crate) fn topic_name(&self) -> TopicName {
        TopicName(self.topic.clone())
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", &*self.topic, self.index)
    }
}

impl Connection {
    /// Looks up a topic, and does not create it.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION and other codes of Metadata. That a partition has no leader is not an error.
    pub async fn topic(&self, name: &str) -> Result<Topic, CallError> {
        let asked = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
        let answer = self.send(&request).await?;
        let topic = answer.topics.into_iter().next().ok_or_else(|| missing(ApiKey::Metadata, name))?;
        accepted(ApiKey::Metadata, topic.error_code, name, None)?;
        let mut partitions = topic.partitions;
        partitions.sort_unstable_by_key(|partition| partition.partition_index);
        Ok(Topic {
            name: StrBytes::from_string(name.to_owned()),
            id: TopicId(*topic.topic_id.as_bytes()),
            leaders: partitions.iter().map(|partition| BrokerId(partition.leader_id.0)).collect(),
        })
    }

    /// Creates a topic with the broker's default of replicas. It may not have its leaders yet when this returns.
    ///
    /// # Errors
    /// TOPIC_ALREADY_EXISTS and other codes of CreateTopics.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), CallError> {
        let config = |(key, value): &(&str, &str)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string((*key).to_owned()))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.iter().map(config).collect());
        let request =
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(ADMIN_TIMEOUT_MS);
        let answer = self.send(&request).await?;
        let topic = answer.topics.into_iter().next().ok_or_else(|| missing(ApiKey::CreateTopics, name))?;
        accepted(ApiKey::CreateTopics, topic.error_code, name, topic.error_message.as_deref())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION and other codes of DeleteTopics.
    pub async fn delete_topic(&self, name: &str) -> Result<(), CallError> {
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(ADMIN_TIMEOUT_MS);
        let by_name = self
            .versions()
            .served(ApiKey::DeleteTopics as i16)
            .is_some_and(|served| served.max <= DELETE_BY_NAME_MAX);
        if by_name {
            request.topic_names = vec![topic_name(name)];
        } else {
            request.topics = vec![DeleteTopicState::default().with_name(Some(topic_name(name)))];
        }
        let answer = self.send(&request).await?;
        let topic = answer.responses.into_iter().next().ok_or_else(|| missing(ApiKey::DeleteTopics, name))?;
        accepted(ApiKey::DeleteTopics, topic.error_code, name, topic.error_message.as_deref())
    }

    /// Deletes the records of a partition below `before`; gives the new start of its log.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE and other codes of DeleteRecords.
    pub async fn delete_records(
        &self,
        partition: &PartitionName,
        before: Offset,
    ) -> Result<Offset, CallError> {
        let asked =
            DeleteRecordsPartition::default().with_partition_index(partition.index).with_offset(before.0);
        let topic =
            DeleteRecordsTopic::default().with_name(partition.topic_name()).with_partitions(vec![asked]);
        let request =
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(ADMIN_TIMEOUT_MS);
        let answer = self.send(&request).await?;
        let result = answer.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let result = result.ok_or_else(|| missing(ApiKey::DeleteRecords, partition))?;
        accepted(ApiKey::DeleteRecords, result.error_code, partition, None)?;
        Ok(Offset(result.low_watermark))
    }

    /// The first offset that a partition still has.
    ///
    /// # Errors
    /// Codes of ListOffsets.
    pub async fn earliest_offset(&self, partition: &PartitionName) -> Result<Offset, CallError> {
        Ok(self.offset_for_time(partition, -2).await?.offset)
    }

    /// The high watermark of a partition: the offset after the last record that can be read.
    ///
    /// # Errors
    /// Codes of ListOffsets.
    pub async fn latest_offset(&self, partition: &PartitionName) -> Result<Offset, CallError> {
        Ok(self.offset_for_time(partition, -1).await?.offset)
    }

    /// The first offset at or after a time in milliseconds; -1 stands for the latest, -2 for the earliest.
    ///
    /// # Errors
    /// Codes of ListOffsets.
    pub async fn offset_for_time(
        &self,
        partition: &PartitionName,
        time: i64,
    ) -> Result<ListedOffset, CallError> {
        let asked = ListOffsetsPartition::default()
            .with_partition_index(partition.index)
            .with_current_leader_epoch(LeaderEpoch::NONE.0)
            .with_timestamp(time);
        let topic =
            ListOffsetsTopic::default().with_name(partition.topic_name()).with_partitions(vec![asked]);
        let mut request = ListOffsetsRequest::default().with_topics(vec![topic]);
        request.replica_id.0 = -1;
        let answer = self.send(&request).await?;
        let found = answer.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let found = found.ok_or_else(|| missing(ApiKey::ListOffsets, partition))?;
        accepted(ApiKey::ListOffsets, found.error_code, partition, None)?;
        Ok(ListedOffset { offset: Offset(found.offset), leader_epoch: LeaderEpoch(found.leader_epoch) })
    }

    /// Looks a topic up until the leader of each partition answers for it, or until `patience` is over: the metadata may show leaders
    /// that do not know of it yet. All leaders must be the broker of this connection.
    ///
    /// # Errors
    /// What was said last; LEADER_NOT_AVAILABLE when a leader was missing.
    pub async fn topic_with_leaders(&self, name: &str, patience: Duration) -> Result<Topic, CallError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.topic_if_led(name).await {
                Err(error) if error.is_retriable() && Instant::now() < deadline => {}
                found => return found,
            }
            tokio::time::sleep(LOOK_UP_INTERVAL).await;
        }
    }

    async fn topic_if_led(&self, name: &str) -> Result<Topic, CallError> {
        let topic = self.topic(name).await?;
        if !topic.is_ready() {
            accepted(ApiKey::Metadata, ErrorCode::LeaderNotAvailable as i16, name, None)?;
        }
        for partition in topic.partitions() {
            self.earliest_offset(&partition).await?;
        }
        Ok(topic)
    }
}

pub(crate) fn missing(api: ApiKey, about: impl fmt::Display) -> CallError {
    CallError::Missing { api: api as i16, about: about.to_string() }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
