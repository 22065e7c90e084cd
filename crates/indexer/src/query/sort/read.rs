//! `sort` and `search_after` of a body.

use serde_json::Value;

use super::{After, By, Key, Place, Sort, SortValue};
use crate::query::literal::Number;
use crate::query::name::{Name, OWN_NAMES};
use crate::query::wrong::{Part, Wrong};

/// Reads `sort`.
pub(crate) fn parse(part: &Part<'_>) -> Result<Sort, Wrong> {
    const KEYS_MAX: usize = 8;
    let mut keys = Vec::new();
    for item in &part.items_within(KEYS_MAX, "sort")? {
        if let Value::String(text) = item.value {
            let (name, descending) = match text.rsplit_once(':') {
                Some((name, "desc")) => (name, Some(true)),
                Some((name, "asc")) => (name, Some(false)),
                _ => (text.as_str(), None),
            };
            let by = by(name, item)?;
            let descending = descending.unwrap_or(by == By::Score);
            keys.push(Key { by, descending, missing_first: false });
            continue;
        }
        for (name, options) in item.entries("a sort key")? {
            keys.push(key(name, &options)?);
        }
    }
    if keys.len() > KEYS_MAX {
        return Err(part.too_much(format!("sort takes at most {KEYS_MAX} keys")));
    }
    if keys.is_empty() {
        return Ok(Sort::default());
    }
    // What comes after the place cannot matter.
    if let Some(place) = keys.iter().position(|key| key.by == By::Place) {
        keys.truncate(place + 1);
    }
    Ok(Sort { keys, explicit: true, after: None })
}

fn key(name: &str, options: &Part<'_>) -> Result<Key, Wrong> {
    let by = by(name, options)?;
    let mut key = Key { descending: by == By::Score, by, missing_first: false };
    if options.value.is_string() {
        key.descending = is_descending(options)?;
        return Ok(key);
    }
    let mut mode = None;
    for (option, part) in options.entries("a sort key")? {
        match option {
            "order" => key.descending = is_descending(&part)?,
            "missing" => match part.text(option)? {
                "_last" => key.missing_first = false,
                "_first" => key.missing_first = true,
                other => return Err(part.unknown("value of missing", other, "_first and _last")),
            },
            "mode" => mode = Some(part),
            "unmapped_type" | "format" | "numeric_type" => _ = part.text(option)?,
            _ => {
                let served = "order, missing, mode, unmapped_type and format";
                return Err(part.unknown("key of a sort", option, served));
            }
        }
    }
    if let Some(part) = mode {
        let (order, served) = if key.descending { ("desc", "max") } else { ("asc", "min") };
        if part.text("mode")? != served {
            return Err(part.wrong(format!(
                "with order {order}, records of several values are sorted by mode {served}"
            )));
        }
    }
    Ok(key)
}

fn is_descending(part: &Part<'_>) -> Result<bool, Wrong> {
    match part.text("the order")? {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(part.unknown("order", other, "asc and desc")),
    }
}

fn by(name: &str, part: &Part<'_>) -> Result<By, Wrong> {
    match name {
        "_score" => Ok(By::Score),
        "_doc" | "_shard_doc" => Ok(By::Place),
        _ => match Name::parse(name) {
            Some(Name::Anywhere | Name::Header(_)) => Err(part.wrong(format!("cannot sort by [{name}]"))),
            Some(Name::Value { path, .. }) => Ok(By::Field(Name::Value { path, whole: true })),
            Some(name) => Ok(By::Field(name)),
            None => Err(part.wrong(format!(
                "no field [{name}]; a record's own fields are {OWN_NAMES}, and _score and _doc sort too"
            ))),
        },
    }
}

impl Sort {
    /// Takes `search_after`: the values of a hit's `sort`, with or without the last one, its place.
    pub(crate) fn set_after(&mut self, part: &Part<'_>) -> Result<(), Wrong> {
        let Value::Array(_) = part.value else { return Err(part.wrong("search_after must be an array")) };
        let items = part.items();
        let shown = self.keys.iter().filter(|key| key.by != By::Place).count();
        let place_given = items.len() > shown;
        if items.len() < shown || items.len() > self.keys.len().max(shown + 1) {
            return Err(part.wrong(format!(
                "search_after has {} values, and the sort has {shown}; give the sort of the last hit as it is",
                items.len()
            )));
        }
        let mut values = Vec::with_capacity(self.keys.len());
        let mut given = items.iter();
        for key in &self.keys {
            values.push(match &key.by {
                By::Place => SortValue::Missing,
                by => given.next().map_or(Ok(SortValue::Missing), |item| after_value(item, by))?,
            });
        }
        let place = match items.last() {
            Some(last) if place_given => {
                let text = last.text("the last value of search_after")?;
                let wrong = || last.wrong("the last value of search_after must be that of a hit's sort");
                Some(Place::parse(text).ok_or_else(wrong)?)
            }
            _ => None,
        };
        self.after = Some(After { values, place });
        Ok(())
    }
}

fn after_value(part: &Part<'_>, by: &By) -> Result<SortValue, Wrong> {
    let value = match part.value {
        Value::Null => SortValue::Missing,
        Value::Bool(value) => SortValue::Bool(*value),
        Value::String(text) if *by == By::Field(Name::Timestamp) => {
            let form = crate::query::dates::DateForm::new(eddy_types::Millis(0));
            let wrong = || part.wrong("this value of search_after must be a date or milliseconds");
            SortValue::Date(form.text(text).ok_or_else(wrong)?.0.0)
        }
        Value::String(text) => SortValue::Text(text.clone()),
        Value::Number(number) => {
            let number = Number::from_json(number).ok_or_else(|| part.wrong("the number is too large"))?;
            match (by, number) {
                (By::Score, number) => SortValue::Score(number.float() as f32),
                (By::Field(Name::Timestamp), Number::Int(millis)) => SortValue::Date(millis),
                _ => SortValue::Number(number),
            }
        }
        _ => {
            return Err(part.wrong("a value of search_after must be a string, a number, true, false or null"));
        }
    };
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_mode_is_that_of_the_order_wherever_it_stands() {
        let read = |body: Value| parse(&Part::root(&body)).map(|sort| sort.keys[0].descending);
        assert_eq!(read(json!({"a": {"mode": "max", "order": "desc"}})), Ok(true));
        assert_eq!(read(json!({"a": {"order": "asc", "mode": "min"}})), Ok(false));
        let wrong = read(json!({"a": {"mode": "max"}})).unwrap_err();
        assert_eq!(wrong.pointer, "/a/mode", "{wrong:?}");
    }
}
