//! Options of `date_histogram`.

use eddy_types::Millis;
use serde_json::{Map, Value, json};

use super::buckets::check_bounds;
use super::results::DateKeys;
use super::{Options, as_it_is};
use crate::query::dates;
use crate::query::wrong::{Part, Wrong};

const KEYS: [&str; 10] = [
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

pub(super) fn options(body: &Part<'_>) -> Result<(Options, DateKeys), Wrong> {
    let (mut interval, mut dates) = (None, DateKeys::Iso);
    let mut options = super::options(body, "date_histogram", &KEYS, |key, part| match key {
        "fixed_interval" | "calendar_interval" | "interval" => {
            interval = Some(read_interval(key, part)?);
            Ok(None)
        }
        "format" => {
            dates = date_keys(part)?;
            Ok(None)
        }
        "time_zone" if matches!(part.text(key)?, "UTC" | "Z" | "+00:00") => Ok(None),
        "time_zone" => Err(part.wrong("buckets are in UTC; time_zone must be UTC")),
        "extended_bounds" | "hard_bounds" => {
            let mut bounds = Map::new();
            for (end, part) in part.entries(key)? {
                bounds.insert(end.to_owned(), json!(bound(&part)?));
            }
            Ok(Some(Value::Object(bounds)))
        }
        _ => as_it_is(key, part),
    })?;
    let (millis, is_week) = interval.ok_or_else(|| body.wrong("[date_histogram] needs a fixed_interval"))?;
    options.insert("fixed_interval".to_owned(), json!(format!("{millis}ms")));
    if is_week {
        // Weeks begin on Mondays, and the epoch was a Thursday.
        options.entry("offset").or_insert_with(|| json!("4d"));
    }
    check_bounds(body, &options, millis as f64)?;
    Ok((options, dates))
}

fn date_keys(part: &Part<'_>) -> Result<DateKeys, Wrong> {
    match part.text("format")? {
        "epoch_millis" => Ok(DateKeys::Millis),
        "epoch_second" => Ok(DateKeys::Seconds),
        text if text.starts_with("strict_date") || text.starts_with("date") => Ok(DateKeys::Iso),
        other => {
            Err(part.unknown("format", other, "epoch_millis, epoch_second and strict_date_optional_time"))
        }
    }
}

/// Milliseconds, and whether they are a week.
fn read_interval(key: &str, part: &Part<'_>) -> Result<(i64, bool), Wrong> {
    let text = part.as_text(key)?;
    fixed(&text, key == "calendar_interval").ok_or_else(|| {
        part.wrong(format!(
            "cannot read the interval [{text}]; served are 1ms, 30s, 5m, 1h, 1d and the like, and of the calendar \
             minute, hour, day and week"
        ))
    })
}

/// A bound of a date histogram in milliseconds.
fn bound(part: &Part<'_>) -> Result<f64, Wrong> {
    let text = part.as_text("a bound")?;
    let date = || dates::DateForm::new(Millis(0)).text(&text).map(|(begin, _)| begin.0 as f64);
    let number = part.value.as_f64();
    number.or_else(date).ok_or_else(|| part.wrong("a bound must be milliseconds or a date"))
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
