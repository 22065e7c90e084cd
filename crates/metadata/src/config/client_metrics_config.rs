//! The configuration of a subscription to metrics of clients, as the code reads it.

use regex::{Regex, RegexBuilder};

use super::typed::{FromValue, typed_config};
use super::value::Value;
use super::{Overrides, registry};

/// Memory of one compiled pattern, at most.
const PATTERN_BYTES_MAX: usize = 1 << 20;

typed_config! {
    /// One subscription (KIP-714). [`client_metrics_keys`](super::client_metrics_keys) says what each field means.
    ClientMetricsConfig(registry::client_metrics) {
        "interval.ms" => interval_ms: i32,
        "match" => matches: Vec<ClientMatch>,
        "metrics" => metrics: Vec<String>,
    }
}

impl ClientMetricsConfig {
    pub(crate) fn resolve(overrides: &Overrides) -> ClientMetricsConfig {
        let mut config = ClientMetricsConfig::default();
        for (name, text) in overrides {
            if let Some(Ok(value)) = registry::client_metrics(name).map(|key| key.parse(text)) {
                config.set(name, &value);
            }
        }
        config
    }
}

/// What a pattern of a subscription is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientSelector {
    /// `client_instance_id`.
    InstanceId,
    /// `client_id`.
    ClientId,
    /// `client_software_name`.
    SoftwareName,
    /// `client_software_version`.
    SoftwareVersion,
    /// `client_source_address`.
    SourceAddress,
    /// `client_source_port`.
    SourcePort,
}

impl ClientSelector {
    fn of_name(name: &str) -> Option<ClientSelector> {
        Some(match name {
            "client_instance_id" => ClientSelector::InstanceId,
            "client_id" => ClientSelector::ClientId,
            "client_software_name" => ClientSelector::SoftwareName,
            "client_software_version" => ClientSelector::SoftwareVersion,
            "client_source_address" => ClientSelector::SourceAddress,
            "client_source_port" => ClientSelector::SourcePort,
            _ => return None,
        })
    }
}

/// One item of `match`: a client is asked when the whole of what the selector names matches the pattern.
#[derive(Clone, Debug)]
pub struct ClientMatch {
    /// What is looked at.
    pub selector: ClientSelector,
    /// Matches the whole text, as Java's `matches` does.
    pub pattern: Regex,
}

impl ClientMatch {
    pub(super) fn parse(item: &str) -> Result<ClientMatch, String> {
        let illegal = || format!("illegal client matching pattern: {item}");
        let (selector, pattern) = item.split_once('=').ok_or_else(illegal)?;
        let selector = ClientSelector::of_name(selector.trim()).ok_or_else(illegal)?;
        let anchored = format!("^(?:{})$", pattern.trim());
        let pattern = RegexBuilder::new(&anchored).size_limit(PATTERN_BYTES_MAX).build();
        Ok(ClientMatch { selector, pattern: pattern.map_err(|_| illegal())? })
    }
}

impl PartialEq for ClientMatch {
    fn eq(&self, other: &Self) -> bool {
        (self.selector, self.pattern.as_str()) == (other.selector, other.pattern.as_str())
    }
}

impl FromValue for Vec<ClientMatch> {
    fn from_value(value: &Value) -> Option<Self> {
        Vec::<String>::from_value(value)?.iter().map(|item| ClientMatch::parse(item).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_subscription_has_a_field() {
        let keys: Vec<_> = super::super::client_metrics_keys::KEYS.iter().map(|key| key.name).collect();
        let fields: Vec<_> = ClientMetricsConfig::FIELDS.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, fields);
    }

    /// Seen on Kafka 4.3.1.
    #[test]
    fn a_pattern_names_a_selector_and_is_a_regular_expression() {
        for bad in ["nope=1", "client_id", "client_id=[a", "client_id=a{1000}{1000}{1000}"] {
            let error = ClientMatch::parse(bad).map(drop).unwrap_err();
            assert_eq!(error, format!("illegal client matching pattern: {bad}"));
        }
        assert_eq!(ClientMatch::parse("client_id=").unwrap().selector, ClientSelector::ClientId);
    }
}
