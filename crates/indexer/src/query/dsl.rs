//! Elasticsearch's query language in JSON becomes a tree.

use std::ops::Bound;

use eddy_types::Millis;
use serde_json::Value;

use super::dates::DateForm;
use super::lexer::Language;
use super::ranges::ranges;
use super::strings::{self, StringForm, check_pattern};
use super::tree::{Bool, Combine, Glob, Least, Literal, Name, Node, Number, OWN_NAMES, Pattern};
use super::wrong::{Part, Wrong};

/// Queries within queries.
pub(crate) const DEPTH_MAX: usize = 32;
/// Clauses in one query: words, phrases, ranges, values of a `terms`.
pub(crate) const CLAUSES_MAX: usize = 1024;
/// Characters in one query string.
pub(crate) const STRING_MAX: usize = 16 << 10;

const KINDS: &str = "match, match_phrase, match_all, match_none, multi_match, term, terms, range, bool, constant_score, \
                     dis_max, prefix, wildcard, exists, query_string, simple_query_string and ids";

/// Reads queries, and counts what they ask for.
pub(crate) struct Dsl {
    now: Millis,
    clauses: usize,
}

impl Dsl {
    pub(crate) fn new(now: Millis) -> Dsl {
        Dsl { now, clauses: 0 }
    }

    /// Reads `{"kind": {…}}`.
    pub(crate) fn query(&mut self, part: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        if depth > DEPTH_MAX {
            return Err(Wrong::too_much(format!("queries nest deeper than {DEPTH_MAX}")));
        }
        let (kind, body) = part.only("a query")?;
        self.count(1)?;
        match kind {
            "match_all" => boosted(&body, Node::All),
            "match_none" => Ok(Node::None),
            "match" => matches(&body),
            "match_phrase" => phrase(&body),
            "multi_match" => multi_match(&body),
            "term" => term(&body),
            "terms" => self.terms(&body),
            "range" => self.range(&body),
            "bool" => self.bool(&body, depth),
            "constant_score" => self.constant(&body, depth),
            "dis_max" => self.dis_max(&body, depth),
            "prefix" => pattern(&body, false),
            "wildcard" => pattern(&body, true),
            "exists" => exists(&body),
            "ids" => ids(&body),
            "query_string" => self.string(&body, Language::Full),
            "simple_query_string" => self.string(&body, Language::Simple),
            other => Err(body.unknown("query", other, KINDS)),
        }
    }

    fn count(&mut self, clauses: usize) -> Result<(), Wrong> {
        self.clauses += clauses;
        if self.clauses > CLAUSES_MAX {
            return Err(Wrong::too_much(format!(
                "the query has more than {CLAUSES_MAX} clauses; use a range, a prefix or several queries"
            )));
        }
        Ok(())
    }

    fn terms(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
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

    fn range(&mut self, body: &Part<'_>) -> Result<Node, Wrong> {
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

    fn bool(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut all, mut boost) = (Bool::default(), 1.0);
        for (key, part) in body.entries("[bool]")? {
            match key {
                "must" => all.must = self.queries(&part, depth)?,
                "should" => all.should = self.queries(&part, depth)?,
                "filter" => all.filter = self.queries(&part, depth)?,
                "must_not" => all.must_not = self.queries(&part, depth)?,
                "minimum_should_match" => all.least = Some(least(&part)?),
                "boost" => boost = part.float("boost")?,
                "adjust_pure_negative" => _ = part.bool(key)?,
                _ => {
                    let served = "must, should, filter, must_not, minimum_should_match and boost";
                    return Err(part.unknown("key in [bool]", key, served));
                }
            }
        }
        let empty =
            all.must.is_empty() && all.should.is_empty() && all.filter.is_empty() && all.must_not.is_empty();
        Ok(boost_by(if empty { Node::All } else { Node::Bool(Box::new(all)) }, boost))
    }

    fn queries(&mut self, part: &Part<'_>, depth: usize) -> Result<Vec<Node>, Wrong> {
        part.items().iter().map(|item| self.query(item, depth + 1)).collect()
    }

    fn constant(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut filter, mut boost) = (None, 1.0);
        for (key, part) in body.entries("[constant_score]")? {
            match key {
                "filter" => filter = Some(self.query(&part, depth + 1)?),
                "boost" => boost = part.float("boost")?,
                _ => return Err(part.unknown("key in [constant_score]", key, "filter and boost")),
            }
        }
        let filter = filter.ok_or_else(|| body.wrong("[constant_score] needs a filter"))?;
        Ok(boost_by(Node::Constant(Box::new(filter)), boost))
    }

