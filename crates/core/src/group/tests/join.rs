//! Joining: the initial delay, ids that are given out, elections, size.

use std::sync::Arc;

use eddy_types::Millis;

use super::clients::{
    REBALANCE, SESSION, commit, heartbeat, join, leave, protocol, rejoin, subscription, sync,
};
use super::world::{DELAY, World};
use crate::group::{
    ExpiryReason, GroupConfig, GroupState, JoinGroup, JoinReply, Note, Protocol, RebalanceReason, Reply,
};

#[test]
fn the_first_member_waits_for_others_and_each_newcomer_extends_the_wait() {
    let mut world = World::new();
    let first = world.join(join("a"));
    world.pass(DELAY - 1);
    let second = world.join(join("b"));
    world.pass(DELAY - 1);
    assert_eq!(world.told(first), "waits");
    world.pass(1);
    assert_eq!(world.told(first), "gen 1 a-1 of a-1 leads a-1,b-1");
    assert_eq!(world.told(second), "gen 1 b-1 of a-1");
}

#[test]
fn newcomers_extend_the_initial_wait_to_the_rebalance_timeout_at_most() {
    let mut world = World::new();
    let first = world.join(join("a"));
    let mut waited = 0;
    while world.waits(first) {
        world.join(join(&format!("n{waited}")));
        world.pass(1_000);
        waited += 1_000;
    }
    assert_eq!(waited, REBALANCE);
}

#[test]
fn without_an_initial_delay_the_first_tick_begins_the_generation() {
    let mut world = World::with(GroupConfig { initial_rebalance_delay: Millis(0), ..GroupConfig::default() });
    let token = world.join(join("a"));
    world.pass(0);
    assert_eq!(world.told(token), "gen 1 a-1 of a-1 leads a-1");
}

#[test]
fn a_dynamic_member_has_to_come_back_with_its_id() {
    let mut world = World::new();
    let token = world.join(JoinGroup { id_required: true, ..join("a") });
    assert_eq!(world.told(token), "79 \"a-1\"");
    let token = world.join(JoinGroup { id_required: true, ..rejoin("a") });
    world.pass(DELAY);
    assert_eq!(world.told(token), "gen 1 a-1 of a-1 leads a-1");
}

#[test]
fn an_id_that_does_not_come_back_is_forgotten_after_a_session() {
    let mut world = World::new();
    world.join(JoinGroup { id_required: true, ..join("a") });
    world.pass(SESSION);
    let token = world.join(rejoin("a"));
    assert_eq!(world.told(token), "25 \"a-1\"");
    assert!(world.notes.contains(&Note::MemberExpired {
        group: "g".into(),
        member: "a-1".into(),
        reason: ExpiryReason::PendingTimeout
    }));
}

#[test]
fn a_join_phase_waits_for_ids_that_were_given_out() {
    let mut world = World::stable(&["a"]);
    world.join(JoinGroup { id_required: true, ..join("n") });
    let leader = world.join(rejoin("a"));
    assert_eq!(world.told(leader), "waits");
    let newcomer = world.join(JoinGroup { id_required: true, ..rejoin("n") });
    assert_eq!(world.told(leader), "gen 2 a-1 of a-1 leads a-1,n-1");
    assert_eq!(world.told(newcomer), "gen 2 n-1 of a-1");
}

#[test]
fn an_id_that_was_given_out_may_leave() {
    let mut world = World::stable(&["a"]);
    world.join(JoinGroup { id_required: true, ..join("n") });
    let leader = world.join(rejoin("a"));
    assert_eq!(world.leave(leave("n")), "0[0]");
    assert_eq!(world.told(leader), "gen 2 a-1 of a-1 leads a-1");
}

#[test]
fn ids_that_never_come_back_are_limited() {
    let mut world = World::new();
    for client in 0..10_000 {
        world.shard.join_group(
            world.now,
            crate::group::ReplyToken(0),
            JoinGroup { id_required: true, ..join(&client.to_string()) },
            &mut Default::default(),
        );
    }
    let token = world.join(JoinGroup { id_required: true, ..join("one-more") });
    assert_eq!(world.told(token), "81 \"\"");
}

