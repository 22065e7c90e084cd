//! Aggregations: what is served of Elasticsearch's, in the form in which tantivy takes them.
//!
//! Here they are told apart and counted; [`buckets`] and [`date_histogram`] read those with many options, and [`results`] gives
//! what was found the form of Elasticsearch's.

mod buckets;
mod date_histogram;
mod results;

use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;

use self::results::{DateKeys, Shaped};
pub(crate) use self::results::{Shape, finish};
use super::name::Name;
use super::wrong::{Part, Wrong};

const DEPTH_MAX: usize = 8;
const AGGREGATIONS_MAX: usize = 64;
const BUCKETS_MAX: f64 = 65_536.0;

const KINDS: &str = "terms, date_histogram, histogram, range, avg, min, max, sum, value_count, stats, extended_stats, \
                     cardinality and percentiles";

/// Reads `aggs`.
pub(crate) fn parse(part: &Part<'_>) -> Result<(Aggregations, Shape), Wrong> {
    let mut count = 0;
    let (normal, shape) = level(part, 0, &mut count)?;
    let parsed = serde_json::from_value(Value::Object(normal));
    parsed
        .map(|aggregations| (aggregations, shape))
        .map_err(|error| part.wrong(format!("aggregations: {error}")))
}

fn level(part: &Part<'_>, depth: usize, count: &mut usize) -> Result<(Map<String, Value>, Shape), Wrong> {
    if depth > DEPTH_MAX {
        return Err(Wrong::too_much(format!("aggregations nest deeper than {DEPTH_MAX}")));
    }
    let (mut normal, mut shape) = (Map::new(), Shape::new());
    for (name, part) in part.entries("aggs")? {
        *count += 1;
        if *count > AGGREGATIONS_MAX {
            return Err(Wrong::too_much(format!("more than {AGGREGATIONS_MAX} aggregations")));
        }
        let (one, shaped) = one(&part, depth, count)?;
        normal.insert(name.to_owned(), one);
        shape.insert(name.to_owned(), shaped);
    }
    Ok((normal, shape))
}

fn one(part: &Part<'_>, depth: usize, count: &mut usize) -> Result<(Value, Shaped), Wrong> {
    let (mut kind, mut inner, mut inner_shape) = (None, Map::new(), Shape::new());
    for (key, part) in part.entries("an aggregation")? {
        match key {
            "aggs" | "aggregations" => (inner, inner_shape) = level(&part, depth + 1, count)?,
            _ if kind.is_some() => {
                return Err(part.wrong(format!("an aggregation has one type; [{key}] is a second one")));
            }
            _ => kind = Some((key, part)),
        }
    }
    let (kind, body) = kind.ok_or_else(|| part.wrong("an aggregation needs a type"))?;
    let has_buckets = matches!(kind, "terms" | "date_histogram" | "histogram" | "range");
    if !has_buckets && !inner.is_empty() {
        return Err(part.wrong(format!("[{kind}] has no buckets for aggregations below it")));
    }
    let mut shaped = Shaped { dates: None, inner: inner_shape };
    let options = match kind {
        "terms" => buckets::terms(&body)?,
        "date_histogram" => {
            shaped.dates = Some(DateKeys::Iso);
            date_histogram::options(&body, &mut shaped)?
        }
        "histogram" => buckets::histogram(&body)?,
        "range" => plain(&body, kind, &["ranges", "keyed"])?,
        "avg" | "min" | "max" | "sum" | "value_count" | "stats" => plain(&body, kind, &["missing"])?,
        "extended_stats" => plain(&body, kind, &["missing", "sigma"])?,
        "cardinality" => {
            let mut options = plain(&body, kind, &["missing", "precision_threshold"])?;
            options.remove("precision_threshold");
            options
        }
        "percentiles" => plain(&body, kind, &["percents", "keyed", "missing"])?,
        other => return Err(body.unknown("aggregation", other, KINDS)),
    };
    let mut normal = Map::new();
    normal.insert(kind.to_owned(), Value::Object(options));
    if !inner.is_empty() {
        normal.insert("aggs".to_owned(), Value::Object(inner));
    }
    Ok((Value::Object(normal), shaped))
}

/// The fast field of a name.
fn column(name: &str, part: &Part<'_>) -> Result<String, Wrong> {
    match Name::parse(name) {
        Some(Name::Key) => Ok("_key".to_owned()),
        Some(Name::Offset) => Ok("_offset".to_owned()),
        Some(Name::Timestamp) => Ok("@timestamp".to_owned()),
        Some(Name::Value { path, .. }) => Ok(format!("exact.{path}")),
        _ => Err(part.wrong(format!(
            "cannot aggregate over [{name}]; _key, _offset, @timestamp and fields of the value can be"
        ))),
    }
}

/// The options of `body` that `keys` name, and the field.
pub(super) fn plain(body: &Part<'_>, kind: &str, keys: &[&str]) -> Result<Map<String, Value>, Wrong> {
    let mut options = Map::new();
    for (key, part) in body.entries(kind)? {
        match key {
            "field" => {
                options.insert("field".to_owned(), json!(column(part.text("field")?, &part)?));
            }
            _ if keys.contains(&key) => {
                options.insert(key.to_owned(), part.value.clone());
            }
            _ => {
                return Err(part.unknown(
                    &format!("key in [{kind}]"),
                    key,
                    &format!("field {}", keys.join(" ")),
                ));
            }
        }
    }
    if options.contains_key("field") {
        Ok(options)
    } else {
        Err(body.wrong(format!("[{kind}] needs a field")))
    }
}

pub(super) fn check_bounds(options: &Map<String, Value>, interval: f64) -> Result<(), Wrong> {
    let end =
        |name| options.get("extended_bounds").and_then(|bounds| bounds.get(name)).and_then(Value::as_f64);
    let buckets = match (end("min"), end("max")) {
        (Some(min), Some(max)) => (max - min) / interval,
        _ => 0.0,
    };
    if buckets > BUCKETS_MAX {
        return Err(Wrong::too_much(format!(
            "the bounds make more than {BUCKETS_MAX} buckets; use a larger interval"
        )));
    }
    Ok(())
}
