//! Where to begin and where to stop, as a user writes it.
//!
//! `start`, `end`, `N`, `+N` (after the start), `-N` (before the end), each with `:N` or `:end` to stop there; `@TIME` and `@TIME:TIME`,
//! where the second time may be a length such as `1h`. What stops is not consumed itself.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::brokers::Brokers;
use crate::error::{CliError, Exit};
use crate::moment::{Moment, now_ms};
use crate::positions::{Place, Wanted, positions};

/// What `--help` says of ranges.
pub(crate) const HELP: &str = "\
RANGES
  start  end         from the first record that is there; only what is new
  N  +N  -N          from offset N; N after the start; N before the end
  FROM:end  FROM:N   stop at the end as it is now; stop before offset N
  :end  :N           from the start until there
  @TIME  @TIME:TIME  from a time, until a time; @TIME:1h for an hour, @-1h:end for the last hour
  A TIME is -1h, 2026-11-21, 2026-11-21T06:47:02Z, or seconds or milliseconds since the epoch.";

/// What to consume of each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: From,
    /// None: for ever.
    pub(crate) until: Option<Until>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// So many after the first offset.
    Start(i64),
    /// So many before the end.
    End(i64),
    Offset(i64),
    Time(Moment),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Where the end is now.
    End,
    Offset(i64),
    Time(Moment),
    /// Milliseconds after the time where it begins.
    After(i64),
}

/// Offsets of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: Option<i64>,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        match text.strip_prefix('@') {
            Some(times) => times_range(times),
            None => {
                let (from, until) = text.split_once(':').unwrap_or((text, ""));
                let from = if from.is_empty() { From::Start(0) } else { from_offset(from)? };
                let until = if until.is_empty() { None } else { Some(until_offset(until)?) };
                Ok(Range { from, until })
            }
        }
        .map_err(|reason: String| format!("{reason}; see --help"))
    }
}

fn from_offset(text: &str) -> Result<From, String> {
    let number = |digits: &str| {
        let number = digits.parse::<i64>().ok().filter(|number| *number >= 0 && !digits.starts_with('+'));
        number.ok_or_else(|| format!("must be start, end, N, +N, -N or @TIME: {text}"))
    };
    Ok(match text {
        "start" | "oldest" | "earliest" => From::Start(0),
        "end" | "newest" | "latest" => From::End(0),
        _ => match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(after), _) => From::Start(number(after)?),
            (None, Some(before)) => From::End(number(before)?),
            (None, None) => From::Offset(number(text)?),
        },
    })
}

fn until_offset(text: &str) -> Result<Until, String> {
    match (text, text.parse::<i64>()) {
        ("end", _) => Ok(Until::End),
        (_, Ok(offset)) if offset >= 0 => Ok(Until::Offset(offset)),
        _ => Err(format!("must stop at an offset or at end: {text}")),
    }
}

/// Times have colons too: the whole is tried first, then every colon as the one between the two.
fn times_range(text: &str) -> Result<Range, String> {
    let reason = match text.parse() {
        Ok(moment) => return Ok(Range { from: From::Time(moment), until: None }),
        Err(reason) => reason,
    };
    for (at, _) in text.match_indices(':') {
        let (from, until) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        let from = if from.is_empty() { Ok(From::Start(0)) } else { from.parse().map(From::Time) };
        let until = if until.is_empty() { Ok(None) } else { until_time(until).map(Some) };
        if let (Ok(from), Ok(until)) = (from, until) {
            let needs_time = matches!(until, Some(Until::After(_)));
            if needs_time && !matches!(from, From::Time(_)) {
                return Err(format!("a length needs a time to begin at: {text}"));
            }
            return Ok(Range { from, until });
        }
    }
    Err(reason)
}

fn until_time(text: &str) -> Result<Until, String> {
    if text == "end" {
        return Ok(Until::End);
    }
    if let Ok(moment) = text.parse() {
        return Ok(Until::Time(moment));
    }
    // A length is a step ahead without its sign.
    match format!("+{text}").parse() {
        Ok(Moment::FromNow(ms)) => Ok(Until::After(ms)),
        _ => Err(format!("must be a time, a length or end: {text}")),
    }
}

