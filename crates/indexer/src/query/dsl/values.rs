//! Queries for whole values: `term`, `terms`, `range`, `prefix`, `wildcard`, `exists`, `ids`.

use std::ops::Bound;

use super::keys::{boost_by, fielded, literal, name};
use super::{CLAUSES_MAX, Dsl};
use crate::query::dates::DateForm;
use crate::query::pattern::{Glob, Pattern};
use crate::query::ranges::ranges;
use crate::query::tree::{Bool, Least, Node};
use crate::query::wrong::{Part, Wrong};

impl Dsl {
    pub(super) fn terms(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let (mut found, mut boost) = (None, 1.0);
        for (key, part) in body.entries("[terms]")? {
            match key {
                "boost" => boost = part.float("boost")?,
                _ if found.is_some() => {
                    return Err(part.wrong(format!("[terms] takes one field; [{key}] is a second one")));
                }
                _ => found = Some((name(key, &part)?, part)),
            }
        }
        let (name, part) = found.ok_or_else(|| body.wrong("[terms] needs a field"))?;
        if !part.value.is_array() {
            return Err(part.wrong("[terms] needs an array of values"));
        }
        let items = part.items();
        self.count(items.len())?;
        let term = |item: &Part<'_>| Ok(Node::Term { name: name.clone(), value: literal(item)? });
        let should: Vec<Node> = items.iter().map(term).collect::<Result<_, Wrong>>()?;
        let any = Bool { should, least: Some(Least::Count(1)), ..Bool::default() };
        Ok(boost_by(Node::Constant(Box::new(Node::Bool(Box::new(any)))), boost))
    }

    pub(super) fn range(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let (field, body) = body.only("[range]")?;
        let name = name(field, &body)?;
        let mut form = DateForm::new(self.now);
        let (mut from, mut to, mut boost) = (Bound::Unbounded, Bound::Unbounded, 1.0);
        for (key, part) in body.entries("[range]")? {
            let null = part.value.is_null();
            match key {
                "gte" | "gt" | "lte" | "lt" if null => {}
                "gte" => from = Bound::Included(literal(&part)?),
                "gt" => from = Bound::Excluded(literal(&part)?),
                "lte" => to = Bound::Included(literal(&part)?),
                "lt" => to = Bound::Excluded(literal(&part)?),
                "format" => form.set_format(part.text("format")?).map_err(|message| part.wrong(message))?,
                "time_zone" => {
                    form.set_zone(part.text("time_zone")?).map_err(|message| part.wrong(message))?
                }
                "boost" => boost = part.float("boost")?,
                _ => {
                    return Err(part.unknown(
                        "key in [range]",
                        key,
                        "gte, gt, lte, lt, format, time_zone and boost",
                    ));
                }
            }
        }
        if from == Bound::Unbounded && to == Bound::Unbounded {
            return Ok(boost_by(Node::Exists { name }, boost));
        }
        let ranges = ranges(&name, from, to, &form).map_err(|message| body.wrong(message))?;
        Ok(boost_by(Node::Range { name, ranges }, boost))
    }
}

pub(super) fn term(body: &Part<'_>) -> Result<Node, Wrong> {
    let (name, value, rest) = fielded(body, "[term]", &["value"])?;
    let (mut boost, mut any_case) = (1.0, false);
    for (key, part) in rest {
        match key {
            "boost" => boost = part.float("boost")?,
            "case_insensitive" => any_case = part.bool(key)?,
            _ => return Err(part.unknown("key in [term]", key, "value, boost and case_insensitive")),
        }
    }
    let node = if any_case {
        let parts = value.as_text("value")?.chars().map(Glob::Char).collect();
        let pattern = Pattern { parts, any_case, as_words: false };
        pattern.check().map_err(|message| value.wrong(message))?;
        Node::Pattern { name, pattern }
    } else {
        Node::Term { name, value: literal(&value)? }
    };
    Ok(boost_by(node, boost))
}

pub(super) fn pattern(body: &Part<'_>, wildcards: bool) -> Result<Node, Wrong> {
    let (what, keys): (&str, &[&str]) =
        if wildcards { ("[wildcard]", &["value", "wildcard"]) } else { ("[prefix]", &["value"]) };
    let (name, value, rest) = fielded(body, what, keys)?;
    let (mut boost, mut any_case) = (1.0, false);
    for (key, part) in rest {
        match key {
            "boost" => boost = part.float("boost")?,
            "case_insensitive" => any_case = part.bool(key)?,
            "rewrite" => _ = part.text(key)?,
            _ => {
                return Err(part.unknown(
                    &format!("key in {what}"),
                    key,
                    "value, boost and case_insensitive",
                ));
            }
        }
    }
    let text = value.as_text("value")?;
    let pattern = if wildcards {
        Pattern::wildcard(&text, any_case)
    } else {
        Pattern { any_case, ..Pattern::prefix(&text) }
    };
    pattern.check().map_err(|message| value.wrong(message))?;
    Ok(boost_by(Node::Pattern { name, pattern }, boost))
}

pub(super) fn exists(body: &Part<'_>) -> Result<Node, Wrong> {
    let (mut field, mut boost) = (None, 1.0);
    for (key, part) in body.entries("[exists]")? {
        match key {
            "field" => field = Some(name(part.text("field")?, &part)?),
            "boost" => boost = part.float("boost")?,
            _ => return Err(part.unknown("key in [exists]", key, "field and boost")),
        }
    }
    let name = field.ok_or_else(|| body.wrong("[exists] needs a field"))?;
    Ok(boost_by(Node::Exists { name }, boost))
}

pub(super) fn ids(body: &Part<'_>) -> Result<Node, Wrong> {
    let (key, values) = body.only("[ids]")?;
    if key != "values" {
        return Err(values.unknown("key in [ids]", key, "values"));
    }
    let id = |part: &Part<'_>| {
        let text = part.text("an id")?;
        let (partition, offset) = text.split_once(':').unwrap_or_default();
        let wrong = || part.wrong(format!("an id is partition:offset, as in 0:41; this is [{text}]"));
        Ok((partition.parse().map_err(|_| wrong())?, offset.parse().map_err(|_| wrong())?))
    };
    let ids: Vec<(i32, i64)> = values.items().iter().map(id).collect::<Result<_, Wrong>>()?;
    if ids.len() > CLAUSES_MAX {
        return Err(Wrong::too_much(format!("[ids] takes at most {CLAUSES_MAX} values")));
    }
    Ok(Node::Ids(ids))
}