    fn dis_max(&mut self, body: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        let (mut nodes, mut boost) = (Vec::new(), 1.0);
        for (key, part) in body.entries("[dis_max]")? {
            match key {
                "queries" => nodes = self.queries(&part, depth)?,
                "boost" => boost = part.float("boost")?,
                _ => return Err(part.unknown("key in [dis_max]", key, "queries and boost")),
            }
        }
        Ok(boost_by(Node::Best(nodes), boost))
    }

    fn string(&mut self, body: &Part<'_>, language: Language) -> Result<Node, Wrong> {
        let mut form = StringForm {
            language,
            and: false,
            fields: vec![(Name::Anywhere, 1.0)],
            dates: DateForm::new(self.now),
            depth_max: DEPTH_MAX,
            clauses_max: CLAUSES_MAX,
        };
        let (mut query, mut boost) = (None, 1.0);
        for (key, part) in body.entries("[query_string]")? {
            match key {
                "query" => query = Some(part),
                "default_operator" => form.and = is_and(&part)?,
                "default_field" => form.fields = vec![(name(part.text(key)?, &part)?, 1.0)],
                "fields" => form.fields = weighted(&part)?,
                "time_zone" => {
                    form.dates.set_zone(part.text(key)?).map_err(|message| part.wrong(message))?;
                }
                "boost" => boost = part.float(key)?,
                "analyze_wildcard" | "allow_leading_wildcard" | "lenient" => _ = part.bool(key)?,
                _ => {
                    let served = "query, default_operator, default_field, fields, time_zone, boost, analyze_wildcard \
                                  and lenient";
                    return Err(part.unknown("key in [query_string]", key, served));
                }
            }
        }
        let query = query.ok_or_else(|| body.wrong("[query_string] needs a query"))?;
        let text = query.text("query")?;
        let node = string(text, &form, &mut self.clauses).map_err(|mut wrong| {
            wrong.pointer = query.pointer;
            wrong
        })?;
        Ok(boost_by(node, boost))
    }
}

/// Reads a query string; the place of what is wrong is within it.
pub(crate) fn string(text: &str, form: &StringForm, clauses: &mut usize) -> Result<Node, Wrong> {
    if text.len() > STRING_MAX {
        return Err(Wrong::too_much(format!("the query string is longer than {STRING_MAX} bytes")));
    }
    strings::parse(text, form, clauses).map_err(|(message, before)| {
        let read: String = text.chars().take(before).collect();
        let line = read.matches('\n').count() + 1;
        let column = read.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Wrong { message, pointer: String::new(), line, column, too_much: false }
    })
}

fn name(text: &str, part: &Part<'_>) -> Result<Name, Wrong> {
    Name::parse(text)
        .ok_or_else(|| part.wrong(format!("no field [{text}]; a record's own fields are {OWN_NAMES}")))
}

fn literal(part: &Part<'_>) -> Result<Literal, Wrong> {
    match part.value {
        Value::String(text) => Ok(Literal::Text(text.clone())),
        Value::Bool(value) => Ok(Literal::Bool(*value)),
        Value::Number(number) => Number::from_json(number)
            .map(Literal::Number)
            .ok_or_else(|| part.wrong("the number is too large")),
        _ => Err(part.wrong("a value must be a string, a number, true or false")),
    }
}

fn boost_by(node: Node, boost: f64) -> Node {
    let boost = boost as f32;
    if (boost - 1.0).abs() < f32::EPSILON { node } else { Node::Boost(Box::new(node), boost) }
}

fn boosted(body: &Part<'_>, node: Node) -> Result<Node, Wrong> {
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
type Fielded<'a> = (Name, Part<'a>, Vec<(&'a str, Part<'a>)>);

fn fielded<'a>(body: &Part<'a>, what: &str, keys: &[&str]) -> Result<Fielded<'a>, Wrong> {
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