#[test]
fn the_protocol_of_most_votes_among_those_that_all_support_is_chosen() {
    let names = |names: &[&str]| names.iter().map(|name| protocol(name)).collect::<Vec<Protocol>>();
    let cases: &[(&[&[&str]], &str)] = &[
        (&[&["range"], &["range", "sticky"]], "range"),
        (&[&["sticky", "range"], &["sticky", "range"], &["range", "sticky"]], "sticky"),
        // Equal votes: the oldest member decides.
        (&[&["range", "sticky"], &["sticky", "range"]], "range"),
        (&[&["only-a", "range", "sticky"], &["sticky", "range"], &["sticky", "range"]], "sticky"),
        // A name that is given twice counts once.
        (&[&["range", "range", "sticky"], &["sticky"]], "sticky"),
    ];
    for (members, chosen) in cases {
        let mut world = World::new();
        let mut first = None;
        for (at, protocols) in members.iter().enumerate() {
            let token = world.join(JoinGroup { protocols: names(protocols), ..join(&at.to_string()) });
            first.get_or_insert(token);
        }
        world.pass(2 * DELAY);
        let Reply::Join(JoinReply::Joined(joined)) = world.reply(first.unwrap()) else {
            panic!("{members:?}")
        };
        assert_eq!(joined.protocol.as_deref(), Some(*chosen), "{members:?}");
    }
}

#[test]
fn what_members_say_reaches_the_leader_bit_for_bit() {
    let said: crate::group::Blob = (0..=255).collect::<Vec<u8>>().into();
    let mut world = World::new();
    let leader = world.join(join("a"));
    let protocols = vec![Protocol { name: "range".into(), metadata: Arc::clone(&said) }];
    world.join(JoinGroup { protocols, ..join("b") });
    world.pass(2 * DELAY);
    let Reply::Join(JoinReply::Joined(joined)) = world.reply(leader) else { panic!() };
    let told: Vec<_> = joined.members.into_iter().map(|member| member.metadata).collect();
    assert_eq!(told, [subscription("t"), said]);
}

#[test]
fn members_that_do_not_join_again_in_time_are_dropped() {
    let mut world = World::stable(&["a", "b", "c"]);
    let newcomer = world.join(join("n"));
    let follower = world.join(rejoin("b"));
    for _ in 0..REBALANCE / 5_000 {
        // `a` and `c` are alive, but do not come.
        assert_eq!(world.heartbeat(heartbeat("a", 1)), "27");
        assert_eq!(world.heartbeat(heartbeat("c", 1)), "27");
        world.pass(5_000);
    }
    assert_eq!(world.told(follower), "gen 2 b-1 of b-1 leads b-1,n-1");
    assert_eq!(world.told(newcomer), "gen 2 n-1 of b-1");
    assert_eq!(world.heartbeat(heartbeat("a", 2)), "25");
    assert!(world.notes.contains(&Note::MemberExpired {
        group: "g".into(),
        member: "a-1".into(),
        reason: ExpiryReason::RebalanceTimeout
    }));
}

#[test]
fn a_newcomer_whose_join_waits_for_too_long_is_dropped() {
    let mut world = World::stable(&["a"]);
    world.pass(SESSION / 2);
    world.join(JoinGroup { rebalance_timeout: Millis(20 * 60_000), ..rejoin("a") });
    // `a` is in generation 2 with a long rebalance timeout, and does not join the next one.
    let token = world.sync(sync("a", 2, &[]));
    assert_eq!(world.told(token), "gets \"\"");
    let newcomer = world.join(join("n"));
    for _ in 0..60 {
        assert_eq!(world.told(newcomer), "waits");
        assert_eq!(world.heartbeat(heartbeat("a", 2)), "27");
        world.pass(5_000);
    }
    assert_eq!(world.told(newcomer), "25 \"\"");
    assert!(world.notes.contains(&Note::MemberExpired {
        group: "g".into(),
        member: "n-1".into(),
        reason: ExpiryReason::NewMemberTimeout
    }));
}

