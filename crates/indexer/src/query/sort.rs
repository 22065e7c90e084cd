//! In which order hits come, and after which of them a page begins.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tree::{Name, Number, OWN_NAMES};
use super::wrong::{Part, Wrong};

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

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) topic: std::sync::Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Place {
    /// `partition:offset:topic`, the last element of a hit's `sort`.
    pub(crate) fn print(&self) -> String {
        format!("{}:{}:{}", self.partition, self.offset, self.topic)
    }

    pub(crate) fn parse(text: &str) -> Option<Place> {
        let mut parts = text.splitn(3, ':');
        let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Place { partition, offset, topic: parts.next()?.into() })
    }
}

/// What a hit is sorted by. Values of different types in one field: truth values, numbers, dates, texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum SortValue {
    Missing,
    Score(f32),
    Bool(bool),
    Number(Number),
    /// Milliseconds.
    Date(i64),
    Text(String),
    /// A text by its place in the dictionary of one split; never leaves it.
    Ord(i64),
}

impl SortValue {
    fn rank(&self) -> u8 {
        match self {
            SortValue::Missing => 0,
            SortValue::Score(_) => 1,
            SortValue::Bool(_) => 2,
            SortValue::Number(_) => 3,
            SortValue::Date(_) => 4,
            SortValue::Text(_) | SortValue::Ord(_) => 5,
        }
    }

