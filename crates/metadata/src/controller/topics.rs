//! CreateTopics and DeleteTopics.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::{BrokerId, ErrorCode, TopicId};

use super::placement::{self, PlacementError};
use crate::config::{ConfigError, Overrides, Scope, TopicConfig, registry};
use crate::{Image, PartitionAssignment, Record, Topic};

/// Longest name of a topic, in characters.
const NAME_MAX: usize = 249;

/// Partitions that one request may create; the rest belongs in a second request.
pub(super) const PARTITIONS_PER_REQUEST_MAX: i32 = 10_000;

/// The name Kafka keeps its own metadata under; clients treat it specially, so nobody may have it.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Identity, random.
    pub id: TopicId,
    /// Name.
    pub name: String,
    /// Number of partitions; -1 for the default, or when `assignments` are given.
    pub partitions: i32,
    /// Number of replicas; -1 for the default, or when `assignments` are given.
    pub replication_factor: i16,
    /// Replicas by partition, chosen by the client; empty to let the cluster choose.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// Configuration overrides.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the cluster's defaults.
    #[must_use]
    pub fn with_defaults(id: TopicId, name: impl Into<String>) -> NewTopic {
        NewTopic {
            id,
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// What the answer tells of a topic that will be created.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    /// The topic as it will be in the image.
    pub topic: Arc<Topic>,
    /// Replicas of its partitions.
    pub replication_factor: i16,
}

/// Why a topic is not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    /// Not a name.
    #[error("topic name is not allowed: {reason}: {name:?}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A reserved name.
    #[error("topic name is reserved: {0:?}")]
    ReservedName(String),
    /// The name is taken.
    #[error("topic exists: {0:?}")]
    Exists(String),
    /// Equal to another but for `.` and `_`, which metric names do not tell apart.
    #[error("topic name {name:?} collides with existing topic {existing:?}")]
    Collides {
        /// The name.
        name: String,
        /// The topic that is there.
        existing: Arc<str>,
    },
    /// The request names the topic twice.
    #[error("topic is named twice in the request: {0:?}")]
    NamedTwice(String),
    /// A configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a number of partitions.
    #[error("number of partitions must be at least 1, or -1 for the default: {0}")]
    Partitions(i32),
    /// More than one request may create.
    #[error("number of partitions in one request is above {PARTITIONS_PER_REQUEST_MAX}: {0}")]
    TooManyPartitions(i64),
    /// Not a replication factor.
    #[error("replication factor must be at least 1, or -1 for the default: {0}")]
    ReplicationFactor(i16),
    /// Replicas are assigned and counted at the same time.
    #[error("number of partitions and replication factor must be -1 when replicas are assigned")]
    CountsWithAssignment,
    /// Replicas cannot be placed.
    #[error(transparent)]
    Placement(#[from] PlacementError),
}

impl CreateTopicError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            CreateTopicError::InvalidName { .. } | CreateTopicError::Collides { .. } => {
                ErrorCode::InvalidTopicException
            }
            CreateTopicError::ReservedName(_)
            | CreateTopicError::NamedTwice(_)
            | CreateTopicError::CountsWithAssignment => ErrorCode::InvalidRequest,
            CreateTopicError::Exists(_) => ErrorCode::TopicAlreadyExists,
            // A null value is a malformed request when configurations are altered, but a bad configuration here.
            CreateTopicError::Config(_) => ErrorCode::InvalidConfig,
            CreateTopicError::Partitions(_) => ErrorCode::InvalidPartitions,
            CreateTopicError::TooManyPartitions(_) => ErrorCode::PolicyViolation,
            CreateTopicError::ReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
            CreateTopicError::Placement(error) => error.code(),
        }
    }
}

/// Decides a whole request, each topic by itself and with those before it in place: the records of all that are good, and
/// a result for each in the order of the request.
#[must_use]
pub fn create_topics(
    image: &Image,
    topics: &[NewTopic],
) -> (Vec<Record>, Vec<Result<CreatedTopic, CreateTopicError>>) {
    let mut times = BTreeMap::<&str, usize>::new();
    for topic in topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut request = Request { image, room: PARTITIONS_PER_REQUEST_MAX.into(), created: Vec::new() };
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            results.push(Err(CreateTopicError::NamedTwice(topic.name.clone())));
            continue;
        }
        let decided = request.create(topic);
        results.push(decided.map(|(record, created)| {
            records.push(record);
            created
        }));
    }
    (records, results)
}

/// Decides the creation of one topic.
pub fn create_topic(
    image: &Image,
    topic: &NewTopic,
) -> Result<(Vec<Record>, CreatedTopic), CreateTopicError> {
    let mut request = Request { image, room: PARTITIONS_PER_REQUEST_MAX.into(), created: Vec::new() };
    let (record, created) = request.create(topic)?;
    Ok((vec![record], created))
}

/// A request under way.
struct Request<'a> {
    image: &'a Image,
    /// Partitions it may still create.
    room: i64,
    /// Topics it creates, which the image does not have yet.
    created: Vec<Arc<Topic>>,
}

