//! Dates as queries write them: ISO 8601 with the end left out, milliseconds, and arithmetic on `now`.
//!
//! [`iso`] reads the first, [`arithmetic`] does the last.

mod arithmetic;
mod iso;

use eddy_types::Millis;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

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
