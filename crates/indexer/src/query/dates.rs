//! Dates as queries write them: ISO 8601 with the end left out, milliseconds, and arithmetic on `now`.

use eddy_types::Millis;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// How a bound reads its dates.
#[derive(Clone, Debug)]
pub(crate) struct DateForm {
    /// What `now` is.
    pub(crate) now: Millis,
    /// Whether a number means seconds.
    pub(crate) seconds: bool,
    /// Zone of what says none.
    pub(crate) zone: TimeZone,
}

/// The first and the last millisecond that a date names.
pub(crate) type Instants = (Millis, Millis);

impl DateForm {
    pub(crate) fn new(now: Millis) -> DateForm {
        DateForm { now, seconds: false, zone: TimeZone::UTC }
    }

    /// Takes `format`: what can be read in any of the formats it lists is read, so only the unknown is refused.
    pub(crate) fn set_format(&mut self, format: &str) -> Result<(), String> {
        for format in format.split("||") {
            match format.trim() {
                "epoch_second" => self.seconds = true,
                "epoch_millis"
                | "date_time"
                | "date_optional_time"
                | "strict_date_optional_time"
                | "strict_date_optional_time_nanos"
                | "strict_date_time"
                | "strict_date"
                | "date"
                | "yyyy-MM-dd"
                | "iso8601" => {}
                other => {
                    return Err(format!(
                        "unknown format [{other}]; served are epoch_millis, epoch_second, \
                         strict_date_optional_time and yyyy-MM-dd"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes `time_zone`.
    pub(crate) fn set_zone(&mut self, zone: &str) -> Result<(), String> {
        self.zone =
            parse_zone(zone).ok_or_else(|| format!("unknown time zone [{zone}]; write +02:00 or UTC"))?;
        Ok(())
    }

    /// Reads a number.
    pub(crate) fn number(&self, number: i64) -> Instants {
        if !self.seconds {
            return (Millis(number), Millis(number));
        }
        let begin = number.saturating_mul(1000);
        (Millis(begin), Millis(begin.saturating_add(999)))
    }

    /// Reads a text: what it names from its first to its last millisecond.
    pub(crate) fn text(&self, text: &str) -> Option<Instants> {
        let text = text.trim();
        if let Some(steps) = text.strip_prefix("now") {
            return self.calculate((self.now, self.now), steps);
        }
        if let Some((date, steps)) = text.split_once("||") {
            return self.calculate(self.plain(date)?, steps);
        }
        self.plain(text)
    }

    fn plain(&self, text: &str) -> Option<Instants> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() != 4 || self.seconds)
        {
            return Some(self.number(text.parse().ok()?));
        }
        self.iso(text)
    }

    fn iso(&self, text: &str) -> Option<Instants> {
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

    /// Adds `+1d`, `-3h` and rounds by `/d`.
    fn calculate(&self, (begin, end): Instants, steps: &str) -> Option<Instants> {
        let mut at = self.zoned(begin)?;
        let mut width = end.0 - begin.0;
        let mut rest = steps;
        while let Some(operator) = rest.chars().next() {
            let tail = rest.get(1..)?;
            let count_length = tail.bytes().take_while(u8::is_ascii_digit).count();
            let (count, tail) = tail.split_at(count_length);
            let unit = tail.chars().next()?;
            rest = tail.get(unit.len_utf8()..)?;
            if operator == '/' {
                if !count.is_empty() {
                    return None;
                }
                at = round_down(&at, unit)?;
                let next = step(&at, unit, 1)?;
                width = millis(&next).0 - millis(&at).0 - 1;
                continue;
            }
            let count: i64 = if count.is_empty() { 1 } else { count.parse().ok()? };
            let count = match operator {
                '+' => count,
                '-' => -count,
                _ => return None,
            };
            at = step(&at, unit, count)?;
        }
        let begin = millis(&at);
        Some((begin, Millis(begin.0.saturating_add(width))))
    }

    fn zoned(&self, at: Millis) -> Option<Zoned> {
        Some(Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone()))
    }
}

/// The text of a millisecond, as Elasticsearch prints dates.
pub(crate) fn print(at: Millis) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => at.0.to_string(),
    }
}

fn millis(at: &Zoned) -> Millis {
    Millis(at.timestamp().as_millisecond())
}

fn digits<T: std::str::FromStr>(text: &str, count: usize) -> Option<T> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

fn split_zone(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time.get(..at).unwrap_or(time), time.get(at..)),
        None => (time, None),
    }
}

