//! Queries for whole values: `term`, `terms`, `range`, `prefix`, `wildcard`, `exists`, `ids`.

use std::ops::Bound;

use serde_json::Value;

use super::keys::{Fielded, fielded, keys, literal, name};
use super::{CLAUSES_MAX, Dsl};
use crate::query::dates::DateForm;
use crate::query::pattern::{Glob, Pattern};
use crate::query::ranges::ranges;
use crate::query::tree::{Bool, Least, Node};
use crate::query::wrong::{Part, Wrong};

impl Dsl {
    pub(super) fn terms(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let (keys, boost) = keys(body, "[terms]")?;
        let mut keys = keys.into_iter();
        let (field, part) = keys.next().ok_or_else(|| body.wrong("[terms] needs a field"))?;
        if let Some((second, part)) = keys.next() {
            return Err(part.wrong(format!("[terms] takes one field; [{second}] is a second one")));
        }
        let name = name(field, &part)?;
        let Value::Array(values) = part.value else {
            return Err(part.wrong("[terms] needs an array of values"));
        };
        self.count(values.len(), &part)?;
        let term = |item: &Part<'_>| Ok(Node::Term { name: name.clone(), value: literal(item)? });
        let should: Vec<Node> = part.items().iter().map(term).collect::<Result<_, Wrong>>()?;
        let any = Bool { should, least: Some(Least::Count(1)), ..Bool::default() };
        Ok(Node::Constant(Box::new(Node::Bool(Box::new(any)))).boosted(boost))
    }

    pub(super) fn range(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
        let (field, body) = body.only("[range]")?;
        let name = name(field, &body)?;
        let mut form = DateForm::new(self.now);
        let (mut from, mut to) = (Bound::Unbounded, Bound::Unbounded);
        let (keys, boost) = keys(&body, "[range]")?;
        for (key, part) in keys {
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
            return Ok(Node::Exists { name }.boosted(boost));
        }
        let ranges = ranges(&name, from, to, &form).map_err(|message| body.wrong(message))?;
        Ok(Node::Range { name, ranges }.boosted(boost))
    }
}

pub(super) fn term(body: &Part<'_>) -> Result<Node, Wrong> {
    let Fielded { name, value, keys, boost } = fielded(body, "[term]", &["value"])?;
    let mut any_case = false;
    for (key, part) in keys {
        match key {
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
    Ok(node.boosted(boost))
}

pub(super) fn pattern(body: &Part<'_>, wildcards: bool) -> Result<Node, Wrong> {
    let (what, names): (&str, &[&str]) =
        if wildcards { ("[wildcard]", &["value", "wildcard"]) } else { ("[prefix]", &["value"]) };
    let Fielded { name, value, keys, boost } = fielded(body, what, names)?;
    let mut any_case = false;
    for (key, part) in keys {
        match key {
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
    Ok(Node::Pattern { name, pattern }.boosted(boost))
}

pub(super) fn exists(body: &Part<'_>) -> Result<Node, Wrong> {
    let mut field = None;
    let (keys, boost) = keys(body, "[exists]")?;
    for (key, part) in keys {
        match key {
            "field" => field = Some(name(part.text("field")?, &part)?),
            _ => return Err(part.unknown("key in [exists]", key, "field and boost")),
        }
    }
    let name = field.ok_or_else(|| body.wrong("[exists] needs a field"))?;
    Ok(Node::Exists { name }.boosted(boost))
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
    let ids = values.items_within(CLAUSES_MAX, "[ids]")?;
    Ok(Node::Ids(ids.iter().map(id).collect::<Result<_, Wrong>>()?))
}
