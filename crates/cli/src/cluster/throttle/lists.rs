//! The replicas of topics that copy at a rate: what the topics' configuration lists, and what has to change in it.

use std::collections::{BTreeMap, BTreeSet};

use eddy_client::messages::describe_configs_request::DescribeConfigsResource;
use eddy_client::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use eddy_client::messages::{
    ApiKey, DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};
use eddy_types::ErrorCode;

use super::copying::Copying;
use crate::brokers::{Brokers, To};
use crate::config::{Kind, Operation};
use crate::error::CliError;

/// Who is held back when it sends, and who when it takes.
const KEYS: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
/// Each replica of a topic; set by people, never by a move.
const ALL: &str = "*";
/// The source of a value that was set on the topic itself.
const OF_TOPIC: i8 = 1;
/// Topics of one request.
const TOPICS_MAX: usize = 200;

/// The replicas that a topic lists under each of [`KEYS`], as `partition:broker`.
pub(super) type Lists = [BTreeSet<String>; 2];

/// A change of one list of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) topic: String,
    pub(super) key: &'static str,
    operation: Operation,
    /// What is added or taken away.
    pub(super) items: Vec<String>,
}

/// What a move wants listed.
fn wanted(one: &Copying) -> Lists {
    let pairs = |brokers: &[i32]| brokers.iter().map(|id| format!("{}:{id}", one.place.partition)).collect();
    if one.targets.is_empty() { Lists::default() } else { [pairs(&one.sources), pairs(&one.targets)] }
}

/// What these moves want listed, by topic.
fn wanted_by_topic(moves: &[Copying]) -> BTreeMap<&str, Lists> {
    let mut topics: BTreeMap<&str, Lists> = BTreeMap::new();
    for one in moves {
        let lists = topics.entry(&one.place.topic).or_default();
        for (list, items) in lists.iter_mut().zip(wanted(one)) {
            list.extend(items);
        }
    }
    topics
}

/// Adds what these moves want listed and is not.
pub(super) fn additions(moves: &[Copying], listed: &BTreeMap<String, Lists>) -> Vec<Edit> {
    let nothing = Lists::default();
    let mut edits = Vec::new();
    for (topic, wanted) in wanted_by_topic(moves) {
        let present = listed.get(topic).unwrap_or(&nothing);
        for ((key, wanted), present) in KEYS.into_iter().zip(&wanted).zip(present) {
            let items: Vec<String> = wanted.difference(present).cloned().collect();
            if !items.is_empty() && !present.contains(ALL) {
                edits.push(Edit { topic: topic.to_owned(), key, operation: Operation::Append, items });
            }
        }
    }
    edits
}

/// Takes away what is listed of partitions that are over, as far as no move that is `still` under way wants it. A list that
/// would be empty goes.
pub(super) fn removals(
    listed: &BTreeMap<String, Lists>,
    still: &[Copying],
    is_over: impl Fn(&str, i32) -> bool,
) -> Vec<Edit> {
    let still = wanted_by_topic(still);
    let nothing = Lists::default();
    let mut edits = Vec::new();
    for (topic, lists) in listed {
        let wanted = still.get(topic.as_str()).unwrap_or(&nothing);
        for ((key, present), wanted) in KEYS.into_iter().zip(lists).zip(wanted) {
            let is_of_one = |item: &&String| replica(item).is_some_and(|(index, _)| is_over(topic, index));
            let items: Vec<String> = present.difference(wanted).filter(is_of_one).cloned().collect();
            let operation = if items.len() == present.len() { Operation::Unset } else { Operation::Subtract };
            if !items.is_empty() {
                edits.push(Edit { topic: topic.clone(), key, operation, items });
            }
        }
    }
    edits
}

/// Takes away all lists.
pub(super) fn all_removals(listed: &BTreeMap<String, Lists>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (topic, lists) in listed {
        for (key, list) in KEYS.into_iter().zip(lists).filter(|(_, list)| !list.is_empty()) {
            let items = list.iter().cloned().collect();
            edits.push(Edit { topic: topic.clone(), key, operation: Operation::Unset, items });
        }
    }
    edits
}

