//! `highlight` of a body: which texts of a hit are shown with marks, and how.
//!
//! [`marks`] finds where in a text the query matched, and [`fragments`] cuts the text around that.

mod fragments;
mod marks;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use self::fragments::Cut;
pub(crate) use self::marks::Marks;
use super::pattern::Pattern;
use super::source::glob;
use super::wrong::{Part, Wrong};

/// Fields, and patterns of them, that one search may mark.
const FIELDS_MAX: usize = 256;
/// Bytes of tags in one answer.
const TAG_BYTES_MAX: usize = 16 << 20;

/// `highlight` of a body. Copies share what there is room for.
#[derive(Clone, Debug)]
pub(crate) struct Highlight {
    /// Patterns of field names, and how their fragments are cut.
    fields: Vec<(Pattern, Cut)>,
    pre: String,
    post: String,
    /// Whether only what searched a field is marked in it.
    same_field: bool,
    /// Bytes of tags that an answer still has room for, whatever the tags are.
    tag_bytes_left: Arc<AtomicUsize>,
}

impl Highlight {
    fn new(pre: &str, post: &str) -> Highlight {
        Highlight {
            fields: Vec::new(),
            pre: pre.to_owned(),
            post: post.to_owned(),
            same_field: true,
            tag_bytes_left: Arc::new(AtomicUsize::new(TAG_BYTES_MAX)),
        }
    }

    /// Every field, whole, between two control characters that no text has: for those who colour themselves.
    pub(crate) fn native() -> Highlight {
        let cut = Cut { size: 0, count: 0 };
        Highlight { fields: vec![(glob("*"), cut)], ..Highlight::new("\u{1}", "\u{2}") }
    }

    /// Whether there is room for the tags of so many marks; a text for which there is none is shown without.
    fn afford(&self, marks: usize) -> bool {
        let bytes = marks.saturating_mul(self.pre.len().saturating_add(self.post.len()));
        let taken = self.tag_bytes_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }
}

/// Reads `highlight`.
pub(crate) fn parse(part: &Part<'_>) -> Result<Highlight, Wrong> {
    let mut cut = Cut { size: 100, count: 5 };
    let mut parsed = Highlight::new("<em>", "</em>");
    let mut fields = None;
    for (key, part) in part.entries("highlight")? {
        match key {
            "fields" => fields = Some(part),
            "pre_tags" => parsed.pre = tag(&part)?,
            "post_tags" => parsed.post = tag(&part)?,
            "require_field_match" => parsed.same_field = part.bool(key)?,
            _ => option(&mut cut, key, &part)?,
        }
    }
    let fields = fields.ok_or_else(|| part.wrong("highlight needs fields"))?;
    for item in fields.items_within(FIELDS_MAX, "highlight")? {
        for (name, part) in item.entries("fields")? {
            let mut cut = cut;
            for (key, part) in part.entries("a field")? {
                option(&mut cut, key, &part)?;
            }
            if parsed.fields.len() == FIELDS_MAX {
                return Err(part.too_much(format!("highlight takes at most {FIELDS_MAX} fields")));
            }
            parsed.fields.push((glob(name.strip_suffix(".keyword").unwrap_or(name)), cut));
        }
    }
    Ok(parsed)
}

fn tag(part: &Part<'_>) -> Result<String, Wrong> {
    match part.items().first() {
        Some(first) => Ok(first.text("a tag")?.to_owned()),
        None => Ok(String::new()),
    }
}

fn option(cut: &mut Cut, key: &str, part: &Part<'_>) -> Result<(), Wrong> {
    match key {
        "fragment_size" => cut.size = usize::try_from(part.count(key)?).unwrap_or(usize::MAX),
        "number_of_fragments" => cut.count = usize::try_from(part.count(key)?).unwrap_or(usize::MAX).min(100),
        "type" | "order" | "boundary_scanner" => _ = part.text(key)?,
        _ => {
            let served =
                "fields, pre_tags, post_tags, fragment_size, number_of_fragments and require_field_match";
            return Err(part.unknown("key in highlight", key, served));
        }
    }
    Ok(())
}
