//! AlterPartitionReassignments (KIP-455).

use eddy_types::{BrokerId, ErrorCode, TopicPartition};

use super::placement::{self, PlacementError};
use crate::{Image, Record};

/// Why the replicas of a partition are not moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassignmentError {
    /// No topic has the name.
    #[error("no such topic: {0:?}")]
    UnknownTopic(String),
    /// The topic has no such partition.
    #[error("topic {topic:?} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// Index asked for.
        partition: i32,
    },
    /// There is nothing to cancel.
    #[error("no reassignment of the partition is under way")]
    NotUnderWay,
    /// The request forbids another number of replicas.
    #[error("partition has {current} replicas, the assignment {wanted}, and the request forbids the change")]
    ReplicationFactor {
        /// Replicas there are.
        current: usize,
        /// Replicas asked for.
        wanted: usize,
    },
    /// The replicas cannot be had.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Replicas stay where they are.
    #[error("replicas do not move between brokers yet")]
    NotServed,
}

impl ReassignmentError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ReassignmentError::UnknownTopic(_) | ReassignmentError::UnknownPartition { .. } => {
                ErrorCode::UnknownTopicOrPartition
            }
            ReassignmentError::NotUnderWay => ErrorCode::NoReassignmentInProgress,
            ReassignmentError::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            ReassignmentError::Placement(error) => error.code(),
            ReassignmentError::NotServed => ErrorCode::InvalidReplicaAssignment,
        }
    }
}

/// Decides on new `replicas` of a partition, or on the end of a reassignment (`None`). The only assignment that can be had is the
/// one there is, which changes nothing.
pub fn check_reassignment(
    image: &Image,
    topic: &str,
    partition: i32,
    replicas: Option<&[BrokerId]>,
    same_factor: bool,
) -> Result<(), ReassignmentError> {
    let found = image.topic(topic).ok_or_else(|| ReassignmentError::UnknownTopic(topic.to_owned()))?;
    let index = usize::try_from(partition).ok();
    let current = index
        .and_then(|index| found.partitions.get(index))
        .ok_or_else(|| ReassignmentError::UnknownPartition { topic: topic.to_owned(), partition })?;
    let wanted = replicas.ok_or(ReassignmentError::NotUnderWay)?;
    placement::assign(image, partition, wanted, None)?;
    if same_factor && wanted.len() != current.replicas.len() {
        let (current, wanted) = (current.replicas.len(), wanted.len());
        return Err(ReassignmentError::ReplicationFactor { current, wanted });
    }
    if *wanted == *current.replicas { Ok(()) } else { Err(ReassignmentError::NotServed) }
}

/// What is asked for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplicas {
    /// The partition.
    pub partition: TopicPartition,
    /// The replicas it shall have, preferred leader first; `None` to cancel what is under way.
    pub replicas: Option<Vec<BrokerId>>,
}

/// A reassignment under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// The partition.
    pub partition: TopicPartition,
    /// All replicas, those that leave last.
    pub replicas: Vec<BrokerId>,
    /// Those that are added.
    pub adding: Vec<BrokerId>,
    /// Those that leave.
    pub removing: Vec<BrokerId>,
}

/// Decides on the replicas of partitions, each by itself, in their order: the records of all that are good, and a
/// result for each. `same_factor` forbids another number of replicas (KIP-860).
#[must_use]
pub fn alter_reassignments(
    _image: &Image,
    wanted: &[NewReplicas],
    _same_factor: bool,
) -> (Vec<Record>, Vec<Result<(), ReassignmentError>>) {
    (Vec::new(), wanted.iter().map(|_| Err(ReassignmentError::NotServed)).collect())
}

/// The reassignments under way, of the given partitions or of all (`None`), by topic and index.
#[must_use]
pub fn list_reassignments(_image: &Image, _partitions: Option<&[TopicPartition]>) -> Vec<Reassignment> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::{commit, image_with};
    use crate::controller::{NewTopic, create_topic};
    use eddy_types::TopicId;

    #[test]
    fn a_partition_may_be_assigned_to_where_it_is() {
        let mut image = image_with(&[(1, None), (2, None)], &[]);
        let mut topic = NewTopic::with_defaults(TopicId([5; 16]), "t");
        topic.assignments = vec![(0, vec![BrokerId(1)])];
        let (records, _) = create_topic(&image, &topic).unwrap();
        commit(&mut image, &records);
        let code = |topic: &str, partition, replicas: Option<&[i32]>, same_factor| {
            let replicas: Option<Vec<BrokerId>> =
                replicas.map(|ids| ids.iter().map(|&id| BrokerId(id)).collect());
            check_reassignment(&image, topic, partition, replicas.as_deref(), same_factor)
                .map_err(|error| error.code())
        };
        assert_eq!(code("t", 0, Some(&[1]), false), Ok(()));
        assert_eq!(code("t", 0, None, false), Err(ErrorCode::NoReassignmentInProgress));
        assert_eq!(code("t", 1, None, false), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code("t", -1, Some(&[1]), false), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code("nope", 0, None, false), Err(ErrorCode::UnknownTopicOrPartition));
        for replicas in [&[][..], &[99], &[1, 1], &[-1], &[1, 99]] {
            let refused = Err(ErrorCode::InvalidReplicaAssignment);
            assert_eq!(code("t", 0, Some(replicas), false), refused, "{replicas:?}");
        }
        assert_eq!(code("t", 0, Some(&[1, 2]), true), Err(ErrorCode::InvalidReplicationFactor));
    }
}
