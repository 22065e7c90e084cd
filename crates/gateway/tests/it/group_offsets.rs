//! OffsetCommit, OffsetFetch, OffsetDelete over sockets (R-3.59, R-3.60, R-2.74, trap X10).

use std::collections::BTreeMap;

use eddy_types::TopicId;
use eddy_wire::ApiKey;
use eddy_wire::messages::{offset_commit, offset_fetch};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    DeleteTopicsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};

use crate::group_members::{broker, group, lone_member};
use crate::harness::{Broker, Client, text, topic_name};

/// A commit of a client that does without membership.
pub(crate) fn commit(name: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions = offsets.iter().map(|(index, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text("md")))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect());
    OffsetCommitRequest::default().with_group_id(group(name)).with_topics(vec![topic])
}

/// The codes of a commit, by partition.
pub(crate) async fn codes(client: &mut Client, version: i16, request: &OffsetCommitRequest) -> Vec<i16> {
    let response = client.call(version, request).await;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error_code).collect()
}

/// What is committed, by topic and partition.
type Fetched = BTreeMap<(String, i32), i64>;

/// Everything that a group has committed.
pub(crate) async fn fetch_all(client: &mut Client, name: &str) -> Fetched {
    let request = OffsetFetchRequest::default().with_group_id(group(name)).with_topics(None);
    let response = client.call(7, &request).await;
    assert_eq!(response.error_code, 0);
    let mut fetched = Fetched::new();
    for topic in response.topics {
        for partition in topic.partitions {
            assert_eq!(partition.error_code, 0);
            fetched.insert((topic.name.to_string(), partition.partition_index), partition.committed_offset);
        }
    }
    fetched
}

fn of(topic: &str, offsets: &[(i32, i64)]) -> Fetched {
    offsets.iter().map(|(partition, offset)| ((topic.to_owned(), *partition), *offset)).collect()
}

async fn with_topic() -> (Broker, Client) {
    let broker = broker().await;
    broker.topic("t", 3, &[]).await;
    let client = broker.connect().await;
    (broker, client)
}

#[tokio::test]
async fn every_version_commits_and_every_version_fetches_all_partitions_x10() {
    let (_broker, mut client) = with_topic().await;
    for version in 2..=9 {
        let name = format!("g{version}");
        let offsets = [(0, i64::from(version)), (1, 10), (2, 20)];
        assert_eq!(codes(&mut client, version, &commit(&name, "t", &offsets)).await, [0, 0, 0], "v{version}");
        assert_eq!(fetch_all(&mut client, &name).await, of("t", &offsets), "v{version}");
    }
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![2, 0, 1]);
        let request = OffsetFetchRequest::default().with_group_id(group("g9")).with_topics(Some(vec![topic]));
        let response = client.call(version, &request).await;
        let offsets: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|partition| (partition.partition_index, partition.committed_offset, partition.error_code))
            .collect();
        assert_eq!(offsets, [(2, 20, 0), (0, 9, 0), (1, 10, 0)], "v{version}");
        assert_eq!(response.topics[0].partitions[0].metadata.as_deref(), Some("md"));
    }
}

#[tokio::test]
async fn many_groups_are_fetched_in_one_request_and_keep_apart_x10() {
    let (_broker, mut client) = with_topic().await;
    for (name, offset) in [("a", 1), ("b", 2)] {
        codes(&mut client, 8, &commit(name, "t", &[(0, offset), (1, offset), (2, offset)])).await;
    }
    for version in [8, 9] {
        let all =
            |name: &str| OffsetFetchRequestGroup::default().with_group_id(group(name)).with_topics(None);
        let topic =
            OffsetFetchRequestTopics::default().with_name(topic_name("t")).with_partition_indexes(vec![2, 7]);
        let some = all("a").with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![all("b"), some, all("nobody")]);
        let response = client.call(version, &request).await;
        let found: Vec<_> = response
            .groups
            .iter()
            .map(|group| {
                let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
                let offsets = partitions.map(|partition| partition.committed_offset).collect::<Vec<_>>();
                (group.group_id.to_string(), group.error_code, offsets)
            })
            .collect();
        let expected = [("b", vec![2, 2, 2]), ("a", vec![1, -1]), ("nobody", vec![])];
        assert_eq!(found, expected.map(|(name, offsets)| (name.to_owned(), 0, offsets)), "v{version}");
    }
}

#[tokio::test]
async fn topics_are_named_by_id_from_version_10() {
    let (broker, mut client) = with_topic().await;
    let id = broker.topic_id("t").await;
    let partition = |partition_index| offset_commit::OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 5,
        ..Default::default()
    };
    let topic = |topic_id| offset_commit::OffsetCommitRequestTopic {
        topic_id,
        partitions: vec![partition(0), partition(9)],
        ..Default::default()
    };
    let request = offset_commit::OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![topic(TopicId([9; 16])), topic(id)],
        ..Default::default()
    };
    let response: offset_commit::OffsetCommitResponse =
        client.call_own(ApiKey::OffsetCommit, 10, &request).await;
    let codes: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.topic_id, topic.partitions.iter().map(|one| one.error_code).collect::<Vec<_>>()))
        .collect();
    assert_eq!(codes, [(TopicId([9; 16]), vec![100, 100]), (id, vec![0, 3])]);

    let wanted = |topic_id| offset_fetch::OffsetFetchRequestTopics {
        topic_id,
        partition_indexes: vec![0],
        ..Default::default()
    };
    let asked =
        |topics| offset_fetch::OffsetFetchRequestGroup { group_id: "g".into(), topics, ..Default::default() };
    let request = offset_fetch::OffsetFetchRequest {
        groups: vec![asked(Some(vec![wanted(TopicId([9; 16])), wanted(id)])), asked(None)],
        ..Default::default()
    };
    let response: offset_fetch::OffsetFetchResponse =
        client.call_own(ApiKey::OffsetFetch, 10, &request).await;
    let found = |group: &offset_fetch::OffsetFetchResponseGroup| -> Vec<_> {
        let topics = group.topics.iter();
        topics
            .map(|topic| {
                (topic.topic_id, topic.partitions[0].committed_offset, topic.partitions[0].error_code)
            })
            .collect()
    };
    assert_eq!(found(&response.groups[0]), [(TopicId([9; 16]), -1, 100), (id, 5, 0)]);
    assert_eq!(found(&response.groups[1]), [(id, 5, 0)]);
}

