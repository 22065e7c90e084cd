//! IncrementalAlterConfigs and AlterConfigs.

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::{BrokerId, ErrorCode};

use super::change::{Change, Election, Standing};
use super::min_isr::{self, MinIsr};
use crate::config::{ConfigError, Key, Kind, Overrides, Scope, TopicConfig, Value, check_group, registry};
use crate::{Image, Record, Resource, Topic};

/// What a request wants to configure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigTarget {
    /// A topic, by name.
    Topic(String),
    /// A broker.
    Broker(BrokerId),
    /// Every broker (Kafka's broker resource with an empty name).
    BrokerDefault,
    /// A group, by id; it need not exist.
    Group(String),
    /// A subscription to client metrics, by name (KIP-714).
    ClientMetrics(String),
}

impl ConfigTarget {
    fn scope(&self) -> Scope {
        match self {
            ConfigTarget::Topic(_) => Scope::Topic,
            ConfigTarget::Broker(_) | ConfigTarget::BrokerDefault => Scope::Broker,
            ConfigTarget::Group(_) => Scope::Group,
            ConfigTarget::ClientMetrics(_) => Scope::ClientMetrics,
        }
    }
}

/// One change of an incremental request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Name of the key.
    pub key: String,
    /// What to do.
    pub operation: AlterOperation,
    /// Value to set, append or subtract.
    pub value: Option<String>,
}

/// What an incremental change does, with Kafka's numbers 0 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterOperation {
    /// Sets the value.
    Set,
    /// Returns to the default.
    Delete,
    /// Adds items to a list.
    Append,
    /// Takes items from a list.
    Subtract,
}

impl AlterOperation {
    /// The operation of a number on the wire.
    #[must_use]
    pub fn from_code(code: i8) -> Option<AlterOperation> {
        Some(match code {
            0 => AlterOperation::Set,
            1 => AlterOperation::Delete,
            2 => AlterOperation::Append,
            3 => AlterOperation::Subtract,
            _ => return None,
        })
    }
}

/// Why configurations are not changed. None of the resource's are, then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterConfigsError {
    /// No topic has the name.
    #[error("no such topic: {0:?}")]
    UnknownTopic(String),
    /// No broker has the id.
    #[error("no such broker: {0}")]
    UnknownBroker(BrokerId),
    /// A configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A value is not good, of a key for which Kafka has another code than elsewhere.
    #[error(transparent)]
    InvalidRequest(ConfigError),
}

impl AlterConfigsError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            AlterConfigsError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            AlterConfigsError::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
            AlterConfigsError::Config(error) => error.code(),
            AlterConfigsError::InvalidRequest(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// Decides an incremental change of one resource, whole or not at all.
pub fn alter_configs(
    image: &Image,
    target: &ConfigTarget,
    changes: &[ConfigChange],
) -> Result<Vec<Record>, AlterConfigsError> {
    let (resource, current) = find(image, target)?;
    let mut next = current.clone();
    let mut seen = BTreeSet::new();
    let mut read_only = Vec::new();
    for change in changes {
        let key = match registry::find(target.scope(), &change.key) {
            // What nobody knows is at its default; Kafka takes it so too, and tools clean up with it.
            Err(ConfigError::UnknownKey { .. }) if change.operation == AlterOperation::Delete => continue,
            key => key?,
        };
        if !seen.insert(key.name) {
            return Err(ConfigError::DuplicateKey { key: change.key.clone() }.into());
        }
        if !key.dynamic && change.operation != AlterOperation::Delete {
            read_only.push(change.key.clone());
            continue;
        }
        match changed_text(key, change, next.get(key.name)).map_err(|error| value_error(target, error))? {
            Some(text) => next.insert(key.name.to_owned(), text),
            None => next.remove(key.name),
        };
    }
    all_dynamic(read_only)?;
    decide(image, resource, current, &next)
}

/// Decides the replacement of all overrides of one resource by others, whole or not at all.
pub fn replace_configs(
    image: &Image,
    target: &ConfigTarget,
    entries: &[(String, Option<String>)],
) -> Result<Vec<Record>, AlterConfigsError> {
    let (resource, current) = find(image, target)?;
    let mut next = Overrides::new();
    let mut read_only = Vec::new();
    for (name, value) in entries {
        let key = registry::find(target.scope(), name)?;
        if !key.dynamic {
            read_only.push(name.clone());
            continue;
        }
        let value = value.as_ref().ok_or_else(|| ConfigError::NullValue { key: name.clone() })?;
        let text = key.parse(value).map_err(|error| value_error(target, error))?.to_text();
        if next.insert(key.name.to_owned(), text).is_some() {
            return Err(ConfigError::DuplicateKey { key: name.clone() }.into());
        }
    }
    all_dynamic(read_only)?;
    decide(image, resource, current, &next)
}

fn all_dynamic(read_only: Vec<String>) -> Result<(), ConfigError> {
    if read_only.is_empty() { Ok(()) } else { Err(ConfigError::ReadOnly { keys: read_only }) }
}

fn value_error(target: &ConfigTarget, error: ConfigError) -> AlterConfigsError {
    match (target.scope(), error) {
        (Scope::Broker, error @ ConfigError::InvalidValue { .. }) => AlterConfigsError::InvalidRequest(error),
        // Of client metrics, only what is no number at all is an invalid configuration to Kafka.
        (Scope::ClientMetrics, ConfigError::InvalidValue { key: "interval.ms", value, reason })
            if value.parse::<i32>().is_ok() =>
        {
            AlterConfigsError::InvalidRequest(ConfigError::InvalidValue { key: "interval.ms", value, reason })
        }
        (_, error) => AlterConfigsError::Config(error),
    }
}

fn find<'a>(image: &'a Image, target: &ConfigTarget) -> Result<(Resource, &'a Overrides), AlterConfigsError> {
    match target {
        ConfigTarget::Topic(name) => {
            let topic = image.topic(name).ok_or_else(|| AlterConfigsError::UnknownTopic(name.clone()))?;
            Ok((Resource::Topic(topic.id), &topic.overrides))
        }
        ConfigTarget::Broker(id) => {
            image.broker(*id).ok_or(AlterConfigsError::UnknownBroker(*id))?;
            Ok((Resource::Broker(*id), image.broker_overrides(*id)))
        }
        ConfigTarget::BrokerDefault => Ok((Resource::BrokerDefault, image.broker_default_overrides())),
        ConfigTarget::Group(id) => Ok((Resource::Group(id.clone()), image.group_overrides(id))),
        ConfigTarget::ClientMetrics(name) => {
            Ok((Resource::ClientMetrics(name.clone()), image.client_metrics_overrides(name)))
        }
    }
}

