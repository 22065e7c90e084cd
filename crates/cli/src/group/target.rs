//! Where a group is moved to, as a user writes it, and which partitions that is about.

use std::fmt;
use std::str::FromStr;

use super::model::Place;
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

/// `TOPIC`, `TOPIC:0` or `TOPIC:0,3-5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) topic: String,
    /// All of the topic when `None`.
    pub(crate) partitions: Option<Vec<i32>>,
}

/// A range of more partitions is a typing error.
const PARTITIONS_MAX: i32 = 100_000;

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Selection, String> {
        let wanted = || format!("must be TOPIC, TOPIC:0 or TOPIC:0,3-5: {text}");
        // A topic's name has no colon.
        let Some((topic, list)) = text.split_once(':') else {
            return if text.is_empty() {
                Err(wanted())
            } else {
                Ok(Selection { topic: text.to_owned(), partitions: None })
            };
        };
        if topic.is_empty() {
            return Err(wanted());
        }
        let index = |text: &str| text.parse::<i32>().ok().filter(|index| (0..PARTITIONS_MAX).contains(index));
        let mut partitions = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = index(first).zip(index(last)).ok_or_else(wanted)?;
            if first > last {
                return Err(wanted());
            }
            partitions.extend(first..=last);
        }
        partitions.sort_unstable();
        partitions.dedup();
        Ok(Selection { topic: topic.to_owned(), partitions: Some(partitions) })
    }
}

impl Selection {
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.topic == place.topic
            && self.partitions.as_ref().is_none_or(|partitions| partitions.contains(&place.partition))
    }
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

    #[test]
    fn a_selection_is_a_topic_with_or_without_partitions() {
        let selection = |text: &str| text.parse::<Selection>().unwrap();
        let place = |partition| Place { topic: "orders".to_owned(), partition };
        assert!(selection("orders").has(&place(7)));
        let some = selection("orders:0,3-5,4");
        assert_eq!(some.partitions, Some(vec![0, 3, 4, 5]));
        assert!(some.has(&place(4)) && !some.has(&place(1)));
        assert!(!some.has(&Place { topic: "other".to_owned(), partition: 4 }));
        for text in ["", ":1", "a:", "a:x", "a:5-3", "a:-1", "a:1-", "a:0-999999999"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