impl Request<'_> {
    fn create(&mut self, new: &NewTopic) -> Result<(Record, CreatedTopic), CreateTopicError> {
        self.check_name_is_free(&new.name)?;
        let configs = read_configs(self.image, &new.configs)?;
        let partitions = assign_all(self.image, new, self.room)?;
        self.room -= i64::try_from(partitions.len()).unwrap_or(i64::MAX);
        let replicas = partitions.first().map_or(0, |partition| partition.replicas.len());
        let replication_factor = i16::try_from(replicas).unwrap_or(i16::MAX);
        let topic = Arc::new(Topic::new(self.image, new.id, &new.name, &partitions, &configs));
        self.created.push(topic.clone());
        let record = Record::TopicCreated { topic_id: new.id, name: new.name.clone(), partitions, configs };
        Ok((record, CreatedTopic { topic, replication_factor }))
    }

    fn check_name_is_free(&self, name: &str) -> Result<(), CreateTopicError> {
        check_topic_name(name)?;
        if name == METADATA_TOPIC {
            return Err(CreateTopicError::ReservedName(name.to_owned()));
        }
        if self.image.topic(name).is_some() {
            return Err(CreateTopicError::Exists(name.to_owned()));
        }
        if !name.contains(['.', '_']) {
            return Ok(());
        }
        let mut others = self.image.topics().chain(&self.created);
        match others.find(|topic| collides(&topic.name, name)) {
            Some(topic) => {
                Err(CreateTopicError::Collides { name: name.to_owned(), existing: topic.name.clone() })
            }
            None => Ok(()),
        }
    }
}

/// Whether two names differ in nothing but `.` and `_`.
fn collides(one: &str, other: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_'));
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(same)
}

/// Checks that a name may be a topic's: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
pub fn check_topic_name(name: &str) -> Result<(), CreateTopicError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it means a directory"
    } else if name.len() > NAME_MAX {
        "it is longer than 249 characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "it contains characters other than ASCII letters and digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(CreateTopicError::InvalidName { name: name.to_owned(), reason })
}

fn read_configs(image: &Image, configs: &[(String, Option<String>)]) -> Result<Overrides, ConfigError> {
    let mut overrides = Overrides::new();
    for (name, value) in configs {
        let key = registry::find(Scope::Topic, name)?;
        let value = value.as_ref().ok_or_else(|| ConfigError::NullValue { key: name.clone() })?;
        overrides.insert(key.name.to_owned(), key.parse(value)?.to_text());
    }
    TopicConfig::resolve(&overrides, image).check()?;
    Ok(overrides)
}

fn assign_all(
    image: &Image,
    new: &NewTopic,
    room: i64,
) -> Result<Vec<PartitionAssignment>, CreateTopicError> {
    if !new.assignments.is_empty() {
        return assign_manually(image, new, room);
    }
    let defaults = image.broker_config();
    let replication_factor = match new.replication_factor {
        -1 => defaults.default_replication_factor,
        given => given,
    };
    if replication_factor < 1 {
        return Err(CreateTopicError::ReplicationFactor(replication_factor));
    }
    let partitions = if new.partitions == -1 { defaults.num_partitions } else { new.partitions };
    if partitions < 1 {
        return Err(CreateTopicError::Partitions(partitions));
    }
    if i64::from(partitions) > room {
        return Err(CreateTopicError::TooManyPartitions(partitions.into()));
    }
    Ok(placement::place(image, new.id, 0, partitions, replication_factor)?)
}

fn assign_manually(
    image: &Image,
    new: &NewTopic,
    room: i64,
) -> Result<Vec<PartitionAssignment>, CreateTopicError> {
    if new.partitions != -1 || new.replication_factor != -1 {
        return Err(CreateTopicError::CountsWithAssignment);
    }
    let count = i64::try_from(new.assignments.len()).unwrap_or(i64::MAX);
    if count > room {
        return Err(CreateTopicError::TooManyPartitions(count));
    }
    let mut sorted: Vec<&(i32, Vec<BrokerId>)> = new.assignments.iter().collect();
    sorted.sort_by_key(|(partition, _)| *partition);
    let replicas = sorted.first().map(|(_, replicas)| replicas.len());
    let mut partitions = Vec::with_capacity(sorted.len());
    for (want, (got, brokers)) in (0..).zip(sorted) {
        if *got != want {
            return Err(PlacementError::Incomplete { want, got: *got }.into());
        }
        partitions.push(placement::assign(image, *got, brokers, replicas)?);
    }
    Ok(partitions)
}

/// A topic by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// By name.
    Name(&'a str),
    /// By id.
    Id(TopicId),
}

/// Why a topic is not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// `delete.topic.enable` is false.
    #[error("deletion of topics is disabled by delete.topic.enable")]
    Disabled,
    /// No topic has the name.
    #[error("no such topic: {0:?}")]
    UnknownName(String),
    /// No topic has the id.
    #[error("no such topic id: {0}")]
    UnknownId(TopicId),
}

impl DeleteTopicError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            DeleteTopicError::Disabled => ErrorCode::TopicDeletionDisabled,
            DeleteTopicError::UnknownName(_) => ErrorCode::UnknownTopicOrPartition,
            DeleteTopicError::UnknownId(_) => ErrorCode::UnknownTopicId,
        }
    }
}

/// Decides the deletion of a topic; returns the topic as it was.
pub fn delete_topic(
    image: &Image,
    topic: &TopicRef<'_>,
) -> Result<(Vec<Record>, Arc<Topic>), DeleteTopicError> {
    if !image.broker_config().delete_topic_enable {
        return Err(DeleteTopicError::Disabled);
    }
    let topic = match topic {
        TopicRef::Name(name) => {
            image.topic(name).ok_or_else(|| DeleteTopicError::UnknownName((*name).to_owned()))
        }
        TopicRef::Id(id) => image.topic_by_id(*id).ok_or(DeleteTopicError::UnknownId(*id)),
    }?;
    Ok((vec![Record::TopicRemoved { topic_id: topic.id }], topic.clone()))
}