#[test]
fn the_longest_standing_member_follows_a_leader_that_left() {
    let mut world = World::stable(&["a", "c", "b"]);
    assert_eq!(world.leave(leave("a")), "0[0]");
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
    let tokens = [world.join(rejoin("b")), world.join(rejoin("c"))];
    let told = tokens.map(|token| world.told(token));
    assert_eq!(told, ["gen 2 b-1 of c-1", "gen 2 c-1 of c-1 leads c-1,b-1"]);
}

#[test]
fn a_group_with_a_limit_takes_no_more_members() {
    let mut world = World::with(GroupConfig { size_max: 2, ..GroupConfig::default() });
    let tokens = ["a", "b", "c"].map(|client| world.join(join(client)));
    world.pass(2 * DELAY);
    let told = tokens.map(|token| world.told(token));
    assert_eq!(told, ["gen 1 a-1 of a-1 leads a-1,b-1", "gen 1 b-1 of a-1", "81 \"\""]);
    // Members of the generation may join again, others may not.
    let tokens = [world.join(join("c")), world.join(rejoin("b"))];
    let told = tokens.map(|token| world.told(token));
    assert_eq!(told, ["81 \"\"", "gen 1 b-1 of a-1"]);
}

#[test]
fn a_group_that_is_over_its_limit_when_loaded_shrinks_to_those_who_come_first() {
    let mut world = World::stable(&["a", "b", "c"]);
    world.shrink_groups_to(2);
    world.fail_over();
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
    assert!(
        world
            .notes
            .contains(&Note::RebalanceStarted { group: "g".into(), reason: RebalanceReason::OverCapacity })
    );
    let tokens = ["c", "b", "a"].map(|client| world.join(rejoin(client)));
    let told = tokens.map(|token| world.told(token));
    assert_eq!(told, ["gen 2 c-1 of b-1", "gen 2 b-1 of b-1 leads b-1,c-1", "81 \"\""]);
}

#[test]
fn a_rebalance_has_a_reason() {
    let mut world = World::stable(&["a", "b"]);
    let reasons = |world: &mut World| {
        let notes = std::mem::take(&mut world.notes);
        let reasons = notes.into_iter().filter_map(|note| match note {
            Note::RebalanceStarted { reason, .. } => Some(reason),
            _ => None,
        });
        reasons.collect::<Vec<_>>()
    };
    assert_eq!(reasons(&mut world), [RebalanceReason::Join]);
    world.join(rejoin("a"));
    assert_eq!(reasons(&mut world), [RebalanceReason::LeaderRejoin]);
    world.join(rejoin("b"));
    assert_eq!(reasons(&mut world), []);
    let mut world = world.and_sync(&["a", "b"], 2);
    world.leave(leave("b"));
    assert_eq!(reasons(&mut world), [RebalanceReason::Leave]);
    let token = world.join(rejoin("a"));
    assert_eq!(world.told(token), "gen 3 a-1 of a-1 leads a-1");
    let mut world = world.and_sync(&["a"], 3);
    world.pass(SESSION);
    assert_eq!(reasons(&mut world), [RebalanceReason::SessionTimeout]);
    assert_eq!(world.state("g"), Some(GroupState::Empty));
}

#[test]
fn members_keep_their_sessions_by_heartbeats_and_commits() {
    let mut world = World::stable(&["a", "b"]);
    for _ in 0..10 {
        world.pass(SESSION - 1);
        assert_eq!(world.heartbeat(heartbeat("a", 1)), "0");
        assert_eq!(world.commit(commit("b", 1, 7)), "0");
    }
    assert_eq!(world.state("g"), Some(GroupState::Stable));
    world.pass(SESSION - 1);
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "0");
    world.pass(1);
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "25");
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "27");
}

#[test]
fn a_member_that_waits_needs_no_heartbeats() {
    let mut world = World::stable(&["a", "b"]);
    let waiting = world.join(rejoin("a"));
    for _ in 0..5 {
        world.pass(SESSION - 1);
        assert_eq!(world.heartbeat(heartbeat("b", 1)), "27");
    }
    world.join(rejoin("b"));
    assert_eq!(world.told(waiting), "gen 2 a-1 of a-1 leads a-1,b-1");
}
