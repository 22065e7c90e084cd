//! Rates as a user writes them.

use std::fmt;
use std::str::FromStr;

use eddy_metadata::config::{ConfigError, Value, registry};

use super::RATE_KEYS;
use crate::output::size;

/// Bytes a second, more than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Rate(i64);

impl FromStr for Rate {
    type Err = String;

    /// `10MiB/s`, `10MB`, `50000000`: as the broker's own key reads it.
    fn from_str(text: &str) -> Result<Rate, String> {
        let bytes = text.strip_suffix("/s").unwrap_or(text);
        let parsed = RATE_KEYS.iter().find_map(|key| registry::broker(key)).map(|key| key.parse(bytes));
        match parsed {
            Some(Ok(Value::Number(rate @ 1..))) => Ok(Rate(rate)),
            Some(Err(ConfigError::InvalidValue { reason, .. })) => Err(reason),
            _ => Err("must be more than 0 bytes a second, such as 10MiB/s".to_owned()),
        }
    }
}

impl Rate {
    /// As brokers take it.
    pub(super) fn text(self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", size(self.0.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_units_of_sizes_and_may_say_that_it_is_one() {
        let cases = [
            ("10MiB/s", "10485760", "10 MiB/s"),
            ("10MB", "10000000", "9.5 MiB/s"),
            ("50000000", "50000000", "48 MiB/s"),
            ("1 GiB/s", "1073741824", "1.0 GiB/s"),
            ("700B/s", "700", "700 B/s"),
        ];
        for (text, bytes, shown) in cases {
            let rate: Rate = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((rate.text().as_str(), rate.to_string().as_str()), (bytes, shown), "{text}");
        }
        for (text, reason) in [
            ("0", "must be more than 0 bytes a second, such as 10MiB/s"),
            ("-1", "must be at least 0"),
            ("fast", "must be a whole number of 64 bits"),
            ("", "must be a whole number of 64 bits"),
            ("10 parsecs", "unknown unit \"parsecs\", use B, KiB, MiB, GiB, TiB, KB, MB, GB or TB"),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(reason.to_owned()), "{text}");
        }
    }
}
