//! Looking keys up, and what to say when there is none.

use super::key::{Key, Scope};
use super::value::{ConfigError, Value};
use super::{broker_keys, topic_keys};

/// Topic keys that Kafka 4.0 removed; older tools still send them.
const REMOVED_TOPIC_KEYS: &[&str] =
    &["message.format.version", "message.downconversion.enable", "message.timestamp.difference.max.ms"];

/// How alike an unknown name and a key must be for the key to be suggested, from 0 to 1.
const ALIKE: f64 = 0.7;

/// A topic key by name.
#[must_use]
pub fn topic(name: &str) -> Option<&'static Key> {
    topic_keys::KEYS.iter().find(|key| key.name == name)
}

/// A broker key by name or alias.
#[must_use]
pub fn broker(name: &str) -> Option<&'static Key> {
    broker_keys::KEYS.iter().find(|key| key.name == name || key.aliases.contains(&name))
}

/// A key by name or alias; a broker key where a topic key has the same name.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Key> {
    broker(name).or_else(|| topic(name))
}

/// Why a key of Kafka's that a broker's file may carry is accepted and does nothing; `None` for every other name.
#[must_use]
pub fn harmless(name: &str) -> Option<&'static str> {
    broker_keys::HARMLESS.iter().find(|(key, _)| *key == name).map(|(_, why)| *why)
}

/// The key or alias that an unknown name most likely means.
#[must_use]
pub fn suggest(unknown: &str) -> Option<&'static str> {
    let names = all().flat_map(|key| std::iter::once(&key.name).chain(key.aliases));
    let alike = names.map(|name| (strsim::normalized_damerau_levenshtein(unknown, name), *name));
    alike.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Every key, topic keys first.
pub fn all() -> impl Iterator<Item = &'static Key> {
    topic_keys::KEYS.iter().chain(broker_keys::KEYS)
}

/// The key of a name within a scope, or an error that says what was probably meant.
pub fn find(scope: Scope, name: &str) -> Result<&'static Key, ConfigError> {
    let key = match scope {
        Scope::Topic => topic(name),
        Scope::Broker => broker(name),
    };
    key.ok_or_else(|| match scope {
        Scope::Topic if REMOVED_TOPIC_KEYS.contains(&name) => {
            ConfigError::RemovedKey { key: name.to_owned() }
        }
        _ => ConfigError::UnknownKey { key: name.to_owned(), suggestion: suggest(name) },
    })
}

/// Checks a value of a key by name or alias; see [`lookup`].
pub fn validate(name: &str, value: &str) -> Result<Value, ConfigError> {
    let key = lookup(name);
    key.ok_or_else(|| ConfigError::UnknownKey { key: name.to_owned(), suggestion: suggest(name) })?
        .parse(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_a_good_value_in_canonical_text() {
        for key in all() {
            assert!(!key.doc.is_empty(), "{}", key.name);
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
        for scope in [Scope::Topic, Scope::Broker] {
            let mut seen = BTreeSet::new();
            for key in all().filter(|key| key.scope == scope) {
                for name in key.aliases.iter().chain([&key.name]) {
                    assert!(seen.insert(*name), "{name}");
                    assert_eq!(harmless(name), None, "{name}");
                }
            }
        }
    }

    #[test]
    fn synonyms_are_broker_keys_with_the_same_default() {
        for key in topic_keys::KEYS {
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
            "unknown configuration key: retension.ms (did you mean retention.ms?)"
        );
    }

    #[test]
    fn keys_that_kafka_removed_are_refused_as_such() {
        let error = find(Scope::Topic, "message.format.version").map(|key| key.name).unwrap_err();
        assert_eq!(error, ConfigError::RemovedKey { key: "message.format.version".into() });
        assert_eq!(error.code(), eddy_types::ErrorCode::InvalidConfig);
    }
}