/// The brokers whose replicas these changes are about.
pub(super) fn brokers_of(edits: &[Edit]) -> BTreeSet<i32> {
    let items = edits.iter().flat_map(|edit| &edit.items);
    items.filter_map(|item| replica(item)).map(|(_, broker)| broker).collect()
}

/// Partition and broker of an item; none of [`ALL`].
fn replica(item: &str) -> Option<(i32, i32)> {
    let (partition, broker) = item.split_once(':')?;
    partition.parse().ok().zip(broker.parse().ok())
}

/// Whether replicas of this move are held back.
pub(super) fn is_listed(one: &Copying, listed: &BTreeMap<String, Lists>) -> bool {
    let Some(present) = listed.get(&one.place.topic) else { return false };
    let is_in = |(items, present): (&BTreeSet<String>, &BTreeSet<String>)| {
        !items.is_disjoint(present) || (present.contains(ALL) && !items.is_empty())
    };
    wanted(one).iter().zip(present).any(is_in)
}

/// What topics list; those that list nothing, or do not exist, are left out.
pub(super) async fn of_topics(
    brokers: &Brokers,
    topics: impl IntoIterator<Item = &str>,
) -> Result<BTreeMap<String, Lists>, CliError> {
    let topics: Vec<&str> = topics.into_iter().collect();
    let mut listed = BTreeMap::new();
    for chunk in topics.chunks(TOPICS_MAX) {
        let asked = |topic: &&str| {
            DescribeConfigsResource::default()
                .with_resource_type(Kind::Topic.code())
                .with_resource_name(text(topic))
                .with_configuration_keys(Some(KEYS.into_iter().map(text).collect()))
        };
        let request = DescribeConfigsRequest::default().with_resources(chunk.iter().map(asked).collect());
        listed.extend(brokers.call(To::Any, &request, read_lists).await?);
    }
    Ok(listed)
}

fn read_lists(answer: DescribeConfigsResponse) -> Result<BTreeMap<String, Lists>, CallError> {
    let mut listed = BTreeMap::new();
    for result in answer.results.into_iter().filter(|result| !is_gone(result.error_code)) {
        let words = result.error_message.as_deref();
        accepted(ApiKey::DescribeConfigs, result.error_code, &*result.resource_name, words)?;
        let mut lists = Lists::default();
        for config in result.configs.iter().filter(|config| config.config_source == OF_TOPIC) {
            let list = KEYS.into_iter().zip(&mut lists).find(|(key, _)| *key == &*config.name);
            if let (Some((_, list)), Some(value)) = (list, &config.value) {
                let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
                list.extend(items.map(str::to_owned));
            }
        }
        if lists.iter().any(|list| !list.is_empty()) {
            listed.insert(result.resource_name.to_string(), lists);
        }
    }
    Ok(listed)
}

/// Changes lists. A topic that is gone needs no change.
pub(super) async fn change(brokers: &Brokers, edits: &[Edit]) -> Result<(), CliError> {
    let mut topics: BTreeMap<&str, Vec<AlterableConfig>> = BTreeMap::new();
    for edit in edits {
        let value = (edit.operation != Operation::Unset).then(|| text(&edit.items.join(",")));
        let config = AlterableConfig::default()
            .with_name(text(edit.key))
            .with_config_operation(edit.operation as i8)
            .with_value(value);
        topics.entry(&edit.topic).or_default().push(config);
    }
    let resource = |(topic, configs): (&str, Vec<AlterableConfig>)| {
        AlterConfigsResource::default()
            .with_resource_type(Kind::Topic.code())
            .with_resource_name(text(topic))
            .with_configs(configs)
    };
    let resources: Vec<AlterConfigsResource> = topics.into_iter().map(resource).collect();
    for chunk in resources.chunks(TOPICS_MAX) {
        let request = IncrementalAlterConfigsRequest::default().with_resources(chunk.to_vec());
        let read = |answer: IncrementalAlterConfigsResponse| {
            for result in answer.responses.iter().filter(|result| !is_gone(result.error_code)) {
                let words = result.error_message.as_deref();
                let topic = &*result.resource_name;
                accepted(ApiKey::IncrementalAlterConfigs, result.error_code, topic, words)?;
            }
            Ok(())
        };
        brokers.call(To::Any, &request, read).await?;
    }
    Ok(())
}

