//! Options of `terms` and `histogram`.

use serde_json::{Map, Value, json};

use super::{check_bounds, plain};
use crate::query::wrong::{Part, Wrong};

/// Terms that each split may name for a `terms`, so that the counts are exact up to so many different terms.
const SPLIT_TERMS: u64 = 10_000;
const TERMS_MAX: u64 = 10_000;

pub(super) fn terms(body: &Part<'_>) -> Result<Map<String, Value>, Wrong> {
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

pub(super) fn histogram(body: &Part<'_>) -> Result<Map<String, Value>, Wrong> {
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
