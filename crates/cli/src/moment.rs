//! Moments as a user writes them: `-1h`, `2026-11-21`, `2026-11-21T06:47:02Z`, seconds or milliseconds since the epoch.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A moment, absolute or counted from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So many milliseconds from now; negative for the past.
    FromNow(i64),
    /// Milliseconds since the epoch.
    At(i64),
}

/// Numbers from here on are milliseconds: as seconds they would be in the year 5138, as milliseconds this is 1973.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

impl Moment {
    /// In milliseconds since the epoch, when it is `now_ms`.
    pub(crate) fn millis(self, now_ms: i64) -> i64 {
        match self {
            Moment::FromNow(ms) => now_ms.saturating_add(ms),
            Moment::At(ms) => ms,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let wanted =
            || format!("must be a time, such as -1h, 2026-11-21, 2026-11-21T06:47:02Z, 1795243622: {text}");
        if text == "now" {
            return Ok(Moment::FromNow(0));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: i64 = text.parse().map_err(|_| wanted())?;
            let ms = if number < MILLISECONDS_FROM { number * 1000 } else { number };
            return Ok(Moment::At(ms));
        }
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Moment::At(timestamp.as_millisecond()));
        }
        if text.starts_with(['-', '+']) {
            let span: Span = text.parse().map_err(|_| wanted())?;
            // Without a calendar a day has 24 hours.
            let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wanted())?;
            return i64::try_from(duration.as_millis()).map(Moment::FromNow).map_err(|_| wanted());
        }
        // A date and time without a zone is the user's own.
        let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from));
        let zoned = local.and_then(|local| local.to_zoned(TimeZone::system())).map_err(|_| wanted())?;
        Ok(Moment::At(zoned.timestamp().as_millisecond()))
    }
}

/// Now, in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time in milliseconds since the epoch as RFC 3339 in UTC; times without milliseconds without them.
pub(crate) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |timestamp| timestamp.to_string())
}

/// A length of time for people: `350 ms`, `3.2 s`, `6m12s`, `5h03m`, `3d04h`.
pub(crate) fn span(ms: i64) -> String {
    let (minutes, hours, days) = (ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{minutes}m{:02}s", ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_steps_dates_or_numbers() {
        const NOW: i64 = 1_795_243_622_000;
        for (text, ms) in [
            ("now", NOW),
            ("-1h", NOW - 3_600_000),
            ("+1m30s", NOW + 90_000),
            ("-2d", NOW - 172_800_000),
            ("2026-11-21T06:47:02Z", 1_795_243_622_000),
            ("2026-11-21T07:47:02+01:00", 1_795_243_622_000),
            ("1795243622", 1_795_243_622_000),
            ("1795243622123", 1_795_243_622_123),
        ] {
            let moment: Moment = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(moment.millis(NOW), ms, "{text}");
        }
        assert!(matches!("2026-11-21".parse(), Ok(Moment::At(_))));
        assert!(matches!("2026-11-21 06:47".parse(), Ok(Moment::At(_))));
        for text in ["", "soon", "-", "1h", "2026-13-01", "99999999999999999999"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_have_the_two_units_that_count() {
        let shown = [0, 999, 3_250, 372_000, 18_180_000, 273_600_000].map(span);
        assert_eq!(shown, ["0 ms", "999 ms", "3.2 s", "6m12s", "5h03m", "3d04h"]);
        assert_eq!(rfc3339(1_795_243_622_000), "2026-11-21T06:47:02Z");
    }
}
