//! ISO 8601, its end left out or not.

use eddy_types::Millis;
use jiff::ToSpan;
use jiff::civil::Date;

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
        let (clock, fraction) =
            clock.split_once(['.', ',']).map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
        let mut numbers = clock.splitn(3, ':');
        let hour: i8 = digits(numbers.next()?, 2)?;
        let (minute, second) = (numbers.next(), numbers.next());
        let number = |part: Option<&str>| part.map_or(Some(0_i8), |part| digits(part, 2));
        let (milli, width) = match fraction {
            Some(fraction) => {
                second?;
                let all = !fraction.is_empty()
                    && fraction.len() <= 9
                    && fraction.bytes().all(|b| b.is_ascii_digit());
                let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
                (all.then(|| padded.parse::<i16>().ok())??, 1)
            }
            None if second.is_some() => (0, 1000),
            None if minute.is_some() => (0, 60_000),
            None => (0, 3_600_000),
        };
        let at = begin
            .at(0, 0, 0, 0)
            .with()
            .hour(hour)
            .minute(number(minute)?)
            .second(number(second)?)
            .millisecond(milli);
        let begin = millis(&at.build().ok()?.to_zoned(zone).ok()?);
        Some((begin, Millis(begin.0 + width - 1)))
    }
}

fn split_zone(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time.get(..at).unwrap_or(time), time.get(at..)),
        None => (time, None),
    }
}