fn is_gone(code: i16) -> bool {
    ErrorCode::from_code(code) == Some(ErrorCode::UnknownTopicOrPartition)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::positions::Place;

    fn copying(topic: &str, partition: i32, sources: &[i32], targets: &[i32]) -> Copying {
        let place = Place { topic: topic.to_owned(), partition };
        Copying { place, sources: sources.to_vec(), targets: targets.to_vec() }
    }

    fn listed(topics: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Lists> {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        topics.iter().map(|(topic, l, f)| ((*topic).to_owned(), [list(l), list(f)])).collect()
    }

    fn shown(edits: &[Edit]) -> Vec<String> {
        let show = |edit: &Edit| {
            let side = edit.key.split('.').next().unwrap();
            format!("{} {side} {:?} {}", edit.topic, edit.operation, edit.items.join(","))
        };
        edits.iter().map(show).collect()
    }

    #[test]
    fn who_has_a_partition_is_held_as_its_leader_and_who_gets_it_as_a_follower() {
        let moves =
            [copying("a", 0, &[1, 2], &[3]), copying("a", 1, &[2, 3], &[1]), copying("b", 0, &[1], &[2])];
        assert_eq!(
            shown(&additions(&moves, &BTreeMap::new())),
            [
                "a leader Append 0:1,0:2,1:2,1:3",
                "a follower Append 0:3,1:1",
                "b leader Append 0:1",
                "b follower Append 0:2",
            ]
        );
    }

    #[test]
    fn what_only_changes_its_order_or_shrinks_is_not_held() {
        assert_eq!(additions(&[copying("a", 0, &[1, 2], &[])], &BTreeMap::new()), []);
    }

    #[test]
    fn nothing_is_added_twice_nor_to_all() {
        let listed = listed(&[("a", &["0:1", "7:7"], &["*"])]);
        assert_eq!(shown(&additions(&[copying("a", 0, &[1, 2], &[3])], &listed)), ["a leader Append 0:2"]);
    }

    #[test]
    fn what_is_over_is_taken_away_but_for_what_still_moves_and_an_empty_list_goes() {
        let still = [copying("a", 1, &[2], &[1])];
        let lists = listed(&[("a", &["0:1", "0:2", "1:2", "7:7"], &["0:3"]), ("b", &["*"], &["0:4"])]);
        let some = |topic: &str, index| topic == "a" && index < 2;
        let edits = removals(&lists, &still, some);
        assert_eq!(shown(&edits), ["a leader Subtract 0:1,0:2", "a follower Unset 0:3"]);
        assert_eq!(brokers_of(&edits), BTreeSet::from([1, 2, 3]));
        assert_eq!(
            shown(&removals(&lists, &still, |_, _| true)),
            ["a leader Subtract 0:1,0:2,7:7", "a follower Unset 0:3", "b follower Unset 0:4"]
        );
        assert_eq!(removals(&lists, &still, |_, index| index == 1), [], "it moves");
    }

    #[test]
    fn a_wish_about_all_replicas_goes_only_with_everything() {
        let lists = listed(&[("a", &["*"], &[]), ("b", &["0:1"], &["0:2"])]);
        assert_eq!(shown(&removals(&lists, &[], |topic, _| topic == "a")), [""; 0]);
        assert_eq!(
            shown(&all_removals(&lists)),
            ["a leader Unset *", "b leader Unset 0:1", "b follower Unset 0:2"]
        );
    }

    #[test]
    fn a_move_is_held_by_any_of_its_replicas_or_all_of_the_topic() {
        let one = copying("a", 0, &[1, 2], &[3]);
        assert!(is_listed(&one, &listed(&[("a", &["0:2"], &[])])));
        assert!(is_listed(&one, &listed(&[("a", &[], &["0:3"])])));
        assert!(is_listed(&one, &listed(&[("a", &["*"], &[])])));
        assert!(!is_listed(&one, &listed(&[("a", &["1:2"], &["0:1"]), ("b", &["0:1"], &["0:3"])])));
    }
}
