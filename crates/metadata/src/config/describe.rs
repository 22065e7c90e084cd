//! Where a value comes from, and DescribeConfigs.

use super::broker_config::StaticConfig;
use super::key::{Key, Unit};
use super::value::Value;
use super::{Overrides, broker_keys, registry, topic_keys};
use crate::{Image, Topic};

/// Where a value comes from, with Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Source {
    /// Override of a topic.
    Topic = 1,
    /// Dynamic configuration of one broker.
    DynamicBroker = 2,
    /// Dynamic configuration of every broker.
    DynamicDefaultBroker = 3,
    /// Flags, environment or file of the broker.
    StaticBroker = 4,
    /// The key's default.
    Default = 5,
}

/// One entry of a DescribeConfigs answer.
#[derive(Clone, Debug)]
pub struct Described {
    /// The key.
    pub key: &'static Key,
    /// Value in force; `None` when there is none or when it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether AlterConfigs refuses to change it.
    pub read_only: bool,
    /// All the values there are for it, the one in force first.
    pub synonyms: Vec<Synonym>,
}

/// A value that a key has, or would have if those before it were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// Key that has the value.
    pub name: &'static str,
    /// The value, in that key's unit; `None` when it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Every key of a topic.
#[must_use]
pub fn describe_topic(image: &Image, topic: &Topic) -> Vec<Described> {
    topic_keys::KEYS.iter().map(|key| describe_topic_key(image, &topic.overrides, key)).collect()
}

/// Every key of the broker that sees the image. What another broker has in its file only that broker can tell.
#[must_use]
pub fn describe_broker(image: &Image) -> Vec<Described> {
    broker_keys::KEYS
        .iter()
        .map(|key| {
            let synonyms = synonyms(image, key.name, broker_names(key));
            let value = synonyms.first().map(|first| first.value.clone());
            let value = value.unwrap_or_else(|| key.default.map(str::to_owned));
            described(key, value, synonyms)
        })
        .collect()
}

/// What is set dynamically for every broker (the broker resource without a name).
#[must_use]
pub fn describe_broker_default(image: &Image) -> Vec<Described> {
    let set = image.broker_default_overrides().iter();
    let known = set.filter_map(|(name, value)| registry::broker(name).map(|key| (key, value)));
    known
        .map(|(key, value)| {
            let synonym = synonym(key, value, Source::DynamicDefaultBroker);
            described(key, synonym.value.clone(), vec![synonym])
        })
        .collect()
}

fn describe_topic_key(image: &Image, overrides: &Overrides, key: &'static Key) -> Described {
    let mut synonyms = match key.synonyms.first() {
        Some(primary) => synonyms(image, primary, key.synonyms),
        None => Vec::new(),
    };
    let value = match overrides.get(key.name) {
        Some(text) => {
            synonyms.insert(0, synonym(key, text, Source::Topic));
            Some(text.clone())
        }
        None => broker_level(image, key).map(|v| v.to_text()).or_else(|| key.default.map(str::to_owned)),
    };
    described(key, value, synonyms)
}

fn described(key: &'static Key, value: Option<String>, synonyms: Vec<Synonym>) -> Described {
    Described {
        key,
        value: value.filter(|_| !key.sensitive()),
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        read_only: !key.dynamic,
        synonyms,
    }
}

/// The value that a topic key has from the broker's level, in the topic key's unit; `None` when only defaults speak.
pub(crate) fn broker_level(image: &Image, key: &Key) -> Option<Value> {
    let (found, text) = explicit(image, key.synonyms).next()?.1;
    Some(convert(found.parse(text).ok()?, found.unit, key.unit))
}

fn convert(value: Value, from: Unit, to: Unit) -> Value {
    match (value, from.millis(), to.millis()) {
        // A negative time means "no limit" (or -2, "as another key"), whatever its unit.
        (Value::Number(n), Some(from), Some(to)) if n >= 0 => Value::Number(n.saturating_mul(from) / to),
        (value, _, _) => value,
    }
}

/// The values of broker keys that somebody set, in order of force.
fn explicit<'a>(
    image: &'a Image,
    names: &'a [&'static str],
) -> impl Iterator<Item = (Source, (&'static Key, &'a str))> {
    let local = image.local();
    let dynamic_broker = image.broker_overrides(local.broker);
    let dynamic_default = image.broker_default_overrides();
    let keys = || names.iter().filter_map(|name| registry::broker(name));
    let from_overrides = move |source: Source, overrides: &'a Overrides| {
        keys().filter_map(move |key| Some((source, (key, overrides.get(key.name)?.as_str()))))
    };
    let from_static = move |config: &'a StaticConfig| {
        keys().filter_map(move |key| Some((Source::StaticBroker, (key, config.get(key.name)?))))
    };
    from_overrides(Source::DynamicBroker, dynamic_broker)
        .chain(from_overrides(Source::DynamicDefaultBroker, dynamic_default))
        .chain(from_static(&local.config))
}

/// What Kafka lists as synonyms: all values of all names in order of force, from the first that `primary` itself has on.
/// So a topic whose retention comes from `log.retention.hours` has no synonyms and source "default", as with Kafka.
fn synonyms(image: &Image, primary: &str, names: &[&'static str]) -> Vec<Synonym> {
    let set = explicit(image, names).map(|(source, (key, text))| synonym(key, text, source));
    let keys = names.iter().filter_map(|name| registry::broker(name));
    let defaults = keys.filter_map(|key| Some(synonym(key, key.default?, Source::Default)));
    set.chain(defaults).skip_while(|synonym| synonym.name != primary).collect()
}

fn synonym(key: &'static Key, text: &str, source: Source) -> Synonym {
    Synonym { name: key.name, value: (!key.sensitive()).then(|| text.to_owned()), source }
}

fn broker_names(key: &'static Key) -> &'static [&'static str] {
    if key.synonyms.is_empty() { std::slice::from_ref(&key.name) } else { key.synonyms }
}
