//! Where a group is moved to, as a user writes it, and which partitions that is about.

use std::fmt;
use std::str::FromStr;

use crate::moment::{Moment, now_ms, rfc3339};

/// Where to move to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The first record that is there.
    Earliest,
    /// After the last record.
    Latest,
    /// One offset, in every partition.
    Offset(i64),
    /// The first record that is not older.
    Time(Moment),
    /// So many records on (or back, when negative) from the commit.
    Shift(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let wanted = || format!("must be earliest, latest, OFFSET, @TIME, +N or -N: {text}");
        match text {
            "earliest" | "start" | "beginning" => return Ok(Target::Earliest),
            "latest" | "end" => return Ok(Target::Latest),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            return time.parse().map(Target::Time);
        }
        if let Some(records) = text.strip_prefix('+') {
            return digits(records).map(Target::Shift).ok_or_else(wanted);
        }
        if let Some(records) = text.strip_prefix('-') {
            return digits(records).map(|records| Target::Shift(-records)).ok_or_else(wanted);
        }
        digits(text).map(Target::Offset).ok_or_else(wanted)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Earliest => f.write_str("earliest"),
            Target::Latest => f.write_str("latest"),
            Target::Offset(offset) => write!(f, "{offset}"),
            Target::Time(moment) => write!(f, "@{}", rfc3339(moment.millis(now_ms()))),
            Target::Shift(records) => write!(f, "{records:+}"),
        }
    }
}

/// A number without a sign; digits may be grouped with `,` or `_`, as offsets are shown.
fn digits(text: &str) -> Option<i64> {
    let bare: String = text.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let all = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if all { bare.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_words_offsets_times_and_steps() {
        for (text, target) in [
            ("earliest", Target::Earliest),
            ("latest", Target::Latest),
            ("264651", Target::Offset(264_651)),
            ("264,651", Target::Offset(264_651)),
            ("+10", Target::Shift(10)),
            ("-10", Target::Shift(-10)),
        ] {
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
        assert!(matches!("@-1h".parse(), Ok(Target::Time(_))));
        for text in ["", "newest", "+", "-", "--1", "1.5", "@", "@soon", "99999999999999999999"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
