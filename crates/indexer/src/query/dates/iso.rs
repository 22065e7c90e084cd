//! ISO 8601, its end left out or not.

use eddy_types::Millis;
use jiff::ToSpan;
use jiff::civil::{Date, Time};

use super::{DateForm, Instants, digits, millis, parse_zone};

impl DateForm {
    pub(super) fn iso(&self, text: &str) -> Option<Instants> {
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut numbers = date.splitn(3, '-');
        let year: i16 = digits(numbers.next()?, 4)?;
        let (month, day) = (numbers.next(), numbers.next());
        let first = |part: Option<&str>| part.map_or(Some(1), |part| digits(part, 2));
        let begin = Date::new(year, first(month)?, first(day)?).ok()?;
        let Some(time) = time else {
            let end = match (month, day) {
                (None, _) => begin.checked_add(1.year()),
                (Some(_), None) => begin.checked_add(1.month()),
                (Some(_), Some(_)) => begin.checked_add(1.day()),
            };
            let begin = begin.to_zoned(self.zone.clone()).ok()?;
            let end = end.ok()?.to_zoned(self.zone.clone()).ok()?;
            return Some((millis(&begin), Millis(millis(&end).0 - 1)));
        };
        day?;
        let (clock, zone) = split_zone(time);
        let zone = zone.map_or_else(|| Some(self.zone.clone()), parse_zone)?;
        let (clock, width) = clock_of(clock)?;
        let begin = millis(&begin.to_datetime(clock).to_zoned(zone).ok()?);
        Some((begin, Millis(begin.0 + width - 1)))
    }
}

/// The first moment that a time of day names, and how many milliseconds it names.
fn clock_of(text: &str) -> Option<(Time, i64)> {
    let (clock, fraction) = match text.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut numbers = clock.splitn(3, ':');
    let hour = digits(numbers.next()?, 2)?;
    let (minute, second) = (numbers.next(), numbers.next());
    let number = |part: Option<&str>| part.map_or(Some(0), |part| digits(part, 2));
    let (nanos, width) = match fraction {
        Some(fraction) => {
            second?;
            (1_000_000 * thousandths(fraction)?, 1)
        }
        None if second.is_some() => (0, 1000),
        None if minute.is_some() => (0, 60_000),
        None => (0, 3_600_000),
    };
    Some((Time::new(hour, number(minute)?, number(second)?, nanos).ok()?, width))
}

/// What is below a thousandth is cut off.
fn thousandths(fraction: &str) -> Option<i32> {
    let is_number = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
    if is_number { padded.parse().ok() } else { None }
}

fn split_zone(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time.get(..at).unwrap_or(time), time.get(at..)),
        None => (time, None),
    }
}
