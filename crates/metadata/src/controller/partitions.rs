//! CreatePartitions.

use eddy_types::{BrokerId, ErrorCode};

use super::placement::{self, PlacementError};
use super::topics::PARTITIONS_PER_REQUEST_MAX;
use crate::{Image, PartitionAssignment, Record};

/// A topic that shall grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// Name of the topic.
    pub topic: String,
    /// Partitions it shall have.
    pub count: i32,
    /// Replicas of each new partition, chosen by the client; `None` to let the cluster choose.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Why a topic does not grow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    /// No topic has the name.
    #[error("no such topic: {0:?}")]
    UnknownTopic(String),
    /// Topics never shrink.
    #[error("topic {topic:?} has {current} partitions, {count} would not be an increase")]
    NotAnIncrease {
        /// The topic.
        topic: String,
        /// Partitions it has.
        current: i32,
        /// Partitions asked for.
        count: i32,
    },
    /// More than one request may create.
    #[error("number of new partitions in one request is above {PARTITIONS_PER_REQUEST_MAX}: {0}")]
    TooManyPartitions(i32),
    /// Replicas cannot be placed.
    #[error(transparent)]
    Placement(#[from] PlacementError),
}

impl CreatePartitionsError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            CreatePartitionsError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            CreatePartitionsError::NotAnIncrease { .. } => ErrorCode::InvalidPartitions,
            CreatePartitionsError::TooManyPartitions(_) => ErrorCode::PolicyViolation,
            CreatePartitionsError::Placement(error) => error.code(),
        }
    }
}

/// Decides the growth of a topic. New partitions get as many replicas as partition 0 has.
pub fn create_partitions(image: &Image, new: &NewPartitions) -> Result<Vec<Record>, CreatePartitionsError> {
    let topic =
        image.topic(&new.topic).ok_or_else(|| CreatePartitionsError::UnknownTopic(new.topic.clone()))?;
    let current = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if new.count <= current {
        let topic = new.topic.clone();
        return Err(CreatePartitionsError::NotAnIncrease { topic, current, count: new.count });
    }
    let added = new.count - current;
    if added > PARTITIONS_PER_REQUEST_MAX {
        return Err(CreatePartitionsError::TooManyPartitions(added));
    }
    let replicas = topic.partitions.first().map_or(1, |partition| partition.target_replicas().count());
    let partitions = match &new.assignments {
        Some(assignments) => assign_manually(image, current, added, assignments, replicas)?,
        None => {
            let replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
            placement::place(image, topic.id, current, added, replication_factor)?
        }
    };
    Ok(vec![Record::PartitionsAdded { topic_id: topic.id, first: current, partitions }])
}

fn assign_manually(
    image: &Image,
    first: i32,
    added: i32,
    assignments: &[Vec<BrokerId>],
    replicas: usize,
) -> Result<Vec<PartitionAssignment>, PlacementError> {
    let got = i32::try_from(assignments.len()).unwrap_or(i32::MAX);
    if got != added {
        return Err(PlacementError::Incomplete { want: added, got });
    }
    let assign = |(partition, brokers): (i32, &Vec<BrokerId>)| {
        placement::assign(image, partition, brokers, Some(replicas))
    };
    (first..).zip(assignments).map(assign).collect()
}