#[tokio::test]
async fn partitions_that_do_not_exist_are_refused_one_by_one_r_3_59() {
    let (_broker, mut client) = with_topic().await;
    assert_eq!(
        codes(&mut client, 8, &commit("g", "t", &[(0, 1), (3, 1), (-1, 1), (2, 1)])).await,
        [0, 3, 3, 0]
    );
    assert_eq!(codes(&mut client, 8, &commit("g", "nope", &[(0, 1)])).await, [3]);
    assert_eq!(fetch_all(&mut client, "g").await, of("t", &[(0, 1), (2, 1)]));
}

#[tokio::test]
async fn text_beyond_the_limit_is_refused_r_3_59() {
    let (_broker, mut client) = with_topic().await;
    let mut request = commit("g", "t", &[(0, 1), (1, 1)]);
    request.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4097)));
    request.topics[0].partitions[1].committed_metadata = Some(text(&"x".repeat(4096)));
    assert_eq!(codes(&mut client, 8, &request).await, [12, 0]);
}

#[tokio::test]
async fn only_members_commit_while_a_group_has_some_r_3_59() {
    let (_broker, mut client) = with_topic().await;
    let joined = lone_member(&mut client, "g").await;
    let as_member = |member: &str, generation| {
        commit("g", "t", &[(0, 5)])
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
    };
    assert_eq!(codes(&mut client, 8, &commit("g", "t", &[(0, 1)])).await, [25]);
    assert_eq!(codes(&mut client, 8, &as_member("nobody", 1)).await, [25]);
    assert_eq!(codes(&mut client, 8, &as_member(&joined.member_id, 9)).await, [22]);
    assert_eq!(codes(&mut client, 8, &as_member(&joined.member_id, 1)).await, [0]);
    let elsewhere = |request: OffsetCommitRequest| request.with_group_id(group("nowhere"));
    assert_eq!(codes(&mut client, 8, &elsewhere(as_member("m", 1))).await, [22]);
    assert_eq!(codes(&mut client, 9, &elsewhere(as_member("m", 1))).await, [69]);
}

#[tokio::test]
async fn offsets_are_deleted_one_by_one() {
    let (_broker, mut client) = with_topic().await;
    codes(&mut client, 8, &commit("g", "t", &[(0, 1), (1, 2)])).await;
    let partition = |index| OffsetDeleteRequestPartition::default().with_partition_index(index);
    let topic = |name: &str| {
        OffsetDeleteRequestTopic::default()
            .with_name(topic_name(name))
            .with_partitions(vec![partition(0), partition(2)])
    };
    let request =
        OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![topic("nope"), topic("t")]);
    let response = client.call(0, &request).await;
    let codes: Vec<Vec<i16>> = response
        .topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|one| one.error_code).collect())
        .collect();
    assert_eq!((response.error_code, codes), (0, vec![vec![3, 3], vec![0, 0]]));
    assert_eq!(fetch_all(&mut client, "g").await, of("t", &[(1, 2)]));
    let nobody = request.with_group_id(group("nobody"));
    assert_eq!(client.call(0, &nobody).await.error_code, 69);
}

#[tokio::test]
async fn a_deleted_topic_takes_its_offsets_along_r_3_131() {
    let (broker, mut client) = with_topic().await;
    broker.topic("other", 1, &[]).await;
    codes(&mut client, 8, &commit("g", "t", &[(0, 7)])).await;
    codes(&mut client, 8, &commit("g", "other", &[(0, 8)])).await;
    let state = DeleteTopicState::default().with_name(Some(topic_name("t")));
    let delete = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(5000);
    assert_eq!(client.call(6, &delete).await.responses[0].error_code, 0);
    // Made again under its name it is another topic, and inherits nothing: not even before the offsets are gone.
    broker.topic("t", 3, &[]).await;
    let topic = OffsetFetchRequestTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group("g")).with_topics(Some(vec![topic]));
    assert_eq!(client.call(7, &request).await.topics[0].partitions[0].committed_offset, -1);
    for _ in 0..200 {
        if fetch_all(&mut client, "g").await == of("other", &[(0, 8)]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the offsets of the deleted topic stay");
}

#[tokio::test]
async fn a_restart_keeps_offsets_and_deletions() {
    let (broker, mut client) = with_topic().await;
    codes(&mut client, 8, &commit("g", "t", &[(0, 1), (1, 2), (2, 3)])).await;
    codes(&mut client, 8, &commit("g", "t", &[(0, 10)])).await;
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(2);
    let topic =
        OffsetDeleteRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let delete = OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![topic]);
    client.call(0, &delete).await;
    let mut broker = broker;
    for _ in 0..2 {
        broker = broker.restart(&[]).await;
        let mut client = broker.connect().await;
        assert_eq!(fetch_all(&mut client, "g").await, of("t", &[(0, 10), (1, 2)]));
    }
}
