//! `+1d`, `-3h` and `/d` after a date.

use eddy_types::Millis;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{DateForm, Instants, millis};

impl DateForm {
    /// Adds `+1d`, `-3h` and rounds by `/d`.
    pub(super) fn calculate(&self, (begin, end): Instants, steps: &str) -> Option<Instants> {
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
