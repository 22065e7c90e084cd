//! Which values of the right type are good.

use std::net::IpAddr;

use super::address::Address;
use super::client_metrics_config::ClientMatch;
use super::key::Check;
use super::throttled::ThrottledReplicas;
use super::value::Value;

impl Check {
    pub(super) fn test(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Check::AtLeast(min), Value::Number(n)) if *n < min => Err(format!("must be at least {min}")),
            (Check::Between(min, max), Value::Number(n)) if !(min..=max).contains(n) => {
                Err(format!("must be between {min} and {max}"))
            }
            (Check::BetweenOr(min, max, other), Value::Number(n))
                if !(min..=max).contains(n) && *n != other =>
            {
                Err(format!("must be between {min} and {max}, or {other}"))
            }
            (Check::Ratio, Value::Double(n)) if !(0.0..=1.0).contains(n) => {
                Err("must be between 0 and 1".to_owned())
            }
            (Check::OneOf(good) | Check::OneOfIgnoringCase(good), Value::Text(text))
                if !good.contains(&text.as_str()) =>
            {
                Err(format!("must be one of {}", good.join(", ")))
            }
            (Check::SomeOf(good), Value::List(items))
                if items.iter().any(|item| !good.contains(&item.as_str())) =>
            {
                Err(format!("must be a list of {}", good.join(", ")))
            }
            (Check::AddressOfPeer, Value::Text(text)) => Address::parse_of_peer(text).map(drop),
            (Check::NotEmpty, Value::Text(text)) if text.is_empty() => Err("must not be empty".to_owned()),
            (Check::Directory, Value::Text(text)) => test_directory(text),
            (Check::ThrottledReplicas, Value::List(items)) => ThrottledReplicas::parse(items).map(drop),
            (Check::LimitsByAddress, Value::Text(text)) => limits_by_address(text).map(drop),
            (Check::OffsetReset, Value::Text(text)) => test_offset_reset(text),
            (Check::ClientMatch, Value::List(items)) => {
                items.iter().try_for_each(|item| ClientMatch::parse(item).map(drop))
            }
            _ => Ok(()),
        }
    }
}

fn test_directory(text: &str) -> Result<(), String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        _ if text.contains(',') => Err("must be one directory: there is one write-ahead log".to_owned()),
        _ => Ok(()),
    }
}

/// Reads a list of `address:number`, an address of version 6 without brackets as Kafka writes it, or with them.
pub(super) fn limits_by_address(text: &str) -> Result<Vec<(IpAddr, u32)>, String> {
    super::parse_list(text)
        .iter()
        .map(|item| {
            let (host, limit) = item.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some((host.parse().ok()?, limit.trim().parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "must be a list of address:number".to_owned())
}

fn test_offset_reset(text: &str) -> Result<(), String> {
    let good = match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => matches!(text, "earliest" | "latest"),
    };
    if good { Ok(()) } else { Err("must be earliest, latest or by_duration:PnDTnHnMn.nS".to_owned()) }
}

/// Whether a text is a duration of ISO 8601 in days, hours, minutes and seconds, not negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let whole = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let days_good = days.is_empty() || days.strip_suffix('D').is_some_and(whole);
    let Some(time) = time else { return days_good && !days.is_empty() };
    let mut rest = time;
    for unit in ['H', 'M'] {
        if let Some((number, after)) = rest.split_once(unit) {
            if !whole(number) {
                return false;
            }
            rest = after;
        }
    }
    let seconds = |rest: &str| {
        let Some(number) = rest.strip_suffix('S') else { return false };
        let (units, fraction) = number.split_once('.').unwrap_or((number, "0"));
        whole(units) && whole(fraction)
    };
    days_good && !time.is_empty() && (rest.is_empty() || seconds(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        for good in ["PT1H", "P1D", "P1DT2H3M4.5S", "PT0S", "PT90M"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "1H", "P1H", "PT1D", "PT-1S", "PT1M2H", "PT.5S", "PT1.S"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn limits_name_numeric_addresses() {
        let limits = limits_by_address("10.0.0.1:5, ::1:7,[fe80::1]:9").unwrap();
        let shown: Vec<_> = limits.iter().map(|(address, limit)| format!("{address} {limit}")).collect();
        assert_eq!(shown, ["10.0.0.1 5", "::1 7", "fe80::1 9"]);
        assert_eq!(limits_by_address(""), Ok(Vec::new()));
        for bad in ["10.0.0.1", "host:5", "10.0.0.1:-1", "10.0.0.1:x"] {
            assert!(limits_by_address(bad).is_err(), "{bad}");
        }
    }
}
