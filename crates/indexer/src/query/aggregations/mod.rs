//! Aggregations: what is served of Elasticsearch's, in the form in which tantivy takes them.
//!
//! Here they are told apart and counted; [`buckets`] and [`date_histogram`] read those with many options, and [`results`] gives
//! what was found the form of Elasticsearch's.

mod buckets;
mod date_histogram;
mod results;

use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::{Aggregation, Aggregations, get_fast_field_names};

use self::results::{DateKeys, Shaped};
pub(crate) use self::results::{Shape, finish};
use super::compile::{self, path_of};
use super::name::Name;
use super::wrong::{Part, Wrong};

const DEPTH_MAX: usize = 8;
const AGGREGATIONS_MAX: usize = 64;

const KINDS: &str = "terms, date_histogram, histogram, range, avg, min, max, sum, value_count, stats, extended_stats, \
                     cardinality and percentiles";

/// Reads `aggs`.
pub(crate) fn parse(part: &Part<'_>) -> Result<(Aggregations, Shape), Wrong> {
    level(part, 0, &mut 0)
}

/// The fields of values that aggregations are over.
pub(crate) fn paths(aggregations: &Aggregations) -> Vec<String> {
    let columns = get_fast_field_names(aggregations);
    let mut paths: Vec<String> = columns.iter().filter_map(|name| path_of(name)).map(str::to_owned).collect();
    paths.sort();
    paths
}

fn level(part: &Part<'_>, depth: usize, count: &mut usize) -> Result<(Aggregations, Shape), Wrong> {
    if depth > DEPTH_MAX {
        return Err(part.too_much(format!("aggregations nest deeper than {DEPTH_MAX}")));
    }
    let (mut wanted, mut shape) = (Aggregations::default(), Shape::new());
    for (name, part) in part.entries("aggs")? {
        *count += 1;
        if *count > AGGREGATIONS_MAX {
            return Err(part.too_much(format!("more than {AGGREGATIONS_MAX} aggregations")));
        }
        let (one, shaped) = one(&part, depth, count)?;
        wanted.insert(name.to_owned(), one);
        shape.insert(name.to_owned(), shaped);
    }
    Ok((wanted, shape))
}

fn one(part: &Part<'_>, depth: usize, count: &mut usize) -> Result<(Aggregation, Shaped), Wrong> {
    let (mut kind, mut below) = (None, (Aggregations::default(), Shape::new()));
    for (key, part) in part.entries("an aggregation")? {
        match key {
            "aggs" | "aggregations" => below = level(&part, depth + 1, count)?,
            _ if kind.is_some() => {
                return Err(part.wrong(format!("an aggregation has one type; [{key}] is a second one")));
            }
            _ => kind = Some((key, part)),
        }
    }
    let (kind, body) = kind.ok_or_else(|| part.wrong("an aggregation needs a type"))?;
    let (sub_aggregation, inner) = below;
    let has_buckets = matches!(kind, "terms" | "date_histogram" | "histogram" | "range");
    if !has_buckets && !inner.is_empty() {
        return Err(part.wrong(format!("[{kind}] has no buckets for aggregations below it")));
    }
    let (options, dates) = options_of(kind, &body)?;
    let agg = serde_json::from_value(json!({kind: options}))
        .map_err(|error| body.wrong(format!("[{kind}]: {error}")))?;
    Ok((Aggregation { agg, sub_aggregation }, Shaped { dates, inner }))
}

/// The options of one aggregation, and how its keys are printed if they are dates.
fn options_of(kind: &str, body: &Part<'_>) -> Result<(Options, Option<DateKeys>), Wrong> {
    let options = match kind {
        "date_histogram" => {
            let (options, dates) = date_histogram::options(body)?;
            return Ok((options, Some(dates)));
        }
        "terms" => buckets::terms(body)?,
        "histogram" => buckets::histogram(body)?,
        "range" => options(body, kind, &["ranges", "keyed"], as_it_is)?,
        "avg" | "min" | "max" | "sum" | "value_count" | "stats" => {
            options(body, kind, &["missing"], as_it_is)?
        }
        "extended_stats" => options(body, kind, &["missing", "sigma"], as_it_is)?,
        "cardinality" => options(body, kind, &["missing", "precision_threshold"], |key, part| {
            if key == "precision_threshold" { Ok(None) } else { as_it_is(key, part) }
        })?,
        "percentiles" => options(body, kind, &["percents", "keyed", "missing"], as_it_is)?,
        other => return Err(body.unknown("aggregation", other, KINDS)),
    };
    Ok((options, None))
}

/// Options as tantivy takes them.
type Options = Map<String, Value>;

/// Reads the field, and the options that `keys` names. `read` says what one becomes; what becomes nothing is left out.
fn options<'a>(
    body: &Part<'a>,
    kind: &str,
    keys: &[&str],
    mut read: impl FnMut(&str, &Part<'a>) -> Result<Option<Value>, Wrong>,
) -> Result<Options, Wrong> {
    let mut options = Options::new();
    for (key, part) in body.entries(kind)? {
        let value = match key {
            "field" => Some(json!(column(part.text(key)?, &part)?)),
            _ if !keys.contains(&key) => {
                let served = format!("field, {}", keys.join(", "));
                return Err(part.unknown(&format!("key in [{kind}]"), key, &served));
            }
            "min_doc_count" => Some(json!(part.count(key)?)),
            _ => read(key, &part)?,
        };
        options.extend(value.map(|value| (key.to_owned(), value)));
    }
    if options.contains_key("field") {
        Ok(options)
    } else {
        Err(body.wrong(format!("[{kind}] needs a field")))
    }
}

fn as_it_is(_key: &str, part: &Part<'_>) -> Result<Option<Value>, Wrong> {
    Ok(Some(part.value.clone()))
}

/// The fast field of a name.
fn column(name: &str, part: &Part<'_>) -> Result<String, Wrong> {
    match Name::parse(name) {
        Some(Name::Key) => Ok("_key".to_owned()),
        Some(Name::Offset) => Ok("_offset".to_owned()),
        Some(Name::Timestamp) => Ok("@timestamp".to_owned()),
        Some(Name::Value { path, .. }) => Ok(compile::column(&path)),
        _ => Err(part.wrong(format!(
            "cannot aggregate over [{name}]; _key, _offset, @timestamp and fields of the value can be"
        ))),
    }
}
