//! `leader.replication.throttled.replicas` and `follower.replication.throttled.replicas` (KIP-73).

use eddy_types::BrokerId;

use super::typed::FromValue;
use super::value::Value;

/// Replicas of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// `*`: each of them.
    All,
    /// These, as pairs of partition and broker, in order.
    Some(Vec<(i32, BrokerId)>),
}

impl Default for ThrottledReplicas {
    fn default() -> ThrottledReplicas {
        ThrottledReplicas::Some(Vec::new())
    }
}

impl ThrottledReplicas {
    /// Reads the items of the list.
    pub(super) fn parse(items: &[String]) -> Result<ThrottledReplicas, String> {
        if matches!(items, [only] if only == "*") {
            return Ok(ThrottledReplicas::All);
        }
        // A sign would be a number too.
        let number = |text: &str| if text.starts_with(['+', '-']) { None } else { text.parse().ok() };
        let pair = |item: &String| {
            let (partition, broker) = item.split_once(':')?;
            Some((number(partition)?, BrokerId(number(broker)?)))
        };
        let pairs: Option<Vec<_>> = items.iter().map(pair).collect();
        let mut pairs = pairs.ok_or_else(|| "must be * or a list of partition:broker".to_owned())?;
        pairs.sort_unstable();
        Ok(ThrottledReplicas::Some(pairs))
    }

    /// Whether the replica of a partition on a broker is one of them.
    #[must_use]
    pub fn contains(&self, partition: i32, broker: BrokerId) -> bool {
        match self {
            ThrottledReplicas::All => true,
            ThrottledReplicas::Some(pairs) => pairs.binary_search(&(partition, broker)).is_ok(),
        }
    }
}

impl FromValue for ThrottledReplicas {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(items) = value { ThrottledReplicas::parse(items).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(items: &[&str]) -> Result<ThrottledReplicas, String> {
        ThrottledReplicas::parse(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_names_replicas_and_a_star_all() {
        let some = parse(&["3:1", "0:2"]).unwrap();
        assert!(some.contains(0, BrokerId(2)) && some.contains(3, BrokerId(1)));
        assert!(!some.contains(0, BrokerId(1)) && !some.contains(2, BrokerId(0)));
        assert!(parse(&["*"]).unwrap().contains(7, BrokerId(7)));
        assert_eq!(parse(&[]), Ok(ThrottledReplicas::default()));
        assert!(!ThrottledReplicas::default().contains(0, BrokerId(0)));
        for bad in [&["0"][..], &["*", "0:1"], &["-1:0"], &["0:+1"], &["a:1"], &["0:1:2"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
