//! Every request in every state of a classic group.

use std::fmt::Write;

use expect_test::expect;

use super::clients::{commit, fetch, heartbeat, join, leave, protocol, rejoin, sync};
use super::world::World;
use crate::group::{DeleteOffsets, JoinGroup, JoinReply, Reply, ReplyToken};

/// A group in a state, with the members `a` (it leads) and `b` where there are any.
fn group_in(state: &str) -> World {
    match state {
        "none" => World::new(),
        "Empty" => {
            let mut world = World::stable(&["a"]);
            world.leave(leave("a"));
            world
        }
        // `b` has not joined again yet, nor `a`.
        "Preparing" => {
            let mut world = World::stable(&["a", "b"]);
            world.join(join("c"));
            world
        }
        "Completing" => World::joined(&["a", "b"]),
        "Stable" => World::stable(&["a", "b"]),
        other => panic!("no state {other}"),
    }
}

type Event = fn(&mut World) -> String;

fn told_join(world: &mut World, request: JoinGroup) -> String {
    let token = world.join(request);
    world.told(token)
}

fn told_sync(world: &mut World, client: &str, generation: i32, assignments: &[(&str, &str)]) -> String {
    let token = world.sync(sync(client, generation, assignments));
    world.told(token)
}

const EVENTS: &[(&str, Event)] = &[
    ("join, new, v3", |world| told_join(world, join("n"))),
    ("join, new, v4+", |world| told_join(world, JoinGroup { id_required: true, ..join("n") })),
    ("join, unknown id", |world| told_join(world, rejoin("x"))),
    ("join, leader as before", |world| told_join(world, rejoin("a"))),
    ("join, follower as before", |world| told_join(world, rejoin("b"))),
    ("join, follower changed", |world| {
        let protocols = vec![protocol("range"), protocol("other")];
        told_join(world, JoinGroup { protocols, ..rejoin("b") })
    }),
    ("join, leader changed", |world| {
        let protocols = vec![protocol("range"), protocol("other")];
        told_join(world, JoinGroup { protocols, ..rejoin("a") })
    }),
    ("join, other type", |world| {
        told_join(world, JoinGroup { protocol_type: "connect".into(), ..join("n") })
    }),
    ("join, no common protocol", |world| {
        told_join(world, JoinGroup { protocols: vec![protocol("sticky")], ..join("n") })
    }),
    ("join, no protocols", |world| told_join(world, JoinGroup { protocols: vec![], ..join("n") })),
    ("sync, leader", |world| told_sync(world, "a", 1, &[("a", "A"), ("b", "B")])),
    ("sync, follower", |world| told_sync(world, "b", 1, &[])),
    ("sync, old generation", |world| told_sync(world, "b", 0, &[])),
    ("sync, unknown id", |world| told_sync(world, "x", 1, &[])),
    ("heartbeat", |world| world.heartbeat(heartbeat("a", 1))),
    ("heartbeat, old generation", |world| world.heartbeat(heartbeat("a", 0))),
    ("heartbeat, unknown id", |world| world.heartbeat(heartbeat("x", 1))),
    ("leave", |world| world.leave(leave("b"))),
    ("leave, unknown id", |world| world.leave(leave("x"))),
    ("commit", |world| world.commit(commit("a", 1, 5))),
    ("commit, old generation", |world| world.commit(commit("a", 0, 5))),
    ("commit, unknown id", |world| world.commit(commit("x", 1, 5))),
    ("commit, generation -1", |world| world.commit(commit("a", -1, 5))),
    ("commit, no member", |world| world.commit(commit("", -1, 5))),
    ("fetch", |world| world.fetch(fetch("g"))),
    ("delete offsets", |world| {
        let request = DeleteOffsets { group: "g".into(), topics: vec![("t".into(), vec![0])] };
        super::world::brief(&world.answer(|shard, _, token, out| shard.delete_offsets(token, request, out)))
    }),
    ("delete group", |world| world.delete("g")),
    ("describe", |world| {
        super::world::brief(&world.answer(|shard, _, token, out| shard.describe_group(token, "g", out)))
    }),
];

