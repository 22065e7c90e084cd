//! What a quota limits, and to how much.

use serde::{Deserialize, Deserializer, Serialize};

/// What a quota limits. On disk and on the wire it has the name of [`QuotaKey::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaKey {
    /// Bytes produced in a second.
    ProducerByteRate,
    /// Bytes fetched in a second.
    ConsumerByteRate,
    /// Share of one core that requests may take, in percent.
    RequestPercentage,
    /// Partitions created or deleted in a second (KIP-599).
    ControllerMutationRate,
    /// Connections made in a second (KIP-612).
    ConnectionCreationRate,
}

/// What a quota's values are, beyond being greater than 0.
enum Range {
    /// Whole, up to this, exclusively.
    WholeBelow(f64, &'static str),
    /// Any.
    Any,
}

impl QuotaKey {
    /// Every key.
    pub const ALL: [QuotaKey; 5] = [
        QuotaKey::ProducerByteRate,
        QuotaKey::ConsumerByteRate,
        QuotaKey::RequestPercentage,
        QuotaKey::ControllerMutationRate,
        QuotaKey::ConnectionCreationRate,
    ];

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            QuotaKey::ProducerByteRate => "producer_byte_rate",
            QuotaKey::ConsumerByteRate => "consumer_byte_rate",
            QuotaKey::RequestPercentage => "request_percentage",
            QuotaKey::ControllerMutationRate => "controller_mutation_rate",
            QuotaKey::ConnectionCreationRate => "connection_creation_rate",
        }
    }

    /// The key of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<QuotaKey> {
        QuotaKey::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Whether addresses have it; if not, users and client ids do.
    #[must_use]
    pub fn is_of_ip(self) -> bool {
        self == QuotaKey::ConnectionCreationRate
    }

    fn range(self) -> Range {
        match self {
            QuotaKey::ProducerByteRate | QuotaKey::ConsumerByteRate => {
                Range::WholeBelow(9_223_372_036_854_775_808.0, "64 bits")
            }
            QuotaKey::ConnectionCreationRate => Range::WholeBelow(2_147_483_648.0, "32 bits"),
            QuotaKey::RequestPercentage | QuotaKey::ControllerMutationRate => Range::Any,
        }
    }
}

/// A limit: finite and greater than 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct QuotaValue(f64);

// It is never NaN.
impl Eq for QuotaValue {}

/// Why a number is no limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuotaValueError {
    /// Zero would forbid everything for ever.
    #[error("{} must be greater than 0, got {value}", key.name())]
    NotPositive {
        /// The key.
        key: QuotaKey,
        /// The number.
        value: f64,
    },
    /// Bytes and connections are counted whole.
    #[error("{} must be a whole number, got {value}", key.name())]
    Fraction {
        /// The key.
        key: QuotaKey,
        /// The number.
        value: f64,
    },
    /// More than Kafka's integers hold.
    #[error("{} must fit {bits}, got {value}", key.name())]
    TooLarge {
        /// The key.
        key: QuotaKey,
        /// What it must fit.
        bits: &'static str,
        /// The number.
        value: f64,
    },
}

/// Difference to a whole number that is taken for an error of calculation, as Kafka does.
const FRACTION_IGNORED: f64 = 1e-6;

impl QuotaValue {
    /// Checks a limit of a key.
    pub fn new(key: QuotaKey, value: f64) -> Result<QuotaValue, QuotaValueError> {
        if !value.is_finite() || value <= 0.0 {
            return Err(QuotaValueError::NotPositive { key, value });
        }
        let Range::WholeBelow(limit, bits) = key.range() else { return Ok(QuotaValue(value)) };
        let whole = value.round();
        if (value - whole).abs() > FRACTION_IGNORED {
            return Err(QuotaValueError::Fraction { key, value });
        }
        if whole < 1.0 {
            return Err(QuotaValueError::NotPositive { key, value });
        }
        if whole >= limit {
            return Err(QuotaValueError::TooLarge { key, bits, value });
        }
        Ok(QuotaValue(whole))
    }

    /// The limit.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for QuotaValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value.is_finite() && value > 0.0 {
            Ok(QuotaValue(value))
        } else {
            Err(serde::de::Error::custom(format!("not a quota: {value}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_kafka_takes() {
        use QuotaKey::*;
        let code = |key, value| QuotaValue::new(key, value).map(QuotaValue::get);
        assert_eq!(code(ProducerByteRate, 1_000.000_000_1), Ok(1000.0));
        assert_eq!(code(RequestPercentage, 0.5), Ok(0.5));
        assert_eq!(code(ControllerMutationRate, 0.5), Ok(0.5));
        assert!(matches!(code(ProducerByteRate, 0.5), Err(QuotaValueError::Fraction { .. })));
        assert!(matches!(code(ProducerByteRate, 1e-9), Err(QuotaValueError::NotPositive { .. })));
        assert!(matches!(code(ProducerByteRate, 1e20), Err(QuotaValueError::TooLarge { .. })));
        assert!(matches!(code(ConnectionCreationRate, 3e9), Err(QuotaValueError::TooLarge { .. })));
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(code(RequestPercentage, value), Err(QuotaValueError::NotPositive { .. })));
        }
    }

    #[test]
    fn keys_are_found_by_the_names_that_are_stored() {
        for key in QuotaKey::ALL {
            assert_eq!(QuotaKey::find(key.name()), Some(key));
            assert_eq!(serde_json::to_value(key).unwrap(), key.name());
        }
        assert_eq!(QuotaKey::find("foo"), None);
    }
}
