//! The parameters behind the `?` of a URL: each is known or refused, none is passed over in silence.

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};

use super::backend::{Refusal, Wait};

/// How long a request waits to be up to date unless it says.
pub(super) const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// How long it may at most; a waiting request holds memory.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Parameters of one URL.
const COUNT_MAX: usize = 64;
/// Offsets to wait for.
const OFFSETS_MAX: usize = 1024;
/// Numbers from here on are milliseconds: as seconds they would be in the year 5138, as milliseconds this is 1973.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Elasticsearch's parameters that change nothing here: there is one copy to search, no cache to keep out of, and what cannot be
/// searched is always told.
const WITHOUT_EFFECT: &[&str] = &[
    "allow_no_indices",
    "allow_partial_search_results",
    "batched_reduce_size",
    "ccs_minimize_roundtrips",
    "error_trace",
    "expand_wildcards",
    "human",
    "ignore_throttled",
    "ignore_unavailable",
    "include_unmapped",
    "local",
    "master_timeout",
    "max_concurrent_searches",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "preference",
    "request_cache",
    "routing",
    "search_type",
];

/// The parameters of one request; those that are taken are gone.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of a URL.
    pub(super) fn of(uri: &Uri) -> Result<Parameters, Refusal> {
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Refusal::illegal(format!("cannot read the URL's parameters: {error}")))?;
        if given.len() > COUNT_MAX {
            return Err(Refusal::illegal(format!("more than {COUNT_MAX} parameters in the URL")));
        }
        Ok(Parameters(given))
    }

    /// The value of a parameter; the last one when it is given twice.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let value = self.0.iter().rfind(|(given, _)| given == name).map(|(_, value)| value.clone());
        self.0.retain(|(given, _)| given != name);
        value
    }

    /// Whether a switch is on: `true`, or there without a value.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Refusal::illegal(format!("{name} must be true or false: {other}"))),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        self.take(name)
            .map(|text| {
                text.parse().map_err(|_| Refusal::illegal(format!("{name} must be a whole number: {text}")))
            })
            .transpose()
    }

    /// A length of time, such as `10s`, `500ms`, `1m`.
    pub(super) fn duration(&mut self, name: &str) -> Result<Option<Duration>, Refusal> {
        self.take(name)
            .map(|text| {
                length(&text)
                    .ok_or_else(|| Refusal::illegal(format!("{name} must be a time, such as 10s: {text}")))
            })
            .transpose()
    }

    /// A moment in milliseconds since the epoch: `1h` (ago), RFC 3339, or a number of seconds or milliseconds since the epoch.
    pub(super) fn moment(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let wanted = |text: &str| {
            Refusal::illegal(format!(
                "{name} must be a time, such as 1h (ago), 2026-11-21T06:47:02Z, 1795243622: {text}"
            ))
        };
        self.take(name).map(|text| moment(&text).ok_or_else(|| wanted(&text))).transpose()
    }

    /// `refresh`, `min_offset` and `timeout`. The timeout stays for who has use for it, too.
    pub(super) fn wait(&mut self) -> Result<Wait, Refusal> {
        let for_all = match self.take("refresh").as_deref() {
            None | Some("false") => false,
            Some("wait_for" | "true" | "") => true,
            Some(other) => {
                return Err(Refusal::illegal(format!("refresh must be wait_for or false: {other}")));
            }
        };
        let min_offset = self.take("min_offset").map_or_else(|| Ok(Vec::new()), |text| offsets(&text))?;
        let timeout = self.duration("timeout")?.unwrap_or(WAIT_DEFAULT).min(WAIT_MAX);
        Ok(Wait { min_offset, for_all, timeout })
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self, path: &str) -> Result<(), Refusal> {
        let unknown: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        match unknown.as_slice() {
            [] => Ok(()),
            names => Err(Refusal::illegal(format!(
                "request [{path}] contains unrecognized parameters: {}",
                names.join(", ")
            ))),
        }
    }

    /// Refuses what nobody took, but for what Elasticsearch's clients say and does not matter here.
    pub(super) fn finish_elastic(mut self, path: &str) -> Result<(), Refusal> {
        self.0.retain(|(name, _)| !WITHOUT_EFFECT.contains(&name.as_str()));
        self.finish(path)
    }
}

/// `0:41,1:7`: partitions and offsets.
fn offsets(text: &str) -> Result<Vec<(i32, i64)>, Refusal> {
    let wanted =
        || Refusal::illegal(format!("min_offset must be PARTITION:OFFSET,…, such as 0:41,1:7: {text}"));
    if text.split(',').count() > OFFSETS_MAX {
        return Err(Refusal::illegal(format!("min_offset names more than {OFFSETS_MAX} offsets")));
    }
    let one = |pair: &str| {
        let (partition, offset) = pair.split_once(':')?;
        let partition: i32 = partition.trim().parse().ok().filter(|partition| *partition >= 0)?;
        let offset: i64 = offset.trim().parse().ok().filter(|offset| *offset >= 0)?;
        Some((partition, offset))
    };
    text.split(',').map(|pair| one(pair).ok_or_else(wanted)).collect()
}

fn length(text: &str) -> Option<Duration> {
    let parsed: SignedDuration = text.parse().ok()?;
    Duration::try_from(parsed).ok().filter(|length| !length.is_zero())
}

fn moment(text: &str) -> Option<i64> {
    let now = Timestamp::now().as_millisecond();
    if text == "now" {
        return Some(now);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(if number < MILLISECONDS_FROM { number * 1000 } else { number });
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    // Days are for people; the parser of lengths stops at hours.
    let ago = text.strip_prefix('-').unwrap_or(text);
    let ms = match ago.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
        Some(days) => days.checked_mul(86_400_000)?,
        None => i64::try_from(length(ago)?.as_millis()).ok()?,
    };
    now.checked_sub(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn moments_are_lengths_dates_or_numbers() {
        let now = Timestamp::now().as_millisecond();
        for (text, ago) in [("1h", 3_600_000), ("-15m", 900_000), ("2d", 172_800_000), ("now", 0)] {
            let at = moment(text).unwrap();
            assert!((now - ago..now - ago + 10_000).contains(&at), "{text}");
        }
        for (text, at) in [
            ("2026-11-21T06:47:02Z", 1_795_243_622_000),
            ("1795243622", 1_795_243_622_000),
            ("1795243622123", 1_795_243_622_123),
        ] {
            assert_eq!(moment(text), Some(at), "{text}");
        }
        for text in ["", "soon", "99999999999999999999", "-", "9223372036854775807d"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn waits_name_offsets_or_all() {
        let wait = parameters("min_offset=0:41,1:7&timeout=2s").wait().unwrap();
        assert_eq!(wait.min_offset, [(0, 41), (1, 7)]);
        assert_eq!((wait.for_all, wait.timeout), (false, Duration::from_secs(2)));
        assert!(parameters("refresh=wait_for").wait().unwrap().for_all);
        assert_eq!(parameters("timeout=9h").wait().unwrap().timeout, WAIT_MAX);
        for query in ["min_offset=0", "min_offset=a:1", "min_offset=0:-1", "refresh=soon", "timeout=10"] {
            assert!(parameters(query).wait().is_err(), "{query}");
        }
    }

    #[test]
    fn what_nobody_takes_is_refused() {
        let mut given = parameters("size=3&sise=4&preference=x");
        assert_eq!(given.number("size").unwrap(), Some(3));
        let refusal = given.finish_elastic("/x").unwrap_err();
        assert_eq!(refusal.reason, "request [/x] contains unrecognized parameters: sise");
    }
}
