//! Aggregations: what is served of Elasticsearch's, in the form in which tantivy takes them, and their results in the form
//! in which Elasticsearch gives them.

use std::collections::BTreeMap;

use eddy_types::Millis;
use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;

use super::dates;
use super::tree::Name;
use super::wrong::{Part, Wrong};

const DEPTH_MAX: usize = 8;
const AGGREGATIONS_MAX: usize = 64;
/// Terms that each split may name for a `terms`, so that the counts are exact up to so many different terms.
const SPLIT_TERMS: u64 = 10_000;
const TERMS_MAX: u64 = 10_000;
const BUCKETS_MAX: f64 = 65_536.0;

const KINDS: &str = "terms, date_histogram, histogram, range, avg, min, max, sum, value_count, stats, extended_stats, \
                     cardinality and percentiles";

/// What the results look like: by name, what kind they are.
pub(crate) type Shape = BTreeMap<String, Shaped>;

/// One aggregation's results.
#[derive(Clone, Debug)]
pub(crate) struct Shaped {
    dates: Option<DateKeys>,
    inner: Shape,
}

/// How keys that are dates are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DateKeys {
    Iso,
    Millis,
    Seconds,
}

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
    let buckets = matches!(kind, "terms" | "date_histogram" | "histogram" | "range");
    if !buckets && !inner.is_empty() {
        return Err(part.wrong(format!("[{kind}] has no buckets for aggregations below it")));
    }
    let mut shaped = Shaped { dates: None, inner: inner_shape };
    let options = match kind {
        "terms" => terms(&body)?,
        "date_histogram" => {
            shaped.dates = Some(DateKeys::Iso);
            date_histogram(&body, &mut shaped)?
        }
        "histogram" => histogram(&body)?,
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
pub(crate) fn column(name: &str, part: &Part<'_>) -> Result<String, Wrong> {
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
fn plain(body: &Part<'_>, kind: &str, keys: &[&str]) -> Result<Map<String, Value>, Wrong> {
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

fn terms(body: &Part<'_>) -> Result<Map<String, Value>, Wrong> {
    let keys = [
        "size",
        "shard_size",
        "min_doc_count",
        "order",
        "missing",
        "include",
        "exclude",
        "show_term_doc_count_error",
        "execution_hint",
        "collect_mode",
    ];
    let mut options = plain(body, "terms", &keys)?;
    options.remove("execution_hint");
    options.remove("collect_mode");
    options.remove("shard_size");
    let mut size = 10;
    for (key, part) in body.entries("terms")? {
        match key {
            "size" => {
                size = part.count(key)?;
                // Grafana says 0 for "all".
                size = if size == 0 { TERMS_MAX } else { size };
                if size > TERMS_MAX {
                    return Err(Wrong::too_much(format!("[terms] gives at most {TERMS_MAX} buckets")));
                }
            }
            "min_doc_count" => {
                options.insert(key.to_owned(), json!(part.count(key)?));
            }
            "include" | "exclude" if !part.value.is_array() => {
                return Err(part.wrong(format!("{key} takes an array of values; patterns are not served")));
            }
            "order" => {
                let order = match part.value {
                    Value::Array(_) => match part.items().as_slice() {
                        [only] => only.clone(),
                        _ => return Err(part.wrong("[terms] is ordered by one key")),
                    },
                    _ => part.clone(),
                };
                let (by, direction) = order.only("order")?;
                let by = if by == "_term" { "_key" } else { by };
                options.insert(key.to_owned(), json!({by: direction.text("the order")?}));
            }
            _ => {}
        }
    }
    options.insert("size".to_owned(), json!(size));
    options.insert("shard_size".to_owned(), json!(SPLIT_TERMS.max(size)));
    Ok(options)
}

fn histogram(body: &Part<'_>) -> Result<Map<String, Value>, Wrong> {
    let keys = ["interval", "offset", "min_doc_count", "extended_bounds", "hard_bounds", "keyed"];
    let mut options = plain(body, "histogram", &keys)?;
    let mut interval = None;
    for (key, part) in body.entries("histogram")? {
        match key {
            "interval" => {
                let value = part.float(key)?;
                if value <= 0.0 {
                    return Err(part.wrong("interval must be above 0"));
                }
                interval = Some(value);
                options.insert(key.to_owned(), json!(value));
            }
            "min_doc_count" => {
                options.insert(key.to_owned(), json!(part.count(key)?));
            }
            _ => {}
        }
    }
    let interval = interval.ok_or_else(|| body.wrong("[histogram] needs an interval"))?;
    check_bounds(&options, interval)?;
    Ok(options)
}

fn date_histogram(body: &Part<'_>, shaped: &mut Shaped) -> Result<Map<String, Value>, Wrong> {
    let keys = [
        "fixed_interval",
        "calendar_interval",
        "interval",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "format",
        "time_zone",
        "keyed",
    ];
    let mut options = plain(body, "date_histogram", &keys)?;
    let mut interval = None;
    for key in ["interval", "calendar_interval", "format", "time_zone", "fixed_interval"] {
        options.remove(key);
    }
    for (key, part) in body.entries("date_histogram")? {
        match key {
            "fixed_interval" | "calendar_interval" | "interval" => {
                let text = part.as_text(key)?;
                let read = fixed(&text, key == "calendar_interval").ok_or_else(|| {
                    part.wrong(format!(
                        "cannot read the interval [{text}]; served are 1ms, 30s, 5m, 1h, 1d and the like, and of the \
                         calendar minute, hour, day and week"
                    ))
                })?;
                interval = Some(read);
            }
            "min_doc_count" => {
                options.insert(key.to_owned(), json!(part.count(key)?));
            }
            "format" => {
                shaped.dates = Some(match part.text(key)? {
                    "epoch_millis" => DateKeys::Millis,
                    "epoch_second" => DateKeys::Seconds,
                    text if text.starts_with("strict_date") || text.starts_with("date") => DateKeys::Iso,
                    other => {
                        let served = "epoch_millis, epoch_second and strict_date_optional_time";
                        return Err(part.unknown("format", other, served));
                    }
                });
            }
            "time_zone" if matches!(part.text(key)?, "UTC" | "Z" | "+00:00") => {}
            "time_zone" => return Err(part.wrong("buckets are in UTC; time_zone must be UTC")),
            "extended_bounds" | "hard_bounds" => {
                let mut bounds = Map::new();
                for (end, part) in part.entries(key)? {
                    bounds.insert(end.to_owned(), json!(bound(&part)?));
                }
                options.insert(key.to_owned(), Value::Object(bounds));
            }
            _ => {}
        }
    }
    let (millis, monday) = interval.ok_or_else(|| body.wrong("[date_histogram] needs a fixed_interval"))?;
    options.insert("fixed_interval".to_owned(), json!(format!("{millis}ms")));
    if monday && !options.contains_key("offset") {
        // The epoch was a Thursday.
        options.insert("offset".to_owned(), json!("4d"));
    }
    check_bounds(&options, millis as f64)?;
    Ok(options)
}

/// A bound of a date histogram in milliseconds.
fn bound(part: &Part<'_>) -> Result<f64, Wrong> {
    let text = part.as_text("a bound")?;
    let date = || dates::DateForm::new(Millis(0)).text(&text).map(|(begin, _)| begin.0 as f64);
    let number = part.value.as_f64();
    number.or_else(date).ok_or_else(|| part.wrong("a bound must be milliseconds or a date"))
}

fn check_bounds(options: &Map<String, Value>, interval: f64) -> Result<(), Wrong> {
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

/// Milliseconds of an interval, and whether it is a week.
fn fixed(text: &str, calendar: bool) -> Option<(i64, bool)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: i64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    if calendar && count != 1 {
        return None;
    }
    let (unit, week) = match unit {
        "ms" => (1, false),
        "s" | "second" => (1000, false),
        "m" | "minute" => (60_000, false),
        "h" | "hour" => (3_600_000, false),
        "d" | "day" => (86_400_000, false),
        "w" | "week" => (7 * 86_400_000, true),
        "" if !calendar => (1, false),
        _ => return None,
    };
    count.checked_mul(unit).filter(|millis| *millis > 0).map(|millis| (millis, week))
}

/// Gives results the form of Elasticsearch's.
pub(crate) fn finish(results: &mut Value, shape: &Shape) {
    let Value::Object(results) = results else { return };
    for (name, shaped) in shape {
        let Some(result) = results.get_mut(name) else { continue };
        match result.get_mut("buckets") {
            Some(Value::Array(buckets)) => buckets.iter_mut().for_each(|bucket| bucket_done(bucket, shaped)),
            Some(Value::Object(buckets)) => {
                buckets.values_mut().for_each(|bucket| bucket_done(bucket, shaped))
            }
            _ => {}
        }
    }
}

fn bucket_done(bucket: &mut Value, shaped: &Shaped) {
    finish(bucket, &shaped.inner);
    let Value::Object(fields) = bucket else { return };
    let millis = fields.get("key").and_then(Value::as_f64).map(|key| key as i64);
    if let (Some(form), Some(millis)) = (shaped.dates, millis) {
        let text = match form {
            DateKeys::Iso => dates::print(Millis(millis)),
            DateKeys::Millis => millis.to_string(),
            DateKeys::Seconds => millis.div_euclid(1000).to_string(),
        };
        fields.insert("key".to_owned(), json!(millis));
        fields.insert("key_as_string".to_owned(), json!(text));
    }
}