fn parse_zone(zone: &str) -> Option<TimeZone> {
    if matches!(zone, "Z" | "z" | "UTC" | "utc" | "GMT") {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, zone.get(1..)?),
        b'-' => (-1, zone.get(1..)?),
        _ => return TimeZone::get(zone).ok(),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if rest.len() == 4 => rest.split_at(2),
        None => (rest, "00"),
    };
    let seconds = digits::<i32>(hours, 2)? * 3600 + digits::<i32>(minutes, 2)? * 60;
    Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
}

fn step(at: &Zoned, unit: char, count: i64) -> Option<Zoned> {
    let hours = |hours: i64| at.checked_add(SignedDuration::from_secs(hours.checked_mul(3600)?)).ok();
    match unit {
        'y' => at.checked_add(jiff::Span::new().try_years(count).ok()?).ok(),
        'M' => at.checked_add(jiff::Span::new().try_months(count).ok()?).ok(),
        'w' => at.checked_add(jiff::Span::new().try_weeks(count).ok()?).ok(),
        'd' => at.checked_add(jiff::Span::new().try_days(count).ok()?).ok(),
        'h' | 'H' => hours(count),
        'm' => at.checked_add(SignedDuration::from_secs(count.checked_mul(60)?)).ok(),
        's' => at.checked_add(SignedDuration::from_secs(count)).ok(),
        _ => None,
    }
}

fn round_down(at: &Zoned, unit: char) -> Option<Zoned> {
    let second = at.with().subsec_nanosecond(0);
    let rounded = match unit {
        'y' => return at.start_of_day().ok()?.with().month(1).day(1).build().ok(),
        'M' => return at.start_of_day().ok()?.with().day(1).build().ok(),
        'w' => {
            let back = i64::from(at.weekday().to_monday_zero_offset());
            return at.start_of_day().ok()?.checked_sub(jiff::Span::new().try_days(back).ok()?).ok();
        }
        'd' => return at.start_of_day().ok(),
        'h' | 'H' => second.minute(0).second(0),
        'm' => second.second(0),
        's' => second,
        _ => return None,
    };
    rounded.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_names_all_its_milliseconds() {
        // 2024-02-29T12:34:56.789Z
        let mut form = DateForm::new(Millis(1_709_210_096_789));
        let span = |form: &DateForm, text: &str| {
            form.text(text).map(|(begin, end)| format!("{} {}", print(begin), print(end)))
        };
        let table = [
            ("2024", "2024-01-01T00:00:00.000Z 2024-12-31T23:59:59.999Z"),
            ("2024-02", "2024-02-01T00:00:00.000Z 2024-02-29T23:59:59.999Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z 2024-02-29T23:59:59.999Z"),
            ("2024-02-29T10", "2024-02-29T10:00:00.000Z 2024-02-29T10:59:59.999Z"),
            ("2024-02-29T10:05", "2024-02-29T10:05:00.000Z 2024-02-29T10:05:59.999Z"),
            ("2024-02-29 10:05:06", "2024-02-29T10:05:06.000Z 2024-02-29T10:05:06.999Z"),
            ("2024-02-29T10:05:06.5+02:00", "2024-02-29T08:05:06.500Z 2024-02-29T08:05:06.500Z"),
            ("1709210096789", "2024-02-29T12:34:56.789Z 2024-02-29T12:34:56.789Z"),
            ("now", "2024-02-29T12:34:56.789Z 2024-02-29T12:34:56.789Z"),
            ("now-1h", "2024-02-29T11:34:56.789Z 2024-02-29T11:34:56.789Z"),
            ("now-1y/d", "2023-02-28T00:00:00.000Z 2023-02-28T23:59:59.999Z"),
            ("now/w", "2024-02-26T00:00:00.000Z 2024-03-03T23:59:59.999Z"),
            ("2024-01-31||+1M/M", "2024-02-01T00:00:00.000Z 2024-02-29T23:59:59.999Z"),
        ];
        for (text, wanted) in table {
            assert_eq!(span(&form, text).as_deref(), Some(wanted), "{text}");
        }
        for wrong in [
            "",
            "x",
            "now+",
            "now-1x",
            "now/2d",
            "2024-13",
            "2024-02-30",
            "2024-01-01T25",
            "24-01-01",
            "2024-01T10",
        ] {
            assert_eq!(span(&form, wrong), None, "{wrong}");
        }
        form.set_zone("+01:00").unwrap();
        assert_eq!(
            span(&form, "2024-02-29").as_deref(),
            Some("2024-02-28T23:00:00.000Z 2024-02-29T22:59:59.999Z")
        );
        assert!(form.set_format("dd/MM/yyyy").is_err());
        form.set_format("epoch_second").unwrap();
        assert_eq!(form.number(1), (Millis(1000), Millis(1999)));
    }
}