    /// Ascending, missing values apart.
    pub(crate) fn order(&self, other: &SortValue) -> Ordering {
        match (self, other) {
            (SortValue::Score(one), SortValue::Score(two)) => one.total_cmp(two),
            (SortValue::Bool(one), SortValue::Bool(two)) => one.cmp(two),
            (SortValue::Number(one), SortValue::Number(two)) => one.order(*two),
            (SortValue::Date(one), SortValue::Date(two)) => one.cmp(two),
            // Numbers of `search_after` mean dates where dates are compared.
            (SortValue::Number(one), SortValue::Date(two)) => one.order(Number::Int(*two)),
            (SortValue::Date(one), SortValue::Number(two)) => Number::Int(*one).order(*two),
            (SortValue::Ord(one), SortValue::Ord(two)) => one.cmp(two),
            (SortValue::Text(one), SortValue::Text(two)) => one.as_bytes().cmp(two.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            SortValue::Missing => Value::Null,
            SortValue::Score(score) => json!(score),
            SortValue::Bool(value) => json!(value),
            SortValue::Number(Number::Int(number)) => json!(number),
            SortValue::Number(Number::Uint(number)) => json!(number),
            SortValue::Number(Number::Float(number)) => json!(number),
            SortValue::Date(millis) => json!(millis),
            SortValue::Text(text) => json!(text),
            SortValue::Ord(ordinal) => json!(ordinal),
        }
    }
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

    /// Takes `search_after`: the values of a hit's `sort`, with or without the last one, its place.
    pub(crate) fn set_after(&mut self, part: &Part<'_>) -> Result<(), Wrong> {
        let Value::Array(_) = part.value else { return Err(part.wrong("search_after must be an array")) };
        let items = part.items();
        let shown = self.keys.iter().filter(|key| key.by != By::Place).count();
        let place_given = items.len() > shown;
        if items.len() < shown || items.len() > self.keys.len().max(shown + 1) {
            return Err(part.wrong(format!(
                "search_after has {} values, and the sort has {shown}; give the sort of the last hit as it is",
                items.len()
            )));
        }
        let mut values = Vec::with_capacity(self.keys.len());
        let mut given = items.iter();
        for key in &self.keys {
            values.push(match &key.by {
                By::Place => SortValue::Missing,
                by => given.next().map_or(Ok(SortValue::Missing), |item| after_value(item, by))?,
            });
        }
        let place = match items.last() {
            Some(last) if place_given => {
                let text = last.text("the last value of search_after")?;
                let wrong = || last.wrong("the last value of search_after must be that of a hit's sort");
                Some(Place::parse(text).ok_or_else(wrong)?)
            }
            _ => None,
        };
        self.after = Some(After { values, place });
        Ok(())
    }
}

fn after_value(part: &Part<'_>, by: &By) -> Result<SortValue, Wrong> {
    let value = match part.value {
        Value::Null => SortValue::Missing,
        Value::Bool(value) => SortValue::Bool(*value),
        Value::String(text) if *by == By::Field(Name::Timestamp) => {
            let form = super::dates::DateForm::new(eddy_types::Millis(0));
            let wrong = || part.wrong("this value of search_after must be a date or milliseconds");
            SortValue::Date(form.text(text).ok_or_else(wrong)?.0.0)
        }
        Value::String(text) => SortValue::Text(text.clone()),
        Value::Number(number) => {
            let number = Number::from_json(number).ok_or_else(|| part.wrong("the number is too large"))?;
            match (by, number) {
                (By::Score, number) => SortValue::Score(number.float() as f32),
                (By::Field(Name::Timestamp), Number::Int(millis)) => SortValue::Date(millis),
                _ => SortValue::Number(number),
            }
        }
        _ => {
            return Err(part.wrong("a value of search_after must be a string, a number, true, false or null"));
        }
    };
    Ok(value)
}

/// Reads `sort`.
pub(crate) fn parse(part: &Part<'_>) -> Result<Sort, Wrong> {
    const KEYS_MAX: usize = 8;
    let items = part.items();
    let mut keys = Vec::new();
    for item in &items {
        if let Value::String(text) = item.value {
            let (name, descending) = match text.rsplit_once(':') {
                Some((name, "desc")) => (name, Some(true)),
                Some((name, "asc")) => (name, Some(false)),
                _ => (text.as_str(), None),
            };
            let by = by(name, item)?;
            let descending = descending.unwrap_or(by == By::Score);
            keys.push(Key { by, descending, missing_first: false });
            continue;
        }
        for (name, options) in item.entries("a sort key")? {
            keys.push(key(name, &options)?);
        }
    }
    if keys.len() > KEYS_MAX {
        return Err(part.wrong(format!("at most {KEYS_MAX} sort keys are served")));
    }
    if keys.is_empty() {
        return Ok(Sort::default());
    }
    // What comes after the place cannot matter.
    if let Some(place) = keys.iter().position(|key| key.by == By::Place) {
        keys.truncate(place + 1);
    }
    Ok(Sort { keys, explicit: true, after: None })
}

fn key(name: &str, options: &Part<'_>) -> Result<Key, Wrong> {
    let by = by(name, options)?;
    let mut key = Key { descending: by == By::Score, by, missing_first: false };
    let order = |part: &Part<'_>| match part.text("the order")? {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(part.unknown("order", other, "asc and desc")),
    };
    if options.value.is_string() {
        key.descending = order(options)?;
        return Ok(key);
    }
    for (option, part) in options.entries("a sort key")? {
        match option {
            "order" => key.descending = order(&part)?,
            "missing" => match part.text("missing")? {
                "_last" => key.missing_first = false,
                "_first" => key.missing_first = true,
                other => return Err(part.unknown("value of missing", other, "_first and _last")),
            },
            "unmapped_type" | "format" | "numeric_type" => _ = part.text(option)?,
            "mode" if part.text("mode")? == if key.descending { "max" } else { "min" } => {}
            _ => {
                return Err(part.unknown(
                    "key of a sort",
                    option,
                    "order, missing, unmapped_type and format",
                ));
            }
        }
    }
    Ok(key)
}

fn by(name: &str, part: &Part<'_>) -> Result<By, Wrong> {
    match name {
        "_score" => Ok(By::Score),
        "_doc" | "_shard_doc" => Ok(By::Place),
        _ => match Name::parse(name) {
            Some(Name::Anywhere | Name::Header(_)) => Err(part.wrong(format!("cannot sort by [{name}]"))),
            Some(Name::Value { path, .. }) => Ok(By::Field(Name::Value { path, whole: true })),
            Some(name) => Ok(By::Field(name)),
            None => Err(part.wrong(format!(
                "no field [{name}]; a record's own fields are {OWN_NAMES}, and _score and _doc sort too"
            ))),
        },
    }
}
