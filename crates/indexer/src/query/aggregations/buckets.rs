//! Options of `terms` and `histogram`.

use serde_json::{Value, json};

use super::{Options, as_it_is, options};
use crate::query::wrong::{Part, Wrong};

/// Terms that each split may name for a `terms`, so that the counts are exact up to so many different terms.
const SPLIT_TERMS: u64 = 10_000;
const TERMS_MAX: u64 = 10_000;
const BUCKETS_MAX: f64 = 65_536.0;

const TERMS_KEYS: [&str; 10] = [
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

pub(super) fn terms(body: &Part<'_>) -> Result<Options, Wrong> {
    let mut size = 10;
    let mut options = options(body, "terms", &TERMS_KEYS, |key, part| match key {
        "shard_size" | "execution_hint" | "collect_mode" => Ok(None),
        "size" => {
            size = terms_size(part)?;
            Ok(None)
        }
        "include" | "exclude" if !part.value.is_array() => {
            Err(part.wrong(format!("{key} takes an array of values; patterns are not served")))
        }
        "order" => terms_order(part).map(Some),
        _ => as_it_is(key, part),
    })?;
    options.insert("size".to_owned(), json!(size));
    options.insert("shard_size".to_owned(), json!(SPLIT_TERMS.max(size)));
    Ok(options)
}

fn terms_size(part: &Part<'_>) -> Result<u64, Wrong> {
    match part.count("size")? {
        // Grafana says 0 for "all".
        0 => Ok(TERMS_MAX),
        size if size <= TERMS_MAX => Ok(size),
        _ => Err(part.too_much(format!("[terms] gives at most {TERMS_MAX} buckets"))),
    }
}

fn terms_order(part: &Part<'_>) -> Result<Value, Wrong> {
    let items = part.items();
    let [order] = items.as_slice() else { return Err(part.wrong("[terms] is ordered by one key")) };
    let (by, direction) = order.only("order")?;
    let by = if by == "_term" { "_key" } else { by };
    Ok(json!({by: direction.text("the order")?}))
}

pub(super) fn histogram(body: &Part<'_>) -> Result<Options, Wrong> {
    let keys = ["interval", "offset", "min_doc_count", "extended_bounds", "hard_bounds", "keyed"];
    let mut interval = None;
    let options = options(body, "histogram", &keys, |key, part| match key {
        "interval" => {
            let value = part.float(key)?;
            if value <= 0.0 {
                return Err(part.wrong("interval must be above 0"));
            }
            interval = Some(value);
            Ok(Some(json!(value)))
        }
        _ => as_it_is(key, part),
    })?;
    let interval = interval.ok_or_else(|| body.wrong("[histogram] needs an interval"))?;
    check_bounds(body, &options, interval)?;
    Ok(options)
}

/// Refuses bounds that make too many buckets, for they are made whether a record is in them or not.
pub(super) fn check_bounds(body: &Part<'_>, options: &Options, interval: f64) -> Result<(), Wrong> {
    let end =
        |name| options.get("extended_bounds").and_then(|bounds| bounds.get(name)).and_then(Value::as_f64);
    let buckets = match (end("min"), end("max")) {
        (Some(min), Some(max)) => (max - min) / interval,
        _ => 0.0,
    };
    if buckets > BUCKETS_MAX {
        let message = format!("the bounds make more than {BUCKETS_MAX} buckets; use a larger interval");
        return Err(body.too_much(message));
    }
    Ok(())
}
