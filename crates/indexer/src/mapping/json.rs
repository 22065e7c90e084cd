//! The leaves of a JSON object, read in one pass within limits.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tantivy::DateTime;
use tantivy::time::format_description::well_known::Rfc3339;
use tantivy::time::{OffsetDateTime, UtcOffset};

use super::Raw;
use super::document::{Leaf, Text};
use super::paths::Paths;

/// Levels of objects and arrays; tantivy's columns have no more.
pub(super) const DEPTH_MAX: usize = 20;

/// Bytes of a path.
const PATH_BYTES_MAX: usize = 1024;

/// The shortest and the longest RFC 3339 time with a date: `2026-11-21T22:00:00Z`, and one of nanoseconds with an offset.
const TIME_BYTES: std::ops::RangeInclusive<usize> = 20..=35;

/// Where leaves go.
pub(super) struct Out<'a> {
    /// The paths that are indexed as such.
    pub(super) paths: &'a mut Paths,
    /// What there is of text.
    pub(super) strings: &'a mut String,
    pub(super) leaves: &'a mut Vec<(Text, Leaf)>,
    /// Leaves of paths beyond those.
    pub(super) texts: &'a mut Vec<Text>,
}

/// Reads the leaves of the object that `json` is.
///
/// # Errors
/// It is no whole JSON object, or beyond a limit. What was appended by then is the caller's to cut off.
pub(super) fn leaves(json: &[u8], fields_max: usize, wanted: &[String], out: Out<'_>) -> Result<(), Raw> {
    let mut walk = Walk { fields_left: fields_max, wanted, out, path: String::new(), depth: 0, failed: None };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Node(&mut walk).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let failed = walk.failed;
    read.map_err(|_| failed.unwrap_or(Raw::Malformed))
}

struct Walk<'a> {
    fields_left: usize,
    wanted: &'a [String],
    out: Out<'a>,
    /// Where the walk is, segments separated by dots.
    path: String,
    depth: usize,
    failed: Option<Raw>,
}

impl Walk<'_> {
    fn text(&mut self, text: &str) -> Text {
        let start = self.out.strings.len();
        self.out.strings.push_str(text);
        start..self.out.strings.len()
    }

    fn is_wanted(&self) -> bool {
        let within = |field: &String| {
            self.path
                .strip_prefix(field.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.wanted.is_empty() || self.wanted.iter().any(within)
    }

    fn leaf<E: Error>(&mut self, leaf: impl FnOnce(&mut Self) -> Leaf) -> Result<(), E> {
        if !self.is_wanted() {
            return Ok(());
        }
        self.fields_left = self.fields_left.checked_sub(1).ok_or_else(|| self.fail(Raw::Fields))?;
        if !self.out.paths.admit(&self.path) {
            let leaf = leaf(self);
            let text = match leaf {
                Leaf::Str(text, _) => text,
                Leaf::I64(number) => self.text(&number.to_string()),
                Leaf::U64(number) => self.text(&number.to_string()),
                Leaf::F64(number) => self.text(&number.to_string()),
                Leaf::Bool(_) | Leaf::Date(_) => return Ok(()),
            };
            self.out.texts.push(text);
            return Ok(());
        }
        // An array repeats the path of the leaf before.
        let path = match self.out.leaves.last() {
            Some((last, _)) if self.out.strings.get(last.clone()) == Some(&self.path) => last.clone(),
            _ => {
                let path = std::mem::take(&mut self.path);
                let text = self.text(&path);
                self.path = path;
                text
            }
        };
        let leaf = leaf(self);
        self.out.leaves.push((path, leaf));
        Ok(())
    }

    fn fail<E: Error>(&mut self, why: Raw) -> E {
        self.failed = Some(why);
        E::custom("beyond a limit")
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_MAX || self.path.len() > PATH_BYTES_MAX {
            return Err(self.fail(Raw::Depth));
        }
        Ok(())
    }
}

/// A value of any kind; the outermost one must be an object.
struct Node<'w, 'a>(&'w mut Walk<'a>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.depth == 0 {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.leaf(|_| Leaf::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.leaf(|_| Leaf::I64(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.leaf(|_| i64::try_from(value).map_or(Leaf::U64(value), Leaf::I64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.leaf(|_| Leaf::F64(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.leaf(|walk| match date(value) {
            Some(date) => Leaf::Date(date),
            None => {
                let whole = walk.out.paths.whole(&walk.path, value);
                Leaf::Str(walk.text(value), whole)
            }
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.enter()?;
        while items.next_element_seed(Node(self.0))?.is_some() {}
        self.0.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.enter()?;
        let parent = self.0.path.len();
        while members.next_key_seed(Segment(self.0))?.is_some() {
            members.next_value_seed(Node(self.0))?;
            self.0.path.truncate(parent);
        }
        self.0.depth -= 1;
        Ok(())
    }
}

/// A member's name, appended to the path.
struct Segment<'w, 'a>(&'w mut Walk<'a>);

impl<'de> DeserializeSeed<'de> for Segment<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Segment<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        let path = &mut self.0.path;
        if !path.is_empty() {
            path.push('.');
        }
        // Tantivy ends a path with the one and separates segments with the other.
        path.extend(
            name.chars().map(|c| if matches!(c, '\0' | '\u{1}') { char::REPLACEMENT_CHARACTER } else { c }),
        );
        Ok(())
    }
}

fn date(text: &str) -> Option<DateTime> {
    if !TIME_BYTES.contains(&text.len()) || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    DateTime::try_from_utc(time.to_offset(UtcOffset::UTC))
}
