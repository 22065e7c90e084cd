//! Looking keys up, and what to say when there is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::foreign::{Foreign, foreign};
use super::key::{Key, Scope};
use super::value::{ConfigError, Value};
use super::{broker_keys, client_metrics_keys, group_keys, topic_keys};

/// Topic keys that Kafka 4.0 removed; older tools still send them.
const REMOVED_TOPIC_KEYS: &[&str] =
    &["message.format.version", "message.downconversion.enable", "message.timestamp.difference.max.ms"];

/// How alike an unknown name and a key must be for the key to be suggested, from 0 to 1.
const ALIKE: f64 = 0.7;

/// Keys of one scope by each of their names.
type Index = HashMap<&'static str, &'static Key>;

static BROKER: LazyLock<Index> = LazyLock::new(|| index(broker_keys::keys()));
static TOPIC: LazyLock<Index> = LazyLock::new(|| index(topic_keys::KEYS.iter()));
static GROUP: LazyLock<Index> = LazyLock::new(|| index(group_keys::KEYS.iter()));
static CLIENT_METRICS: LazyLock<Index> = LazyLock::new(|| index(client_metrics_keys::KEYS.iter()));

fn index(keys: impl Iterator<Item = &'static Key>) -> Index {
    keys.flat_map(|key| key.aliases.iter().chain([&key.name]).map(move |name| (*name, key))).collect()
}

/// A topic key by name.
#[must_use]
pub fn topic(name: &str) -> Option<&'static Key> {
    TOPIC.get(name).copied()
}

/// A broker key by name or alias.
#[must_use]
pub fn broker(name: &str) -> Option<&'static Key> {
    BROKER.get(name).copied()
}

/// A group key by name.
#[must_use]
pub fn group(name: &str) -> Option<&'static Key> {
    GROUP.get(name).copied()
}

/// A key of a subscription to client metrics by name.
#[must_use]
pub fn client_metrics(name: &str) -> Option<&'static Key> {
    CLIENT_METRICS.get(name).copied()
}

/// A key by name or alias: a broker key, else a topic key, a group key or one of client metrics.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Key> {
    broker(name).or_else(|| topic(name)).or_else(|| group(name)).or_else(|| client_metrics(name))
}

/// The key or alias that an unknown name most likely means.
#[must_use]
pub fn suggest(unknown: &str) -> Option<&'static str> {
    let names = all().flat_map(|key| std::iter::once(&key.name).chain(key.aliases));
    let alike = names.map(|name| (strsim::normalized_damerau_levenshtein(unknown, name), *name));
    alike.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Every key: topic, broker, group, client metrics.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let others = group_keys::KEYS.iter().chain(client_metrics_keys::KEYS);
    topic_keys::KEYS.iter().chain(broker_keys::keys()).chain(others)
}

/// The key of a name within a scope, or an error that says what was probably meant.
pub fn find(scope: Scope, name: &str) -> Result<&'static Key, ConfigError> {
    let key = match scope {
        Scope::Topic => topic(name),
        Scope::Broker => broker(name),
        Scope::Group => group(name),
        Scope::ClientMetrics => client_metrics(name),
    };
    key.ok_or_else(|| match scope {
        Scope::Topic if REMOVED_TOPIC_KEYS.contains(&name) => {
            ConfigError::RemovedKey { key: name.to_owned() }
        }
        Scope::Broker => match foreign(name, "?") {
            Some(Foreign::Unsupported(why)) => ConfigError::Unsupported { key: name.to_owned(), why },
            _ => unknown(scope, name),
        },
        _ => unknown(scope, name),
    })
}

fn unknown(scope: Scope, name: &str) -> ConfigError {
    let suggestion = suggest(name).filter(|like| {
        let key = lookup(like);
        scope == Scope::Broker || key.is_some_and(|key| key.scope == scope)
    });
    ConfigError::UnknownKey { key: name.to_owned(), scope, suggestion }
}

/// Checks a value of a key by name or alias; see [`lookup`].
pub fn validate(name: &str, value: &str) -> Result<Value, ConfigError> {
    let key = lookup(name);
    let key = key.ok_or_else(|| ConfigError::UnknownKey {
        key: name.to_owned(),
        scope: Scope::Broker,
        suggestion: suggest(name),
    });
    key?.parse(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_a_good_value_in_canonical_text() {
        for key in all() {
            assert_eq!(key.doc.is_empty(), key.inert.is_some(), "{}", key.name);
            if let Some(default) = key.default {
                assert_eq!(
                    key.parse(default).map(|value| value.to_text()).as_deref(),
                    Ok(default),
                    "{}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn no_name_means_two_keys_of_one_scope() {
        for scope in [Scope::Topic, Scope::Broker, Scope::Group, Scope::ClientMetrics] {
            let mut seen = BTreeSet::new();
            for key in all().filter(|key| key.scope == scope) {
                for name in key.aliases.iter().chain([&key.name]) {
                    assert!(seen.insert(*name), "{name}");
                }
            }
        }
    }

    #[test]
    fn synonyms_are_broker_keys_with_the_same_default() {
        for key in topic_keys::KEYS.iter().chain(group_keys::KEYS) {
            for synonym in key.synonyms {
                assert!(broker(synonym).is_some(), "{synonym}");
            }
            let default = key.synonyms.first().and_then(|name| broker(name)).and_then(|key| key.default);
            assert!(default.is_none() || default == key.default, "{}", key.name);
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(suggest("wal.proflie"), Some("wal.profile"));
        assert_eq!(suggest("retention.m"), Some("retention.ms"));
        assert_eq!(suggest("something.else.entirely"), None);
        assert_eq!(
            find(Scope::Topic, "retension.ms").map(|key| key.name).unwrap_err().to_string(),
            "unknown topic config name: retension.ms (did you mean retention.ms?)"
        );
    }

    #[test]
    fn keys_that_kafka_removed_are_refused_as_such() {
        let error = find(Scope::Topic, "message.format.version").map(|key| key.name).unwrap_err();
        assert_eq!(error, ConfigError::RemovedKey { key: "message.format.version".into() });
        assert_eq!(error.code(), eddy_types::ErrorCode::InvalidConfig);
    }
}