fn matches(body: &Part<'_>) -> Result<Node, Wrong> {
    let (name, value, rest) = fielded(body, "[match]", &["query"])?;
    let (mut combine, mut boost) = (Combine::Least(Least::Count(1)), 1.0);
    for (key, part) in rest {
        match key {
            "operator" if is_and(&part)? => combine = Combine::All,
            "operator" => {}
            "minimum_should_match" => combine = Combine::Least(least(&part)?),
            "boost" => boost = part.float("boost")?,
            "lenient" => _ = part.bool(key)?,
            _ => {
                let served = "query, operator, minimum_should_match and boost";
                return Err(part.unknown("key in [match]", key, served));
            }
        }
    }
    Ok(boost_by(Node::Match { name, value: literal(&value)?, combine }, boost))
}

fn phrase(body: &Part<'_>) -> Result<Node, Wrong> {
    let (name, value, rest) = fielded(body, "[match_phrase]", &["query"])?;
    let (mut slop, mut boost) = (0, 1.0);
    for (key, part) in rest {
        match key {
            "slop" => slop = u32::try_from(part.count("slop")?).unwrap_or(u32::MAX).min(1000),
            "boost" => boost = part.float("boost")?,
            _ => return Err(part.unknown("key in [match_phrase]", key, "query, slop and boost")),
        }
    }
    Ok(boost_by(Node::Phrase { name, value: literal(&value)?, slop }, boost))
}

fn multi_match(body: &Part<'_>) -> Result<Node, Wrong> {
    let (mut query, mut fields, mut phrase) = (None, vec![(Name::Anywhere, 1.0)], false);
    let (mut combine, mut boost) = (Combine::Least(Least::Count(1)), 1.0);
    for (key, part) in body.entries("[multi_match]")? {
        match key {
            "query" => query = Some(literal(&part)?),
            "fields" => fields = weighted(&part)?,
            "operator" if is_and(&part)? => combine = Combine::All,
            "operator" => {}
            "minimum_should_match" => combine = Combine::Least(least(&part)?),
            "boost" => boost = part.float("boost")?,
            "lenient" => _ = part.bool(key)?,
            "type" => match part.text("type")? {
                "best_fields" => {}
                "phrase" => phrase = true,
                other => return Err(part.unknown("type of [multi_match]", other, "best_fields and phrase")),
            },
            _ => {
                let served = "query, fields, type, operator, minimum_should_match and boost";
                return Err(part.unknown("key in [multi_match]", key, served));
            }
        }
    }
    let value = query.ok_or_else(|| body.wrong("[multi_match] needs a query"))?;
    let one = |(name, weight): (Name, f32)| {
        let value = value.clone();
        let node =
            if phrase { Node::Phrase { name, value, slop: 0 } } else { Node::Match { name, value, combine } };
        boost_by(node, f64::from(weight))
    };
    Ok(boost_by(Node::Best(fields.into_iter().map(one).collect()), boost))
}

fn term(body: &Part<'_>) -> Result<Node, Wrong> {
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
        check_pattern(&pattern).map_err(|message| value.wrong(message))?;
        Node::Pattern { name, pattern }
    } else {
        Node::Term { name, value: literal(&value)? }
    };
    Ok(boost_by(node, boost))
}

fn pattern(body: &Part<'_>, wildcards: bool) -> Result<Node, Wrong> {
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
    let pattern =
        if wildcards { wildcard(&text, any_case) } else { Pattern { any_case, ..Pattern::prefix(&text) } };
    check_pattern(&pattern).map_err(|message| value.wrong(message))?;
    Ok(boost_by(Node::Pattern { name, pattern }, boost))
}

fn wildcard(text: &str, any_case: bool) -> Pattern {
    let mut chars = text.chars();
    let mut parts = Vec::new();
    while let Some(char) = chars.next() {
        parts.push(match char {
            '*' => Glob::Any,
            '?' => Glob::One,
            '\\' => Glob::Char(chars.next().unwrap_or('\\')),
            _ => Glob::Char(char),
        });
    }
    Pattern { parts, any_case, as_words: false }
}

fn exists(body: &Part<'_>) -> Result<Node, Wrong> {
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

fn ids(body: &Part<'_>) -> Result<Node, Wrong> {
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

fn is_and(part: &Part<'_>) -> Result<bool, Wrong> {
    match part.text("the operator")?.to_ascii_lowercase().as_str() {
        "and" => Ok(true),
        "or" => Ok(false),
        other => Err(part.unknown("operator", other, "and and or")),
    }
}

fn least(part: &Part<'_>) -> Result<Least, Wrong> {
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

fn weighted(part: &Part<'_>) -> Result<Vec<(Name, f32)>, Wrong> {
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
