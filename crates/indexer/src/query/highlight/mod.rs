//! `highlight` of a body: which texts of a hit are shown with marks, and how.
//!
//! [`marks`] finds where in a text the query matched, and [`fragments`] cuts the text around that.

mod fragments;
mod marks;

use self::fragments::Cut;
pub(crate) use self::marks::Marks;
use super::pattern::Pattern;
use super::source::glob;
use super::wrong::{Part, Wrong};

/// `highlight` of a body.
#[derive(Clone, Debug)]
pub(crate) struct Highlight {
    /// Patterns of field names, and how their fragments are cut.
    fields: Vec<(Pattern, Cut)>,
    pre: String,
    post: String,
    /// Whether only what searched a field is marked in it.
    same_field: bool,
}

impl Highlight {
    /// Every field, whole, between two control characters that no text has: for those who colour themselves.
    pub(crate) fn native() -> Highlight {
        let cut = Cut { size: 0, count: 0 };
        Highlight {
            fields: vec![(glob("*"), cut)],
            pre: "\u{1}".to_owned(),
            post: "\u{2}".to_owned(),
            same_field: true,
        }
    }
}

/// Reads `highlight`.
pub(crate) fn parse(part: &Part<'_>) -> Result<Highlight, Wrong> {
    let mut cut = Cut { size: 100, count: 5 };
    let mut parsed =
        Highlight { fields: Vec::new(), pre: "<em>".to_owned(), post: "</em>".to_owned(), same_field: true };
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
    for item in fields.items() {
        for (name, part) in item.entries("fields")? {
            let mut cut = cut;
            for (key, part) in part.entries("a field")? {
                option(&mut cut, key, &part)?;
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
