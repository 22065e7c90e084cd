//! Where a value comes from, and DescribeConfigs.

use super::broker_config::StaticConfig;
use super::key::{Key, Unit};
use super::value::Value;
use super::{Overrides, broker_keys, client_metrics_keys, group_keys, registry, topic_keys};
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
    /// Level of a logger, set while the broker runs.
    Logger = 6,
    /// A subscription to client metrics.
    ClientMetrics = 7,
    /// Override of a group.
    Group = 8,
}

/// One entry of a DescribeConfigs answer.
#[derive(Clone, Debug)]
pub struct Described {
    /// Name of the entry: the key's, or for a broker key one that Kafka has for it.
    pub name: &'static str,
    /// Whether the entry is in the list of all keys; one that is not is answered only when it is asked for by this name.
    pub listed: bool,
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
    topic_keys::KEYS
        .iter()
        .map(|key| describe_override(image, &topic.overrides, Source::Topic, key))
        .collect()
}

/// Every key of a group, whether there is such a group or not.
#[must_use]
pub fn describe_group(image: &Image, group: &str) -> Vec<Described> {
    let overrides = image.group_overrides(group);
    let described = |key| describe_override(image, overrides, Source::Group, key);
    let mut all: Vec<_> = group_keys::KEYS.iter().map(described).collect();
    for one in all.iter_mut().filter(|one| one.key.synonyms.is_empty()) {
        // Kafka lists the default of a group key that has no broker key.
        one.synonyms.extend(one.key.default.map(|default| synonym(one.key, default, Source::Default)));
    }
    all
}

/// Every key of a subscription to client metrics, whether there is such a subscription or not.
#[must_use]
pub fn describe_client_metrics(image: &Image, name: &str) -> Vec<Described> {
    let overrides = image.client_metrics_overrides(name);
    let described = |key| describe_override(image, overrides, Source::ClientMetrics, key);
    client_metrics_keys::KEYS.iter().map(described).collect()
}

/// Every key of the broker that sees the image, by each of its names. What another broker has in its file only that broker
/// can tell.
#[must_use]
pub fn describe_broker(image: &Image) -> Vec<Described> {
    let one = |key: &'static Key| {
        let synonyms = synonyms(image, key.name, broker_names(key));
        let value = synonyms.first().map(|first| first.value.clone());
        let value = value.unwrap_or_else(|| key.default.map(str::to_owned));
        described(key, value, synonyms)
    };
    broker_keys::keys().map(one).flat_map(by_each_name).collect()
}

/// What is set dynamically for every broker (the broker resource without a name).
#[must_use]
pub fn describe_broker_default(image: &Image) -> Vec<Described> {
    let set = image.broker_default_overrides().iter();
    let known = set.filter_map(|(name, value)| registry::broker(name).map(|key| (key, value)));
    let one = |(key, value): (&'static Key, &String)| {
        let synonym = synonym(key, value, Source::DynamicDefaultBroker);
        described(key, synonym.value.clone(), vec![synonym])
    };
    known.map(one).flat_map(by_each_name).collect()
}

/// The entry of a broker key under each of its names: those it is listed by, and the others.
fn by_each_name(one: Described) -> Vec<Described> {
    let key = one.key;
    let listed = key.listed_names();
    let mut names: Vec<&'static str> = listed.to_vec();
    names.extend(std::iter::once(&key.name).chain(key.aliases).filter(|name| !listed.contains(name)));
    let renamed = |name: &'static str| {
        let mut renamed = Described { name, listed: listed.contains(&name), ..one.clone() };
        renamed.value = renamed.value.map(|value| as_listed(name, value));
        for synonym in renamed.synonyms.iter_mut().filter(|synonym| synonym.name == key.name) {
            synonym.name = name;
            synonym.value = synonym.value.take().map(|value| as_listed(name, value));
        }
        renamed
    };
    names.into_iter().map(renamed).collect()
}

/// A value as tools expect it under a name of Kafka's.
fn as_listed(name: &str, value: String) -> String {
    match name {
        "listeners" | "advertised.listeners" if !value.contains("://") => format!("PLAINTEXT://{value}"),
        _ => value,
    }
}

fn describe_override(image: &Image, overrides: &Overrides, source: Source, key: &'static Key) -> Described {
    let mut synonyms = match key.synonyms.first() {
        Some(primary) => synonyms(image, primary, key.synonyms),
        None => Vec::new(),
    };
    let value = match overrides.get(key.name) {
        Some(text) => {
            synonyms.insert(0, synonym(key, text, source));
            Some(text.clone())
        }
        None => broker_level(image, key).map(|v| v.to_text()).or_else(|| key.default.map(str::to_owned)),
    };
    described(key, value, synonyms)
}

fn described(key: &'static Key, value: Option<String>, synonyms: Vec<Synonym>) -> Described {
    Described {
        name: key.name,
        listed: true,
        key,
        value: value.filter(|_| !key.sensitive()),
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        read_only: !key.dynamic,
        synonyms,
    }
}

/// The text that somebody set for a broker key, of those that are set the one in force.
pub(super) fn explicit_text<'a>(image: &'a Image, key: &'static Key) -> Option<&'a str> {
    explicit(image, std::slice::from_ref(&key.name)).next().map(|(_, (_, text))| text)
}

/// The value that a topic or group key has from the broker's level, in its own unit; `None` when only defaults speak.
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

#[cfg(test)]
mod tests;
