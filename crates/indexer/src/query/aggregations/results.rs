//! What was found, in the form in which Elasticsearch gives it.

use std::collections::BTreeMap;

use eddy_types::Millis;
use serde_json::{Value, json};

use crate::query::dates;

/// What the results look like: by name, what kind they are.
pub(crate) type Shape = BTreeMap<String, Shaped>;

/// One aggregation's results.
#[derive(Clone, Debug)]
pub(crate) struct Shaped {
    pub(super) dates: Option<DateKeys>,
    pub(super) inner: Shape,
}

/// How keys that are dates are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateKeys {
    Iso,
    Millis,
    Seconds,
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
