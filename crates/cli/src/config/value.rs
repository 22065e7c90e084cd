//! Values of settings as people read them.

use crate::moment::span;
use crate::output::size;

/// A value with what it amounts to, where its key says a unit: `172800000 (2d00h)`.
pub(super) fn with_unit(key: &str, value: &str) -> String {
    let Ok(number) = value.parse::<i64>() else { return value.to_owned() };
    let unit = key.rsplit('.').next().unwrap_or_default();
    match (unit, number) {
        // Such as the largest number for "never".
        (_, i64::MAX) => format!("{value} (no limit)"),
        ("ms", 1_000..) => format!("{value} ({})", span(number)),
        ("bytes", 1_024..) => format!("{value} ({})", size(number.unsigned_abs())),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_from_the_key() {
        for (key, value, shown) in [
            ("retention.ms", "172800000", "172800000 (2d00h)"),
            ("segment.bytes", "1073741824", "1073741824 (1.0 GiB)"),
            ("flush.messages", "9223372036854775807", "9223372036854775807 (no limit)"),
            ("retention.bytes", "-1", "-1"),
            ("batch.bytes", "512", "512"),
            ("cleanup.policy", "compact", "compact"),
            ("min.insync.replicas", "2", "2"),
        ] {
            assert_eq!(with_unit(key, value), shown);
        }
    }
}
