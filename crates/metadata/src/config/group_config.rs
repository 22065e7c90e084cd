//! The configuration of a group, as the code reads it.

use std::sync::Arc;

use super::key::Key;
use super::typed::typed_config;
use super::value::ConfigError;
use super::{Overrides, describe, group_keys, registry};
use crate::Image;

typed_config! {
    /// The configuration in force for a group. Fields are named like their keys, times in milliseconds;
    /// [`group_keys`] says what each means.
    GroupConfig(registry::group) {
        "consumer.heartbeat.interval.ms" => consumer_heartbeat_interval_ms: i32,
        "consumer.session.timeout.ms" => consumer_session_timeout_ms: i32,
    }
}

impl GroupConfig {
    /// The configuration of a group with these overrides, on the broker that sees the image.
    pub(crate) fn resolve(overrides: &Overrides, image: &Image) -> Arc<GroupConfig> {
        let mut config = image.group_defaults().clone();
        if !overrides.is_empty() {
            let config = Arc::make_mut(&mut config);
            for (name, text) in overrides {
                // What this broker does not understand, a newer one has checked.
                if let Some(Ok(value)) = registry::group(name).map(|key| key.parse(text)) {
                    config.set(name, &value);
                }
            }
        }
        config
    }

    /// The configuration of a group without overrides.
    pub(crate) fn defaults(image: &Image) -> GroupConfig {
        let mut config = GroupConfig::default();
        for key in group_keys::KEYS {
            if let Some(value) = describe::broker_level(image, key) {
                config.set(key.name, &value);
            }
        }
        config
    }
}

/// Checks overrides of a group against what its broker allows, and against each other.
///
/// # Errors
/// A value outside the broker's bounds, or a session that is not longer than the time between heartbeats.
pub(crate) fn check_group(overrides: &Overrides, image: &Image) -> Result<(), ConfigError> {
    for bounds in group_keys::BOUNDS {
        let Some(value) = overrides.get(bounds.key).and_then(|text| text.parse::<i64>().ok()) else {
            continue;
        };
        if let Some((least, limit)) = bounds.least.and_then(|key| Some((key, number(image, key)?)))
            && value < limit
        {
            return Err(conflict(bounds.key, "greater", least));
        }
        if let Some(limit) = number(image, bounds.greatest)
            && value > limit
        {
            return Err(conflict(bounds.key, "less", bounds.greatest));
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let in_force = |suffix: &str| {
            let name = format!("{kind}.{suffix}");
            let own = overrides.get(&name).and_then(|text| text.parse().ok());
            own.or_else(|| number(image, &format!("group.{name}")))
        };
        let (session, heartbeat) = (in_force("session.timeout.ms"), in_force("heartbeat.interval.ms"));
        if session.zip(heartbeat).is_some_and(|(session, heartbeat)| session <= heartbeat) {
            let reason =
                format!("{kind}.session.timeout.ms must be greater than {kind}.heartbeat.interval.ms");
            return Err(ConfigError::Conflict { reason });
        }
    }
    Ok(())
}

fn conflict(key: &str, comparison: &str, limit: &str) -> ConfigError {
    ConfigError::Conflict { reason: format!("{key} must be {comparison} than or equal to {limit}") }
}

/// The number that a broker key has on the broker that sees the image.
fn number(image: &Image, name: &str) -> Option<i64> {
    let key: &'static Key = registry::broker(name)?;
    let text = describe::explicit_text(image, key).or(key.default)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_key_has_a_field_or_says_why_not() {
        for key in group_keys::KEYS {
            let has_field = GroupConfig::FIELDS.iter().any(|(field, _)| *field == key.name);
            assert_ne!(has_field, key.inert.is_some(), "{}", key.name);
        }
    }

    #[test]
    fn bounds_are_keys_that_there_are() {
        for bounds in group_keys::BOUNDS {
            assert!(registry::group(bounds.key).is_some(), "{}", bounds.key);
            for limit in bounds.least.iter().chain([&bounds.greatest]) {
                assert!(registry::broker(limit).is_some(), "{limit}");
            }
        }
    }
}
