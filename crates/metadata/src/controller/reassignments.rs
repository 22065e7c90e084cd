//! AlterPartitionReassignments and ListPartitionReassignments (R-3.109, KIP-455).

use std::collections::BTreeSet;

use eddy_types::{BrokerId, ErrorCode, TopicPartition};

use super::change::{Change, Election, Standing};
use super::placement::{self, PlacementError};
use crate::{Assignment, Image, PlacedPartition, Record};

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
    /// The request names the partition twice.
    #[error("partition is named twice in the request: {0}")]
    NamedTwice(TopicPartition),
    /// Only replicas that were being added hold the records.
    #[error(
        "cannot go back to the old replicas: only new ones hold the records, and unclean elections are off"
    )]
    UncleanCancel,
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
            ReassignmentError::NamedTwice(_) => ErrorCode::InvalidRequest,
            ReassignmentError::UncleanCancel => ErrorCode::InvalidReplicaAssignment,
        }
    }
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
///
/// New replicas join, and once every replica that shall stay is in the ISR the others leave; a new request takes the place of
/// the one under way.
#[must_use]
pub fn alter_reassignments(
    image: &Image,
    wanted: &[NewReplicas],
    same_factor: bool,
) -> (Vec<Record>, Vec<Result<(), ReassignmentError>>) {
    let standing = Standing::of(image);
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(wanted.len());
    let mut seen = BTreeSet::new();
    for wish in wanted {
        let decided = if seen.insert(&wish.partition) {
            decide(image, wish, same_factor)
        } else {
            Err(ReassignmentError::NamedTwice(wish.partition.clone()))
        };
        results.push(decided.map(|change| records.extend(change.finish(&standing, Election::Keep))));
    }
    (records, results)
}

fn decide<'a>(
    image: &'a Image,
    wish: &NewReplicas,
    same_factor: bool,
) -> Result<Change<'a>, ReassignmentError> {
    let at = find(image, &wish.partition)?;
    let Some(replicas) = &wish.replicas else { return cancel(at) };
    placement::check(image, wish.partition.partition, replicas)?;
    let (current, wanted) = (at.partition.target_replicas().count(), replicas.len());
    if same_factor && wanted != current {
        return Err(ReassignmentError::ReplicationFactor { current, wanted });
    }
    Ok(move_to(at, replicas))
}

fn find<'a>(image: &'a Image, target: &TopicPartition) -> Result<PlacedPartition<'a>, ReassignmentError> {
    let unknown = || ReassignmentError::UnknownTopic(target.topic.to_string());
    let topic = image.topic(&target.topic).ok_or_else(unknown)?;
    let index = usize::try_from(target.partition).ok();
    let partition = index.and_then(|index| topic.partitions.get(index)).ok_or_else(|| {
        ReassignmentError::UnknownPartition { topic: target.topic.to_string(), partition: target.partition }
    })?;
    Ok(PlacedPartition { topic, index: target.partition, partition })
}

/// Begins to move a partition to `target`. What an earlier request was adding and this one does not want leaves at once.
pub(super) fn move_to<'a>(at: PlacedPartition<'a>, target: &[BrokerId]) -> Change<'a> {
    let partition = at.partition;
    let unwanted = |id: &BrokerId| partition.adding.contains(id) && !target.contains(id);
    // The last who hold the records stay until others do.
    let last = partition.isr.iter().all(unwanted);
    let stays = |id: &BrokerId| !unwanted(id) || (last && partition.isr.contains(id));
    let before: Vec<BrokerId> = partition.replicas.iter().copied().filter(stays).collect();
    let held = |id: &BrokerId| before.contains(id) && !partition.adding.contains(id);
    let removing: Vec<BrokerId> = before.iter().copied().filter(|id| !target.contains(id)).collect();
    let adding = target.iter().copied().filter(|id| !held(id)).collect();
    let replicas = target.iter().chain(&removing).copied().collect();
    let mut change = Change::of(at);
    change.assign(Assignment { replicas, adding, removing });
    change
}

/// Goes back to the replicas there were.
pub(super) fn cancel(at: PlacedPartition<'_>) -> Result<Change<'_>, ReassignmentError> {
    let partition = at.partition;
    if !partition.is_reassigning() {
        return Err(ReassignmentError::NotUnderWay);
    }
    let stays = |id: &BrokerId| !partition.adding.contains(id);
    let holds = partition.isr.iter().chain(partition.elr.iter()).any(stays);
    if !holds && !at.topic.config.unclean_leader_election_enable {
        return Err(ReassignmentError::UncleanCancel);
    }
    let replicas = partition.replicas.iter().copied().filter(stays).collect();
    let mut change = Change::of(at);
    change.assign(Assignment { replicas, adding: Vec::new(), removing: Vec::new() });
    Ok(change)
}

/// The reassignments under way, of the given partitions or of all (`None`), by topic and index.
#[must_use]
pub fn list_reassignments(image: &Image, partitions: Option<&[TopicPartition]>) -> Vec<Reassignment> {
    let listed = |at: PlacedPartition<'_>| Reassignment {
        partition: TopicPartition { topic: at.topic.name.clone(), partition: at.index },
        replicas: at.partition.replicas.to_vec(),
        adding: at.partition.adding.to_vec(),
        removing: at.partition.removing.to_vec(),
    };
    let under_way = |at: &PlacedPartition<'_>| at.partition.is_reassigning();
    match partitions {
        None => image.partitions().filter(under_way).map(listed).collect(),
        Some(partitions) => {
            let asked: BTreeSet<&TopicPartition> = partitions.iter().collect();
            asked.into_iter().filter_map(|it| find(image, it).ok()).filter(under_way).map(listed).collect()
        }
    }
}
