//! Looking at groups, and deleting them.

use expect_test::expect;

use super::clients::{commit, commit_to, fetch, heartbeat, join, join_static, leave, subscription};
use super::world::{World, brief};
use crate::group::{DescribedMember, GroupRecord, GroupState, GroupType, JoinGroup, ListGroups, Reply};

#[test]
fn a_stable_group_is_shown_with_what_its_members_say_and_have() {
    let mut world = World::new().and_join(vec![join_static("a", "i")]).and_sync(&["a"], 1);
    let Reply::Describe(Ok(group)) =
        world.answer(|shard, _, token, out| shard.describe_group(token, "g", out))
    else {
        panic!()
    };
    assert_eq!((&*group.protocol_type, &*group.protocol), ("consumer", "range"));
    let member = DescribedMember {
        member: "a-1".into(),
        instance: Some("i".into()),
        client_id: "a".into(),
        client_host: "/127.0.0.1".into(),
        metadata: subscription("t"),
        assignment: b"a"[..].into(),
    };
    assert_eq!(group.members, [member]);
}

#[test]
fn a_group_in_a_rebalance_is_shown_without_what_its_members_say() {
    let mut world = World::stable(&["a"]);
    world.join(join("b"));
    let Reply::Describe(Ok(group)) =
        world.answer(|shard, _, token, out| shard.describe_group(token, "g", out))
    else {
        panic!()
    };
    assert_eq!((group.state, &*group.protocol), (GroupState::PreparingRebalance, ""));
    assert!(group.members.iter().all(|member| member.metadata.is_empty() && member.assignment.is_empty()));
    assert_eq!(group.members.len(), 2);
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut world = World::stable(&["a"]);
    world.commit(commit_to("simple", "t", 1));
    world.join(JoinGroup { group: "young".into(), ..join("b") });
    world.join(JoinGroup { group: "asked".into(), id_required: true, ..join("c") });
    let mut list = |states: &[GroupState], types: &[GroupType]| {
        let request = ListGroups { states: states.to_vec(), types: types.to_vec() };
        brief(&world.answer(|shard, _, token, out| shard.list_groups(token, &request, out)))
    };
    expect!["asked:Empty g:Stable simple:Empty young:PreparingRebalance"].assert_eq(&list(&[], &[]));
    expect!["asked:Empty g:Stable simple:Empty"]
        .assert_eq(&list(&[GroupState::Empty, GroupState::Stable], &[]));
    expect!["g:Stable"].assert_eq(&list(&[GroupState::Stable], &[GroupType::Classic]));
    expect![""].assert_eq(&list(&[], &[GroupType::Consumer]));
}

#[test]
fn deleting_a_group_takes_its_offsets_along() {
    let mut world = World::stable(&["a"]);
    world.commit(commit("a", 1, 5));
    assert_eq!(world.delete("g"), "68");
    world.leave(leave("a"));
    let before = world.log.len();
    assert_eq!(world.delete("g"), "0");
    assert!(world.log[before..].iter().all(GroupRecord::is_tombstone));
    assert_eq!(world.log.len() - before, 2);
    assert_eq!(world.delete("g"), "69");
    assert_eq!(world.fetch(fetch("g")), "");
    assert_eq!(world.list(), "");
    world.compacted_log_agrees();
}

#[test]
fn a_member_of_a_deleted_group_is_unknown_and_a_new_group_begins_at_the_first_generation() {
    let mut world = World::stable(&["a"]);
    world.leave(leave("a"));
    world.delete("g");
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "25");
    let world = world.and_join(vec![join("b")]).and_sync(&["b"], 1);
    world.compacted_log_agrees();
}

#[test]
fn names_are_kafkas() {
    let names =
        ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Assigning", "Reconciling", "Dead"];
    for name in names {
        assert_eq!(GroupState::from_name(name).map(GroupState::name), Some(name));
        assert_eq!(GroupState::from_name(&name.to_lowercase()).map(GroupState::name), Some(name));
    }
    assert_eq!(GroupState::from_name("Unknown"), None);
    assert_eq!(GroupType::from_name("Classic").map(GroupType::name), Some("classic"));
    assert_eq!(GroupType::from_name("CONSUMER").map(GroupType::name), Some("consumer"));
}
