//! Keys that several kinds of queries have.

use serde_json::Value;

use crate::query::literal::{Literal, Number};
use crate::query::name::{Name, OWN_NAMES};
use crate::query::tree::{Least, Node};
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

pub(super) fn boost_by(node: Node, boost: f64) -> Node {
    let boost = boost as f32;
    if (boost - 1.0).abs() < f32::EPSILON { node } else { Node::Boost(Box::new(node), boost) }
}

pub(super) fn boosted(body: &Part<'_>, node: Node) -> Result<Node, Wrong> {
    let mut boost = 1.0;
    for (key, part) in body.entries("[match_all]")? {
        match key {
            "boost" => boost = part.float("boost")?,
            _ => return Err(part.unknown("key in [match_all]", key, "boost")),
        }
    }
    Ok(boost_by(node, boost))
}

/// `{"field": value}` or `{"field": {"query": value, …}}`: the field, the value and the other keys.
pub(super) type Fielded<'a> = (Name, Part<'a>, Vec<(&'a str, Part<'a>)>);

pub(super) fn fielded<'a>(body: &Part<'a>, what: &str, keys: &[&str]) -> Result<Fielded<'a>, Wrong> {
    let (field, inner) = body.only(what)?;
    let name = name(field, &inner)?;
    if !inner.value.is_object() {
        return Ok((name, inner, Vec::new()));
    }
    let (mut value, mut rest) = (None, Vec::new());
    for (key, part) in inner.entries(what)? {
        if keys.contains(&key) { value = Some(part) } else { rest.push((key, part)) }
    }
    let needed = || inner.wrong(format!("{what} needs [{}]", keys.first().copied().unwrap_or_default()));
    Ok((name, value.ok_or_else(needed)?, rest))
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
    let items = part.items();
    if items.is_empty() || items.len() > FIELDS_MAX {
        return Err(part.wrong(format!("fields must name 1 to {FIELDS_MAX} fields")));
    }
    let one = |item: &Part<'_>| {
        let text = item.text("a field")?;
        let (field, weight) = text.split_once('^').unwrap_or((text, "1"));
        let weight: f32 = weight.parse().map_err(|_| item.wrong("a number must follow '^'"))?;
        Ok((name(field, item)?, weight))
    };
    items.iter().map(one).collect()
}
