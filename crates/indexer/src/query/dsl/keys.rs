//! Keys that several kinds of queries have.

use serde_json::Value;

use crate::query::literal::{Literal, Number};
use crate::query::name::{Name, OWN_NAMES};
use crate::query::tree::Least;
use crate::query::wrong::{Part, Wrong};

pub(super) fn name(text: &str, part: &Part<'_>) -> Result<Name, Wrong> {
    Name::parse(text)
        .ok_or_else(|| part.wrong(format!("no field [{text}]; a record's own fields are {OWN_NAMES}")))
}

pub(super) fn literal(part: &Part<'_>) -> Result<Literal, Wrong> {
    match part.value {
        Value::String(text) => Ok(Literal::Text(text.clone())),
        Value::Bool(value) => Ok(Literal::Bool(*value)),
        Value::Number(number) => Number::from_json(number)
            .map(Literal::Number)
            .ok_or_else(|| part.wrong("the number is too large")),
        _ => Err(part.wrong("a value must be a string, a number, true or false")),
    }
}

/// The keys of an object, and what they stand before.
pub(super) type Keys<'a> = Vec<(&'a str, Part<'a>)>;

/// The keys of a query, and its `boost`, which every kind has.
pub(super) fn keys<'a>(body: &Part<'a>, what: &str) -> Result<(Keys<'a>, f32), Wrong> {
    let (mut keys, mut boost) = (Vec::new(), 1.0);
    for (key, part) in body.entries(what)? {
        if key == "boost" { boost = weight(part.float(key)?, &part)? } else { keys.push((key, part)) }
    }
    Ok((keys, boost))
}

/// `{"field": value}` or `{"field": {"query": value, …}}`.
pub(super) struct Fielded<'a> {
    pub(super) name: Name,
    pub(super) value: Part<'a>,
    /// The other keys.
    pub(super) keys: Keys<'a>,
    pub(super) boost: f32,
}

/// Reads the body of a query for one field; the value stands under one of `names`.
pub(super) fn fielded<'a>(body: &Part<'a>, what: &str, names: &[&str]) -> Result<Fielded<'a>, Wrong> {
    let (field, inner) = body.only(what)?;
    let name = name(field, &inner)?;
    if !inner.value.is_object() {
        return Ok(Fielded { name, value: inner, keys: Vec::new(), boost: 1.0 });
    }
    let (all, boost) = keys(&inner, what)?;
    let (values, keys): (Keys<'_>, Keys<'_>) = all.into_iter().partition(|(key, _)| names.contains(key));
    let needed = || inner.wrong(format!("{what} needs [{}]", names.first().copied().unwrap_or_default()));
    let (_, value) = values.into_iter().next_back().ok_or_else(needed)?;
    Ok(Fielded { name, value, keys, boost })
}

/// A weight as scores take it.
fn weight(weight: f64, part: &Part<'_>) -> Result<f32, Wrong> {
    let weight = weight as f32;
    if weight.is_finite() && weight >= 0.0 {
        Ok(weight)
    } else {
        Err(part.wrong("a weight must be a number from 0"))
    }
}

pub(super) fn is_and(part: &Part<'_>) -> Result<bool, Wrong> {
    match part.text("the operator")?.to_ascii_lowercase().as_str() {
        "and" => Ok(true),
        "or" => Ok(false),
        other => Err(part.unknown("operator", other, "and and or")),
    }
}

pub(super) fn least(part: &Part<'_>) -> Result<Least, Wrong> {
    if let Some(count) = part.value.as_i64() {
        return Ok(Least::Count(count));
    }
    let text = part.text("minimum_should_match")?;
    let read = match text.strip_suffix('%') {
        Some(percent) => {
            percent.parse().ok().filter(|percent| (-100..=100).contains(percent)).map(Least::Percent)
        }
        None => text.parse().ok().map(Least::Count),
    };
    read.ok_or_else(|| {
        part.wrong("minimum_should_match must be a count such as 2 or -1, or a share such as 75%")
    })
}

pub(super) fn weighted(part: &Part<'_>) -> Result<Vec<(Name, f32)>, Wrong> {
    const FIELDS_MAX: usize = 64;
    let items = part.items_within(FIELDS_MAX, "fields")?;
    if items.is_empty() {
        return Err(part.wrong("fields must name one field at least"));
    }
    let one = |item: &Part<'_>| {
        let text = item.text("a field")?;
        let (field, weight_text) = text.split_once('^').unwrap_or((text, "1"));
        let number = weight_text.parse().map_err(|_| item.wrong("a number must follow '^'"))?;
        Ok((name(field, item)?, weight(number, item)?))
    };
    items.iter().map(one).collect()
}