#[test]
fn each_request_is_answered_by_the_state_of_the_group() {
    let mut table = String::new();
    for (name, event) in EVENTS {
        writeln!(table, "{name}").unwrap();
        for state in ["none", "Empty", "Preparing", "Completing", "Stable"] {
            let mut world = group_in(state);
            let told = event(&mut world);
            let after = world.state("g").map_or("none".to_owned(), |state| state.to_string());
            writeln!(table, "  {state:<11} {told:<28} -> {after}").unwrap();
        }
    }
    expect![[r#"
        join, new, v3
          none        waits                        -> PreparingRebalance
          Empty       waits                        -> PreparingRebalance
          Preparing   waits                        -> PreparingRebalance
          Completing  waits                        -> PreparingRebalance
          Stable      waits                        -> PreparingRebalance
        join, new, v4+
          none        79 "n-1"                     -> Empty
          Empty       79 "n-1"                     -> Empty
          Preparing   79 "n-1"                     -> PreparingRebalance
          Completing  79 "n-1"                     -> CompletingRebalance
          Stable      79 "n-1"                     -> Stable
        join, unknown id
          none        25 "x-1"                     -> none
          Empty       25 "x-1"                     -> Empty
          Preparing   25 "x-1"                     -> PreparingRebalance
          Completing  25 "x-1"                     -> CompletingRebalance
          Stable      25 "x-1"                     -> Stable
        join, leader as before
          none        25 "a-1"                     -> none
          Empty       25 "a-1"                     -> Empty
          Preparing   waits                        -> PreparingRebalance
          Completing  gen 1 a-1 of a-1 leads a-1,b-1 -> CompletingRebalance
          Stable      waits                        -> PreparingRebalance
        join, follower as before
          none        25 "b-1"                     -> none
          Empty       25 "b-1"                     -> Empty
          Preparing   waits                        -> PreparingRebalance
          Completing  gen 1 b-1 of a-1             -> CompletingRebalance
          Stable      gen 1 b-1 of a-1             -> Stable
        join, follower changed
          none        25 "b-1"                     -> none
          Empty       25 "b-1"                     -> Empty
          Preparing   waits                        -> PreparingRebalance
          Completing  waits                        -> PreparingRebalance
          Stable      waits                        -> PreparingRebalance
        join, leader changed
          none        25 "a-1"                     -> none
          Empty       25 "a-1"                     -> Empty
          Preparing   waits                        -> PreparingRebalance
          Completing  waits                        -> PreparingRebalance
          Stable      waits                        -> PreparingRebalance
        join, other type
          none        waits                        -> PreparingRebalance
          Empty       waits                        -> PreparingRebalance
          Preparing   23 ""                        -> PreparingRebalance
          Completing  23 ""                        -> CompletingRebalance
          Stable      23 ""                        -> Stable
        join, no common protocol
          none        waits                        -> PreparingRebalance
          Empty       waits                        -> PreparingRebalance
          Preparing   23 ""                        -> PreparingRebalance
          Completing  23 ""                        -> CompletingRebalance
          Stable      23 ""                        -> Stable
        join, no protocols
          none        23 ""                        -> Empty
          Empty       23 ""                        -> Empty
          Preparing   23 ""                        -> PreparingRebalance
          Completing  23 ""                        -> CompletingRebalance
          Stable      23 ""                        -> Stable
        sync, leader
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   27                           -> PreparingRebalance
          Completing  gets "A"                     -> Stable
          Stable      gets "a"                     -> Stable
        sync, follower
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   27                           -> PreparingRebalance
          Completing  waits                        -> CompletingRebalance
          Stable      gets "b"                     -> Stable
        sync, old generation
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   22                           -> PreparingRebalance
          Completing  22                           -> CompletingRebalance
          Stable      22                           -> Stable
        sync, unknown id
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   25                           -> PreparingRebalance
          Completing  25                           -> CompletingRebalance
          Stable      25                           -> Stable
        heartbeat
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   27                           -> PreparingRebalance
          Completing  0                            -> CompletingRebalance
          Stable      0                            -> Stable
        heartbeat, old generation
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   22                           -> PreparingRebalance
          Completing  22                           -> CompletingRebalance
          Stable      22                           -> Stable
        heartbeat, unknown id
          none        25                           -> none
          Empty       25                           -> Empty
          Preparing   25                           -> PreparingRebalance
          Completing  25                           -> CompletingRebalance
          Stable      25                           -> Stable
        leave
          none        0[25]                        -> none
          Empty       0[25]                        -> Empty
          Preparing   0[0]                         -> PreparingRebalance
          Completing  0[0]                         -> PreparingRebalance
          Stable      0[0]                         -> PreparingRebalance
        leave, unknown id
          none        0[25]                        -> none
          Empty       0[25]                        -> Empty
          Preparing   0[25]                        -> PreparingRebalance
          Completing  0[25]                        -> CompletingRebalance
          Stable      0[25]                        -> Stable
        commit
          none        69                           -> none
          Empty       25                           -> Empty
          Preparing   0                            -> PreparingRebalance
          Completing  27                           -> CompletingRebalance
          Stable      0                            -> Stable
        commit, old generation
          none        69                           -> none
          Empty       25                           -> Empty
          Preparing   22                           -> PreparingRebalance
          Completing  22                           -> CompletingRebalance
          Stable      22                           -> Stable
        commit, unknown id
          none        69                           -> none
          Empty       25                           -> Empty
          Preparing   25                           -> PreparingRebalance
          Completing  25                           -> CompletingRebalance
          Stable      25                           -> Stable
        commit, generation -1
          none        0                            -> Empty
          Empty       0                            -> Empty
          Preparing   22                           -> PreparingRebalance
          Completing  22                           -> CompletingRebalance
          Stable      22                           -> Stable
        commit, no member
          none        0                            -> Empty
          Empty       0                            -> Empty
          Preparing   25                           -> PreparingRebalance
          Completing  25                           -> CompletingRebalance
          Stable      25                           -> Stable
        fetch
          none                                     -> none
          Empty                                    -> Empty
          Preparing                                -> PreparingRebalance
          Completing                               -> CompletingRebalance
          Stable                                   -> Stable
        delete offsets
          none        69                           -> none
          Empty       0                            -> Empty
          Preparing   86                           -> PreparingRebalance
          Completing  86                           -> CompletingRebalance
          Stable      86                           -> Stable
        delete group
          none        69                           -> none
          Empty       0                            -> none
          Preparing   68                           -> PreparingRebalance
          Completing  68                           -> CompletingRebalance
          Stable      68                           -> Stable
        describe
          none        69                           -> none
          Empty       Empty with 0                 -> Empty
          Preparing   PreparingRebalance with 3    -> PreparingRebalance
          Completing  CompletingRebalance with 2   -> CompletingRebalance
          Stable      Stable with 2                -> Stable
    "#]]
    .assert_eq(&table);
}

/// In each state the clients die without a word: in the end nothing is left of the group, its timers or its requests.
#[test]
fn members_that_vanish_in_any_state_leave_nothing_behind() {
    for (name, event) in EVENTS {
        for state in ["none", "Empty", "Preparing", "Completing", "Stable"] {
            let mut world = group_in(state);
            event(&mut world);
            world.pass(10 * 24 * 3_600_000);
            assert_eq!(world.state("g"), None, "{name} in {state}");
            assert_eq!(world.waiting(), 0, "{name} in {state}");
        }
    }
}

/// A request that the client gave up on is answered when it is replaced: no token is held for ever.
#[test]
fn a_request_that_is_sent_again_replaces_the_one_that_waits() {
    let mut world = group_in("Preparing");
    let first = world.join(rejoin("a"));
    let second = world.join(rejoin("a"));
    assert_eq!(world.told(first), "27 \"a-1\"");
    assert_eq!(world.told(second), "waits");

    let mut world = group_in("Completing");
    let first = world.sync(sync("b", 1, &[]));
    let second = world.sync(sync("b", 1, &[]));
    assert_eq!(world.told(first), "27");
    let tokens: Vec<ReplyToken> = vec![second, world.sync(sync("a", 1, &[("b", "B")]))];
    let told: Vec<String> = tokens.into_iter().map(|token| world.told(token)).collect();
    assert_eq!(told, ["gets \"B\"", "gets \"\""]);
}

#[test]
fn no_member_has_an_empty_group_id() {
    let mut world = World::new();
    let group: crate::group::Str = "".into();
    let mut told = vec![told_join(&mut world, JoinGroup { group: group.clone(), ..join("a") })];
    let token = world.sync(crate::group::SyncGroup { group: group.clone(), ..sync("a", 1, &[]) });
    told.push(world.told(token));
    told.push(world.heartbeat(crate::group::Heartbeat { group: group.clone(), ..heartbeat("a", 1) }));
    told.push(world.leave(crate::group::LeaveGroup { group: group.clone(), ..leave("a") }));
    let request = DeleteOffsets { group: group.clone(), topics: vec![] };
    told.push(super::world::brief(
        &world.answer(|shard, _, token, out| shard.delete_offsets(token, request, out)),
    ));
    assert_eq!(told, ["24 \"\"", "24", "24", "24[]", "24"]);
    // Clients without membership may, and Kafka goes on serving them.
    assert_eq!(world.commit(crate::group::CommitOffsets { group, ..commit("", -1, 5) }), "0");
    assert_eq!(world.fetch(fetch("")), "5");
    assert_eq!(world.delete(""), "0");
}

#[test]
fn session_timeouts_outside_the_limits_are_refused() {
    for timeout in [i64::from(i32::MIN), -1, 0, 5_999, 1_800_001, i64::from(i32::MAX)] {
        let mut world = World::new();
        let session_timeout = eddy_types::Millis(timeout);
        let reply = world.answer(|shard, now, token, out| {
            shard.join_group(now, token, JoinGroup { session_timeout, ..join("a") }, out)
        });
        let error = eddy_types::ErrorCode::InvalidSessionTimeout;
        assert_eq!(reply, Reply::Join(JoinReply::Failed { error, member: "".into() }), "{timeout}");
        assert_eq!(world.list(), "");
    }
}

#[test]
fn absurd_rebalance_timeouts_end_like_any() {
    for timeout in [i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)] {
        let rebalance_timeout = eddy_types::Millis(timeout);
        let mut world = World::new();
        let token = world.join(JoinGroup { rebalance_timeout, ..join("a") });
        world.pass(super::world::DELAY);
        assert_eq!(world.told(token), "gen 1 a-1 of a-1 leads a-1", "{timeout}");
        world.pass(super::clients::SESSION);
        assert_eq!(world.state("g"), Some(crate::group::GroupState::Empty), "{timeout}");
    }
}
