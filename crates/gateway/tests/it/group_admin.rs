//! FindCoordinator, and groups as administrators see them (R-3.61, trap X14).

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, ListGroupsRequest,
    MetadataRequest,
};

use crate::group_members::{broker, group, lone_member};
use crate::group_offsets::{codes, commit, fetch_all};
use crate::harness::{Client, text};

#[tokio::test]
async fn the_first_group_of_a_cluster_is_served_at_once_r_3_16() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let request = FindCoordinatorRequest::default().with_key(text("g"));
    let found = client.call(2, &request).await;
    assert_eq!((found.error_code, found.node_id.0, found.port), (0, 1, i32::from(broker.address.port())));
    lone_member(&mut client, "g").await;
    let topics = client.call(9, &MetadataRequest::default().with_topics(None)).await.topics;
    let offsets = topics
        .iter()
        .find(|topic| topic.name.as_ref().is_some_and(|name| name.as_str() == "__consumer_offsets"));
    assert!(offsets.is_some_and(|topic| topic.is_internal && topic.partitions.len() == 50));
    let image = broker.engine.image();
    let overrides = &image.topic("__consumer_offsets").unwrap().overrides;
    assert_eq!(overrides.get("cleanup.policy").map(String::as_str), Some("compact"));
    assert_eq!(overrides.get("segment.bytes").map(String::as_str), Some("104857600"));
}

#[tokio::test]
async fn coordinators_are_found_for_many_keys_and_other_kinds_are_refused() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let keys = |kind| {
        FindCoordinatorRequest::default()
            .with_key_type(kind)
            .with_coordinator_keys(vec![text("a"), text("b")])
    };
    for (kind, code) in [(0, 0), (1, 42), (2, 42), (9, 42)] {
        let found = client.call(6, &keys(kind)).await.coordinators;
        let codes: Vec<_> = found.iter().map(|one| (one.key.to_string(), one.error_code)).collect();
        assert_eq!(codes, [("a".to_owned(), code), ("b".to_owned(), code)], "kind {kind}");
    }
    let one = FindCoordinatorRequest::default().with_key(text("a")).with_key_type(1);
    let found = client.call(3, &one).await;
    assert_eq!((found.error_code, found.node_id.0, found.port), (42, -1, -1));
}

/// Name, state and type of every listed group.
async fn listed(client: &mut Client, states: &[&str], types: &[&str]) -> BTreeMap<String, (String, String)> {
    let request = ListGroupsRequest::default()
        .with_states_filter(states.iter().map(|state| text(state)).collect())
        .with_types_filter(types.iter().map(|one| text(one)).collect());
    let response = client.call(5, &request).await;
    assert_eq!(response.error_code, 0);
    let groups = response.groups.iter();
    groups
        .map(|group| {
            (group.group_id.to_string(), (group.group_state.to_string(), group.group_type.to_string()))
        })
        .collect()
}

#[tokio::test]
async fn lists_and_descriptions_show_what_members_see_x14() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(listed(&mut client, &[], &[]).await, BTreeMap::new(), "and nothing is created for it");
    assert!(broker.engine.image().topic("__consumer_offsets").is_none());

    let joined = lone_member(&mut client, "members").await;
    codes(&mut client, 8, &commit("simple", "t", &[(0, 1)])).await;
    let pair = |state: &str| (state.to_owned(), "classic".to_owned());
    let both: BTreeMap<_, _> =
        [("members".to_owned(), pair("Stable")), ("simple".to_owned(), pair("Empty"))].into();
    assert_eq!(listed(&mut client, &[], &[]).await, both);
    assert_eq!(listed(&mut client, &["stable", "empty"], &["CLASSIC"]).await, both);
    assert_eq!(listed(&mut client, &["Stable"], &[]).await.len(), 1);
    assert_eq!(listed(&mut client, &["Nonsense"], &[]).await.len(), 0);
    assert_eq!(listed(&mut client, &[], &["consumer"]).await.len(), 0);

    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group("members"), group("simple"), group("nobody")])
        .with_include_authorized_operations(true);
    for version in [5, 6] {
        let described = client.call(version, &request).await.groups;
        let states: Vec<_> = described.iter().map(|one| (one.group_state.as_str(), one.error_code)).collect();
        let missing = if version < 6 { 0 } else { 69 };
        assert_eq!(states, [("Stable", 0), ("Empty", 0), ("Dead", missing)]);
        let members = &described[0];
        assert_eq!((members.protocol_type.as_str(), members.protocol_data.as_str()), ("consumer", "range"));
        let member = &members.members[0];
        assert_eq!(member.member_id, joined.member_id);
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("test", "/127.0.0.1"));
        assert_eq!(
            (&member.member_metadata[..], &member.member_assignment[..]),
            (&b"\0\x01\xff\0"[..], &b"all"[..])
        );
    }
}

#[tokio::test]
async fn groups_without_members_are_deleted_with_their_offsets_r_3_61() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    lone_member(&mut client, "members").await;
    codes(&mut client, 8, &commit("simple", "t", &[(0, 1)])).await;
    let names: Vec<GroupId> = ["members", "simple", "nobody"].map(group).into();
    let request = DeleteGroupsRequest::default().with_groups_names(names);
    let results = client.call(2, &request).await.results;
    let codes: Vec<_> = results.iter().map(|one| (one.group_id.to_string(), one.error_code)).collect();
    let expected = [("members", 68), ("simple", 0), ("nobody", 69)];
    assert_eq!(codes, expected.map(|(name, code)| (name.to_owned(), code)));
    assert!(fetch_all(&mut client, "simple").await.is_empty());
    let broker = broker.restart(&[]).await;
    let mut client = broker.connect().await;
    assert_eq!(listed(&mut client, &[], &[]).await.into_keys().collect::<Vec<_>>(), ["members"]);
}
