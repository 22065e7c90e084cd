//! What a hit is sorted by, and where it is.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::query::literal::Number;

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
