//! In which order hits come, and after which of them a page begins.
//!
//! [`read`] takes it from a body, and [`value`] is what a hit is sorted by.

mod read;
mod value;

use std::cmp::Ordering;

pub(crate) use self::read::parse;
pub(crate) use self::value::{Place, SortValue};
use super::name::Name;

/// What one key sorts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Score,
    /// `@timestamp`, `_offset`, `_partition`, `_topic`, `_key` or a path of the value, always whole.
    Field(Name),
    /// `_doc`: the place alone.
    Place,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) by: By,
    pub(crate) descending: bool,
    pub(crate) missing_first: bool,
}

/// The order of the hits. What the keys leave open is decided by topic, partition and offset, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sort {
    pub(crate) keys: Vec<Key>,
    /// Whether the query said so itself: only then hits show their sort values.
    pub(crate) explicit: bool,
    pub(crate) after: Option<After>,
}

/// Hits come after these values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct After {
    pub(crate) values: Vec<SortValue>,
    /// The place of the last hit; without it, all hits of equal values come before.
    pub(crate) place: Option<Place>,
}

impl Key {
    /// The order of two values under this key.
    pub(crate) fn order(&self, one: &SortValue, two: &SortValue) -> Ordering {
        let missing = |value: &SortValue| *value == SortValue::Missing;
        match (missing(one), missing(two)) {
            (true, true) => Ordering::Equal,
            (true, false) if self.missing_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if self.missing_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if self.descending => two.order(one),
            (false, false) => one.order(two),
        }
    }
}

impl Default for Sort {
    fn default() -> Sort {
        Sort {
            keys: vec![Key { by: By::Score, descending: true, missing_first: false }],
            explicit: false,
            after: None,
        }
    }
}

impl Sort {
    /// Whether scores must be computed.
    pub(crate) fn by_score(&self) -> bool {
        self.keys.iter().any(|key| key.by == By::Score)
    }

    /// Whether the greatest scores come first, and nothing else counts but the place.
    pub(crate) fn only_by_score(&self) -> bool {
        matches!(self.keys.as_slice(), [Key { by: By::Score, descending: true, .. }])
    }

    /// The fields of values that are keys.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |key: &Key| match &key.by {
            By::Field(Name::Value { path, .. }) => Some(path.to_string()),
            _ => None,
        };
        self.keys.iter().filter_map(path).collect()
    }

    /// The order of two hits by their values.
    pub(crate) fn order(&self, one: &[SortValue], two: &[SortValue]) -> Ordering {
        let orders = self.keys.iter().zip(one.iter().zip(two)).map(|(key, (one, two))| key.order(one, two));
        orders.fold(Ordering::Equal, Ordering::then)
    }

    /// Whether a hit with these values comes after the page before.
    pub(crate) fn is_after(&self, values: &[SortValue], place: impl FnOnce() -> Place) -> bool {
        let Some(after) = &self.after else { return true };
        match (self.order(values, &after.values), &after.place) {
            (Ordering::Less, _) | (Ordering::Equal, None) => false,
            (Ordering::Greater, _) => true,
            (Ordering::Equal, Some(last)) => place() > *last,
        }
    }
}
