//! Partitions as a user names them.

use std::str::FromStr;

use crate::positions::Place;

/// `TOPIC`, `TOPIC:0` or `TOPIC:0,3-5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) topic: String,
    /// All of the topic when `None`.
    pub(crate) partitions: Option<Vec<i32>>,
}

/// A range of more partitions is a typing error.
const PARTITIONS_MAX: i32 = 100_000;

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Selection, String> {
        let wanted = || format!("must be TOPIC, TOPIC:0 or TOPIC:0,3-5: {text}");
        // A topic's name has no colon.
        let Some((topic, list)) = text.split_once(':') else {
            return if text.is_empty() {
                Err(wanted())
            } else {
                Ok(Selection { topic: text.to_owned(), partitions: None })
            };
        };
        if topic.is_empty() {
            return Err(wanted());
        }
        let index = |text: &str| text.parse::<i32>().ok().filter(|index| (0..PARTITIONS_MAX).contains(index));
        let mut partitions = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = index(first).zip(index(last)).ok_or_else(wanted)?;
            if first > last {
                return Err(wanted());
            }
            partitions.extend(first..=last);
        }
        partitions.sort_unstable();
        partitions.dedup();
        Ok(Selection { topic: topic.to_owned(), partitions: Some(partitions) })
    }
}

impl Selection {
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.topic == place.topic
            && self.partitions.as_ref().is_none_or(|partitions| partitions.contains(&place.partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_a_topic_with_or_without_partitions() {
        let selection = |text: &str| text.parse::<Selection>().unwrap();
        let place = |partition| Place { topic: "orders".to_owned(), partition };
        assert!(selection("orders").has(&place(7)));
        let some = selection("orders:0,3-5,4");
        assert_eq!(some.partitions, Some(vec![0, 3, 4, 5]));
        assert!(some.has(&place(4)) && !some.has(&place(1)));
        assert!(!some.has(&Place { topic: "other".to_owned(), partition: 4 }));
        for text in ["", ":1", "a:", "a:x", "a:5-3", "a:-1", "a:1-", "a:0-999999999"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