/// The spans of places now. Offsets outside of what a partition has are moved to its nearest end.
///
/// # Errors
/// A partition that nobody answers for; a time to stop at that is still to come.
pub(crate) async fn resolve(
    brokers: &Brokers,
    places: &[Place],
    range: Range,
    end: Wanted,
) -> Result<BTreeMap<Place, Span>, CliError> {
    let now = now_ms();
    let starts = positions(brokers, places, Wanted::Earliest).await?;
    let ends = positions(brokers, places, end).await?;
    let from_ms = if let From::Time(moment) = range.from { Some(moment.millis(now)) } else { None };
    let until_ms = match range.until {
        Some(Until::Time(moment)) => Some(moment.millis(now)),
        Some(Until::After(ms)) => from_ms.map(|from| from.saturating_add(ms)),
        _ => None,
    };
    if until_ms.is_some_and(|until| until > now) {
        return Err(
            CliError::usage("the time to stop at is still to come").fix("--offset @TIME", "consume for ever")
        );
    }
    let froms = at_time(brokers, places, from_ms).await?;
    let untils = at_time(brokers, places, until_ms).await?;
    let mut spans = BTreeMap::new();
    for place in places {
        let known = |found: &BTreeMap<Place, Option<i64>>| found.get(place).copied().flatten();
        let (Some(start), Some(end)) = (known(&starts), known(&ends)) else {
            return Err(CliError::new(Exit::Unreachable, format!("no leader answers for partition {place}")));
        };
        let bounds = Bounds { start, end, from_time: known(&froms), until_time: known(&untils) };
        spans.insert(place.clone(), bounds.span(range));
    }
    Ok(spans)
}

async fn at_time(
    brokers: &Brokers,
    places: &[Place],
    ms: Option<i64>,
) -> Result<BTreeMap<Place, Option<i64>>, CliError> {
    match ms {
        Some(ms) => positions(brokers, places, Wanted::Time(ms)).await,
        None => Ok(BTreeMap::new()),
    }
}

/// What is known of a partition.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    start: i64,
    end: i64,
    /// First offsets at the times asked for; none when no record is as new.
    from_time: Option<i64>,
    until_time: Option<i64>,
}

impl Bounds {
    fn span(self, range: Range) -> Span {
        let from = match range.from {
            From::Start(after) => self.start.saturating_add(after),
            From::End(before) => self.end.saturating_sub(before),
            From::Offset(offset) => offset,
            From::Time(_) => self.from_time.unwrap_or(self.end),
        };
        let until = range.until.map(|until| match until {
            Until::End => self.end,
            Until::Offset(offset) => offset,
            Until::Time(_) | Until::After(_) => self.until_time.unwrap_or(self.end),
        });
        Span { from: from.clamp(self.start, self.end.max(self.start)), until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> (i64, Option<i64>) {
        let bounds = Bounds { start: 10, end: 50, from_time: Some(20), until_time: None };
        let span = bounds.span(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
        (span.from, span.until)
    }

    #[test]
    fn offsets_count_from_start_and_end_and_stay_within() {
        for (text, expected) in [
            ("start", (10, None)),
            ("end", (50, None)),
            (":end", (10, Some(50))),
            ("+5", (15, None)),
            ("-5", (45, None)),
            ("-500", (10, None)),
            ("30", (30, None)),
            ("30:", (30, None)),
            (":40", (10, Some(40))),
            ("30:40", (30, Some(40))),
            ("-5:end", (45, Some(50))),
            ("3", (10, None)),
            ("99", (50, None)),
        ] {
            assert_eq!(span(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_told_apart_at_the_right_colon() {
        assert_eq!(span("@-1h"), (20, None));
        assert_eq!(span("@-1h:end"), (20, Some(50)));
        let range: Range = "@2026-11-21T06:47:02Z:2026-11-21T07:00:00Z".parse().unwrap();
        let times =
            (From::Time(Moment::At(1_795_243_622_000)), Some(Until::Time(Moment::At(1_795_244_400_000))));
        assert_eq!((range.from, range.until), times);
        let range: Range = "@2026-11-21T06:47:02Z:1h".parse().unwrap();
        assert_eq!(range.until, Some(Until::After(3_600_000)));
        let range: Range = "@:-1h".parse().unwrap();
        assert_eq!(
            (range.from, range.until),
            (From::Start(0), Some(Until::Time(Moment::FromNow(-3_600_000))))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["x", "--5", "+-5", "1:x", "1:-2", "@soon", "@:1h", "@-1h:x"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
