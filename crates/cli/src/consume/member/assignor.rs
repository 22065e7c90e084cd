//! The `range` assignor: of each topic, every subscriber gets partitions that follow each other, and all about as many.

use std::collections::BTreeMap;

use crate::positions::Place;

/// Gives out partitions. `subscriptions` are topics by member, `partitions` numbers of partitions by topic.
pub(super) fn assign(
    subscriptions: &BTreeMap<String, Vec<String>>,
    partitions: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<Place>> {
    let mut assigned: BTreeMap<String, Vec<Place>> =
        subscriptions.keys().map(|member| (member.clone(), Vec::new())).collect();
    for (topic, count) in partitions {
        let members: Vec<&String> = subscriptions
            .iter()
            .filter(|(_, topics)| topics.contains(topic))
            .map(|(member, _)| member)
            .collect();
        let Ok(members_count) = i32::try_from(members.len()) else { continue };
        let mut next = 0;
        for (index, member) in std::iter::zip(0.., members) {
            // The first members get what is left over, one each.
            let share = count / members_count + i32::from(index < count % members_count);
            let places = (next..next + share).map(|partition| Place { topic: topic.clone(), partition });
            assigned.entry(member.clone()).or_default().extend(places);
            next += share;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_get_ranges_and_the_first_get_the_rest() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let subscriptions = BTreeMap::from([
            ("a".to_owned(), own(&["t", "u"])),
            ("b".to_owned(), own(&["t"])),
            ("c".to_owned(), own(&["none"])),
        ]);
        let partitions = BTreeMap::from([("t".to_owned(), 5), ("u".to_owned(), 1)]);
        let assigned = assign(&subscriptions, &partitions);
        let shown =
            |member: &str| assigned[member].iter().map(Place::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(shown("a"), "t-0 t-1 t-2 u-0");
        assert_eq!(shown("b"), "t-3 t-4");
        assert_eq!(shown("c"), "");
    }
}
