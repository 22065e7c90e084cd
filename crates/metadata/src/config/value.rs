//! Values: from the text a user writes to a checked value, and back to the one canonical text.

use eddy_types::ErrorCode;

use super::address::{Address, SeedBroker};
use super::key::{Check, Key, Kind, Scope, Unit};

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Boolean`].
    Boolean(bool),
    /// Of [`Kind::Short`], [`Kind::Int`] and [`Kind::Long`], in the key's unit.
    Number(i64),
    /// Of [`Kind::Double`].
    Double(f64),
    /// Of [`Kind::Text`] and [`Kind::Password`].
    Text(String),
    /// Of [`Kind::List`].
    List(Vec<String>),
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key.
    #[error("unknown {scope} config name: {key}{}", suggestion.map(|s| format!(" (did you mean {s}?)")).unwrap_or_default())]
    UnknownKey {
        /// What was asked for.
        key: String,
        /// Among which keys it was looked for.
        scope: Scope,
        /// The key that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A key that Kafka 4.0 removed.
    #[error("configuration key was removed in Kafka 4.0: {key}")]
    RemovedKey {
        /// The key.
        key: String,
    },
    /// A key of Kafka's for something that is not served here.
    #[error("configuration key is not supported: {key} ({why})")]
    Unsupported {
        /// The key.
        key: String,
        /// What is missing.
        why: &'static str,
    },
    /// The value is not of the type or outside the bounds.
    #[error("invalid value {value:?} for {key}: {reason}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be good.
        reason: String,
    },
    /// Two values that do not go together.
    #[error("{reason}")]
    Conflict {
        /// Which, and why.
        reason: String,
    },
    /// A key without a default has no value.
    #[error("configuration key has no value: {key}")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Broker keys that only a restart can change.
    #[error("cannot update these configs dynamically: [{}]", keys.join(", "))]
    ReadOnly {
        /// The keys, as they were named.
        keys: Vec<String>,
    },
    /// APPEND or SUBTRACT on a value that is no list.
    #[error("can't {operation} to key {key} because its type is not LIST")]
    NotAList {
        /// What was asked for, `APPEND` or `SUBTRACT`.
        operation: &'static str,
        /// The key.
        key: &'static str,
    },
    /// Set to null, which only deletion may do.
    #[error("null value for {key}")]
    NullValue {
        /// The key.
        key: String,
    },
    /// Named twice in a request.
    #[error("duplicate configuration key: {key}")]
    DuplicateKey {
        /// The key.
        key: String,
    },
}

impl ConfigError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // Kafka's way with client metrics, R-3.143 notwithstanding.
            ConfigError::UnknownKey { scope: Scope::ClientMetrics, .. } => ErrorCode::InvalidRequest,
            ConfigError::UnknownKey { .. }
            | ConfigError::Unsupported { .. }
            | ConfigError::RemovedKey { .. }
            | ConfigError::InvalidValue { .. }
            | ConfigError::Conflict { .. }
            | ConfigError::Missing { .. }
            | ConfigError::NotAList { .. } => ErrorCode::InvalidConfig,
            ConfigError::ReadOnly { .. }
            | ConfigError::NullValue { .. }
            | ConfigError::DuplicateKey { .. } => ErrorCode::InvalidRequest,
        }
    }
}

impl Value {
    /// The one text of the value: what is stored and what DescribeConfigs answers.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            // The exponent as Java writes it.
            Value::Double(value) => format!("{value:?}").replace('e', "E"),
            Value::Text(value) => value.clone(),
            Value::List(items) => items.join(","),
        }
    }
}

impl Key {
    /// Reads and checks a value. Numbers may carry a unit (`64MiB`, `10ms`); without one they are in the key's unit.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = self.parse_kind(text.trim()).and_then(|value| {
            self.check.test(&value)?;
            Ok(value)
        });
        value.map_err(|reason| ConfigError::InvalidValue { key: self.name, value: text.to_owned(), reason })
    }

    fn parse_kind(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err("must be true or false".to_owned()),
            Kind::Short => parse_sized(text, self.unit, i16::MAX.into()),
            Kind::Int => parse_sized(text, self.unit, i32::MAX.into()),
            Kind::Long => parse_number(text, self.unit).map(Value::Number),
            Kind::Double => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Double(number)),
                _ => Err("must be a number".to_owned()),
            },
            Kind::Text if matches!(self.check, Check::OneOfIgnoringCase(_)) => {
                Ok(Value::Text(text.to_ascii_lowercase()))
            }
            Kind::Text if matches!(self.check, Check::Address | Check::AddressOfPeer) => {
                Address::parse(text).map(|address| Value::Text(address.to_string()))
            }
            Kind::Text | Kind::Password => Ok(Value::Text(text.to_owned())),
            Kind::List if self.check == Check::Seeds => SeedBroker::list_of(text).map(Value::List),
            Kind::List => Ok(Value::List(parse_list(text))),
        }
    }
}

/// Items between commas, trimmed; each once, in the order of their first appearance.
pub(crate) fn parse_list(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !items.iter().any(|seen| seen == item) {
            items.push(item.to_owned());
        }
    }
    items
}

fn parse_sized(text: &str, unit: Unit, max: i64) -> Result<Value, String> {
    let number = parse_number(text, unit)?;
    if !(-max - 1..=max).contains(&number) {
        return Err(format!("must be between {} and {max}", -max - 1));
    }
    Ok(Value::Number(number))
}

fn parse_number(text: &str, unit: Unit) -> Result<i64, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| "must be a whole number of 64 bits".to_owned())?;
    let suffix = suffix.trim();
    let factor = match unit {
        Unit::None => None,
        Unit::Bytes => byte_factor(suffix),
        Unit::Millis | Unit::Seconds | Unit::Minutes | Unit::Hours => time_factor(suffix),
    };
    let factor = factor.ok_or_else(|| unknown_suffix(suffix, unit))?;
    let total = number.checked_mul(factor).ok_or_else(|| "is too large".to_owned())?;
    let divisor = unit.millis().unwrap_or(1);
    if total % divisor != 0 {
        return Err(format!("must be a whole number of {unit:?}").to_lowercase());
    }
    Ok(total / divisor)
}

fn unknown_suffix(suffix: &str, unit: Unit) -> String {
    match unit {
        Unit::None => "must be a whole number".to_owned(),
        Unit::Bytes => format!("unknown unit {suffix:?}, use B, KiB, MiB, GiB, TiB, KB, MB, GB or TB"),
        Unit::Millis | Unit::Seconds | Unit::Minutes | Unit::Hours => {
            format!("unknown unit {suffix:?}, use ms, s, m, h or d")
        }
    }
}

fn byte_factor(suffix: &str) -> Option<i64> {
    Some(match suffix {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    })
}

fn time_factor(suffix: &str) -> Option<i64> {
    Some(match suffix {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::registry;

    fn text(key: &str, value: &str) -> String {
        let key = registry::topic(key).or(registry::broker(key)).unwrap();
        match key.parse(value) {
            Ok(value) => value.to_text(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn numbers_may_carry_a_unit_and_become_plain() {
        assert_eq!(text("segment.bytes", "64MiB"), "67108864");
        assert_eq!(text("retention.ms", "7d"), "604800000");
        assert_eq!(text("retention.ms", " 10 s"), "10000");
        assert_eq!(text("retention.ms", "-1"), "-1");
        assert_eq!(text("log.retention.hours", "7d"), "168");
        assert_eq!(text("retention.bytes", "1GB"), "1000000000");
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        let cases = [
            ("retention.ms", "x", "must be a whole number of 64 bits"),
            ("retention.ms", "-5", "must be at least -1"),
            ("retention.ms", "5 weeks", "unknown unit \"weeks\", use ms, s, m, h or d"),
            ("retention.ms", "9223372036854775807d", "is too large"),
            ("log.retention.hours", "90m", "must be a whole number of hours"),
            ("segment.bytes", "14", "must be at least 1048576"),
            ("segment.bytes", "3GiB", "must be between -2147483648 and 2147483647"),
            ("compression.gzip.level", "0", "must be between 1 and 9, or -1"),
            ("min.cleanable.dirty.ratio", "2", "must be between 0 and 1"),
            ("min.cleanable.dirty.ratio", "NaN", "must be a number"),
            ("cleanup.policy", "foo", "must be a list of compact, delete"),
            ("message.timestamp.type", "x", "must be one of CreateTime, LogAppendTime"),
            ("preallocate", "yes", "must be true or false"),
            ("leader.replication.throttled.replicas", "foo", "must be * or a list of partition:broker"),
        ];
        for (key, value, reason) in cases {
            assert_eq!(text(key, value), format!("invalid value {value:?} for {key}: {reason}"));
        }
    }

    #[test]
    fn lists_lose_spaces_and_repetitions() {
        assert_eq!(text("cleanup.policy", " compact , delete,compact,"), "compact,delete");
        assert_eq!(text("cleanup.policy", ""), "");
        assert_eq!(text("leader.replication.throttled.replicas", "0:1,1:2"), "0:1,1:2");
        assert_eq!(text("leader.replication.throttled.replicas", "*"), "*");
    }
}
