//! A record as tantivy takes it, without a copy of any string.

use std::iter::Empty;
use std::ops::Range;

use bytes::Bytes;
use tantivy::DateTime;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};
use tantivy::schema::{Document, Field, Value};

use crate::fields::Fields;

/// A stretch of [`MappedRecord::strings`].
pub(super) type Text = Range<usize>;

/// A leaf of a JSON value.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Date(DateTime),
    Str(Text, Whole),
}

/// How a string is found as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Exact,
    Hash(u64),
}

/// A record to be indexed. What of it is text stands in one string, and everything else points into that.
pub(crate) struct MappedRecord {
    pub(super) fields: Fields,
    pub(super) offset: i64,
    pub(super) timestamp: DateTime,
    pub(super) strings: String,
    pub(super) key: Option<Text>,
    /// Names and values.
    pub(super) headers: Vec<(Text, Text)>,
    /// Paths and what is there; a path may occur more than once.
    pub(super) leaves: Vec<(Text, Leaf)>,
    /// What has no path: a value that is plain text, or one that is indexed as if it were.
    pub(super) texts: Vec<Text>,
    pub(super) source: Option<Bytes>,
}

impl MappedRecord {
    /// Its timestamp in milliseconds.
    pub(crate) fn time(&self) -> i64 {
        self.timestamp.into_timestamp_millis()
    }

    fn text(&self, at: &Text) -> &str {
        self.strings.get(at.clone()).unwrap_or_default()
    }

    fn leaf<'a>(&'a self, leaf: &Leaf) -> ReferenceValueLeaf<'a> {
        match leaf {
            Leaf::Bool(value) => ReferenceValueLeaf::Bool(*value),
            Leaf::I64(value) => ReferenceValueLeaf::I64(*value),
            Leaf::U64(value) => ReferenceValueLeaf::U64(*value),
            Leaf::F64(value) => ReferenceValueLeaf::F64(*value),
            Leaf::Date(value) => ReferenceValueLeaf::Date(*value),
            Leaf::Str(at, _) => ReferenceValueLeaf::Str(self.text(at)),
        }
    }

    fn has_hashes(&self) -> bool {
        self.leaves.iter().any(|(_, leaf)| matches!(leaf, Leaf::Str(_, Whole::Hash(_))))
    }
}

/// One value of a field.
#[derive(Clone, Debug)]
pub(crate) enum FieldValue<'a> {
    Leaf(ReferenceValueLeaf<'a>),
    Object(Members<'a>),
}

impl<'a> Value<'a> for FieldValue<'a> {
    type ArrayIter = Empty<FieldValue<'a>>;
    type ObjectIter = Members<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        match self {
            FieldValue::Leaf(leaf) => ReferenceValue::Leaf(leaf.clone()),
            FieldValue::Object(members) => ReferenceValue::Object(members.clone()),
        }
    }
}

/// Members of an object, by path: tantivy splits paths at their dots, so that they need not be nested.
#[derive(Clone)]
pub(crate) struct Members<'a> {
    record: &'a MappedRecord,
    of: Of,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Headers,
    /// All leaves.
    Words,
    /// Leaves whose columns have them as they are.
    Exact,
    /// The others.
    Hashes,
}

impl std::fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("of", &self.of).field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, FieldValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record;
        loop {
            let at = self.next;
            self.next += 1;
            if let Of::Headers = self.of {
                let (name, value) = record.headers.get(at)?;
                let leaf = ReferenceValueLeaf::Str(record.text(value));
                return Some((record.text(name), FieldValue::Leaf(leaf)));
            }
            let (path, leaf) = record.leaves.get(at)?;
            let leaf = match (self.of, leaf) {
                (Of::Exact, Leaf::Str(_, Whole::Hash(_))) => continue,
                (Of::Hashes, Leaf::Str(_, Whole::Hash(hash))) => ReferenceValueLeaf::U64(*hash),
                (Of::Hashes, _) => continue,
                (_, leaf) => record.leaf(leaf),
            };
            return Some((record.text(path), FieldValue::Leaf(leaf)));
        }
    }
}

impl Document for MappedRecord {
    type Value<'a> = FieldValue<'a>;
    type FieldsValuesIter<'a> = std::vec::IntoIter<(Field, FieldValue<'a>)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let fields = &self.fields;
        let str = |at: &Text| FieldValue::Leaf(ReferenceValueLeaf::Str(self.text(at)));
        let members = |of| FieldValue::Object(Members { record: self, of, next: 0 });
        let mut values = Vec::with_capacity(8 + self.texts.len());
        values.push((fields.offset, FieldValue::Leaf(ReferenceValueLeaf::I64(self.offset))));
        values.push((fields.timestamp, FieldValue::Leaf(ReferenceValueLeaf::Date(self.timestamp))));
        values.extend(self.key.as_ref().map(|key| (fields.key, str(key))));
        if !self.headers.is_empty() {
            values.push((fields.headers, members(Of::Headers)));
        }
        if !self.leaves.is_empty() {
            values.push((fields.value, members(Of::Words)));
            values.push((fields.exact, members(Of::Exact)));
            if self.has_hashes() {
                values.push((fields.hash, members(Of::Hashes)));
            }
        }
        values.extend(self.texts.iter().map(|text| (fields.text, str(text))));
        if let Some(source) = &self.source {
            values.push((fields.source, FieldValue::Leaf(ReferenceValueLeaf::Bytes(source))));
        }
        values.into_iter()
    }
}
