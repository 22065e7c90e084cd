//! SyncGroup.

use super::clients::{REBALANCE, SESSION, commit, heartbeat, join, leave, rejoin, sync};
use super::world::World;
use crate::group::{ExpiryReason, GroupRecord, GroupState, Note, SyncGroup};

#[test]
fn followers_wait_for_the_leader_and_members_without_an_entry_get_nothing() {
    let mut world = World::joined(&["a", "b", "c"]);
    let followers = ["b", "c"].map(|client| world.sync(sync(client, 1, &[])));
    let leader = world.sync(sync("a", 1, &[("a", "A"), ("b", "B"), ("stranger", "S")]));
    assert_eq!(followers.map(|token| world.told(token)), ["gets \"B\"", "gets \"\""]);
    assert_eq!(world.told(leader), "gets \"A\"");
    let token = world.sync(sync("b", 1, &[]));
    assert_eq!(world.told(token), "gets \"B\"");
}

#[test]
fn assignments_are_recorded_by_the_event_that_answers_with_them() {
    let mut world = World::joined(&["a", "b"]);
    let before = world.log.len();
    world.sync(sync("a", 1, &[("a", "A"), ("b", "B")]));
    let GroupRecord::ClassicGroup { value: Some(value), .. } = &world.log[before] else { panic!() };
    let assigned: Vec<_> = value.members.iter().map(|member| member.assignment.to_vec()).collect();
    assert_eq!(assigned, [b"A", b"B"]);
    assert_eq!((value.generation, value.leader.as_deref()), (1, Some("a-1")));
}

#[test]
fn what_a_follower_brings_is_ignored() {
    let mut world = World::joined(&["a", "b"]);
    let follower = world.sync(sync("b", 1, &[("b", "everything")]));
    assert_eq!(world.told(follower), "waits");
    world.sync(sync("a", 1, &[("b", "B")]));
    assert_eq!(world.told(follower), "gets \"B\"");
}

#[test]
fn a_member_that_believes_in_another_protocol_is_refused() {
    let mut world = World::stable(&["a"]);
    let mut told = |request: SyncGroup| {
        let token = world.sync(request);
        world.told(token)
    };
    assert_eq!(told(SyncGroup { protocol_type: Some("connect".into()), ..sync("a", 1, &[]) }), "23");
    assert_eq!(told(SyncGroup { protocol: Some("sticky".into()), ..sync("a", 1, &[]) }), "23");
    assert_eq!(told(SyncGroup { protocol_type: None, protocol: None, ..sync("a", 1, &[]) }), "gets \"a\"");
}

#[test]
fn a_rebalance_sends_those_who_wait_for_their_assignment_back() {
    let mut world = World::joined(&["a", "b"]);
    let waiting = world.sync(sync("b", 1, &[]));
    world.join(join("n"));
    assert_eq!(world.told(waiting), "27");
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "27");
}

#[test]
fn members_that_never_sync_are_dropped_and_the_others_rebalance() {
    let mut world = World::joined(&["a", "b", "c"]);
    let leader = world.sync(sync("a", 1, &[("a", "A")]));
    assert_eq!(world.told(leader), "gets \"A\"");
    world.sync(sync("b", 1, &[]));
    for _ in 0..REBALANCE / 5_000 {
        assert_eq!(world.state("g"), Some(GroupState::Stable));
        for client in ["a", "b", "c"] {
            assert_eq!(world.heartbeat(heartbeat(client, 1)), "0");
        }
        world.pass(5_000);
    }
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
    assert_eq!(world.heartbeat(heartbeat("c", 1)), "25");
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "27");
    assert!(world.notes.contains(&Note::MemberExpired {
        group: "g".into(),
        member: "c-1".into(),
        reason: ExpiryReason::SyncTimeout
    }));
}

#[test]
fn a_leader_that_never_brings_assignments_is_replaced() {
    let mut world = World::joined(&["a", "b"]);
    let waiting = world.sync(sync("b", 1, &[]));
    for _ in 0..REBALANCE / 5_000 {
        assert_eq!(world.told(waiting), "waits");
        assert_eq!(world.heartbeat(heartbeat("a", 1)), "0");
        world.pass(5_000);
    }
    assert_eq!(world.told(waiting), "27");
    let token = world.join(rejoin("b"));
    assert_eq!(world.told(token), "gen 2 b-1 of b-1 leads b-1");
}

#[test]
fn a_leader_that_dies_before_it_assigns_is_replaced_after_its_session() {
    let mut world = World::joined(&["a", "b"]);
    let waiting = world.sync(sync("b", 1, &[]));
    world.pass(SESSION);
    assert_eq!(world.told(waiting), "27");
    let token = world.join(rejoin("b"));
    assert_eq!(world.told(token), "gen 2 b-1 of b-1 leads b-1");
}

#[test]
fn a_member_that_is_removed_while_it_waits_hears_of_it() {
    let mut world = World::joined(&["a", "b"]);
    let waiting = world.sync(sync("b", 1, &[]));
    world.leave(leave("b"));
    assert_eq!(world.told(waiting), "25");

    let mut world = World::stable(&["a", "b"]);
    let waiting = world.join(rejoin("a"));
    world.leave(leave("a"));
    assert_eq!(world.told(waiting), "25 \"\"");
}

/// Generations only rise, and what belongs to an old one is refused (G1, G3).
#[test]
fn an_old_generation_can_do_nothing() {
    let mut world = World::stable(&["a", "b"]);
    world.join(rejoin("a"));
    world.join(rejoin("b"));
    let mut world = world.and_sync(&["a", "b"], 2);
    assert_eq!(world.commit(commit("a", 1, 5)), "22");
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "22");
    let token = world.sync(sync("a", 1, &[("a", "stale")]));
    assert_eq!(world.told(token), "22");
    assert_eq!(world.commit(commit("a", 3, 5)), "22");
    assert_eq!(world.commit(commit("a", 2, 5)), "0");
}

#[test]
fn a_member_may_commit_while_others_join_but_not_before_it_has_its_new_assignment() {
    let mut world = World::stable(&["a", "b"]);
    world.join(join("n"));
    assert_eq!(world.commit(commit("a", 1, 5)), "0");
    world.join(rejoin("a"));
    world.join(rejoin("b"));
    assert_eq!(world.state("g"), Some(GroupState::CompletingRebalance));
    assert_eq!(world.commit(commit("a", 2, 6)), "27");
    let mut world = world.and_sync(&["a", "b", "n"], 2);
    assert_eq!(world.commit(commit("a", 2, 6)), "0");
}