/// Text that a change gives its key, `None` for the default.
fn changed_text(
    key: &'static Key,
    change: &ConfigChange,
    current: Option<&String>,
) -> Result<Option<String>, ConfigError> {
    if change.operation == AlterOperation::Delete {
        return Ok(None);
    }
    let value = change.value.as_ref().ok_or_else(|| ConfigError::NullValue { key: change.key.clone() })?;
    if change.operation == AlterOperation::Set {
        return Ok(Some(key.parse(value)?.to_text()));
    }
    let operation = if change.operation == AlterOperation::Append { "APPEND" } else { "SUBTRACT" };
    if key.kind != Kind::List {
        return Err(ConfigError::NotAList { operation, key: key.name });
    }
    // Kafka starts from the key's default, not from what the broker's configuration makes of it.
    let base = match key.parse(current.map(String::as_str).or(key.default).unwrap_or_default())? {
        Value::List(items) => items,
        _ => return Err(ConfigError::NotAList { operation, key: key.name }),
    };
    let given = crate::config::parse_list(value);
    let next: Vec<String> = match change.operation {
        AlterOperation::Append => base.into_iter().chain(given).collect(),
        _ => base.into_iter().filter(|item| !given.contains(item)).collect(),
    };
    Ok(Some(key.parse(&next.join(","))?.to_text()))
}

fn decide(
    image: &Image,
    resource: Resource,
    current: &Overrides,
    next: &Overrides,
) -> Result<Vec<Record>, AlterConfigsError> {
    match &resource {
        Resource::Topic(_) => TopicConfig::resolve(next, image).check()?,
        Resource::Group(_) => check_group(next, image)?,
        Resource::Broker(_) | Resource::BrokerDefault | Resource::ClientMetrics(_) => {}
    }
    let set = next.iter().filter(|(key, value)| current.get(*key) != Some(value));
    let deleted = current.keys().filter(|key| !next.contains_key(*key));
    let mut changes: BTreeMap<String, Option<String>> = BTreeMap::new();
    changes.extend(set.map(|(key, value)| (key.clone(), Some(value.clone()))));
    changes.extend(deleted.map(|key| (key.clone(), None)));
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    if changes.contains_key(min_isr::KEY) {
        if matches!(resource, Resource::Broker(_)) && next.contains_key(min_isr::KEY) {
            return Err(ConfigError::Conflict { reason: BROKER_MIN_ISR.to_owned() }.into());
        }
        records = follow_min_isr(image, &resource, MinIsr::after(image, &resource, next));
    }
    records.push(Record::ConfigsSet { resource, changes });
    Ok(records)
}

/// What brokers disagree on cannot say who is eligible; Kafka refuses it for the same reason.
const BROKER_MIN_ISR: &str = "min.insync.replicas is set for a topic or for all brokers, not for one of them, so that all know who may lead";

/// Who is eligible only below the old `min.insync.replicas` is no longer: the high watermark moves on without them.
fn follow_min_isr(image: &Image, resource: &Resource, next: MinIsr) -> Vec<Record> {
    let standing = Standing::with_min_isr(image, next);
    let concerned = |topic: &Topic| match resource {
        Resource::Topic(id) => topic.id == *id,
        _ => true,
    };
    let eligible = image.partitions().filter(|at| !at.partition.elr.is_empty() && concerned(at.topic));
    eligible.filter_map(|at| Change::of(at).finish(&standing, Election::Keep)).collect()
}
