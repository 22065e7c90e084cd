//! Another coordinator takes over (R-3.63, G5).

use super::clients::{SESSION, commit, fetch, heartbeat, join, join_static, leave, rejoin, sync};
use super::world::World;
use crate::group::{ClassicMemberValue, GroupRecord, GroupState};

#[test]
fn members_live_on_with_their_ids_their_generation_and_a_whole_session() {
    let mut world = World::stable(&["a", "b"]);
    world.commit(commit("a", 1, 5));
    world.pass(SESSION - 1);
    world.fail_over();
    world.pass(SESSION - 1);
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "0");
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "0");
    let token = world.sync(sync("b", 1, &[]));
    assert_eq!(world.told(token), "gets \"b\"");
    assert_eq!(world.commit(commit("b", 1, 6)), "0");
    assert_eq!(world.fetch(fetch("g")), "6");
    world.pass(SESSION);
    assert_eq!(world.state("g"), Some(GroupState::Empty));
}

#[test]
fn a_rebalance_under_way_is_forgotten_and_begun_again_by_who_took_part() {
    let mut world = World::stable(&["a", "b"]);
    world.join(join("n"));
    world.join(rejoin("a"));
    world.fail_over();
    assert_eq!(world.state("g"), Some(GroupState::Stable));
    // `n` was given its id in the join that was never answered; `a` sends its request again.
    let leader = world.join(rejoin("a"));
    let newcomer = world.join(join("n"));
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "27");
    world.join(rejoin("b"));
    assert_eq!(world.told(leader), "gen 2 a-1 of a-1 leads a-1,b-1,n-1");
    assert_eq!(world.told(newcomer), "gen 2 n-1 of a-1");
}

#[test]
fn a_generation_that_got_no_assignments_is_begun_again() {
    let mut world = World::stable(&["a", "b"]);
    world.join(rejoin("a"));
    world.join(rejoin("b"));
    assert_eq!(world.state("g"), Some(GroupState::CompletingRebalance));
    world.fail_over();
    let token = world.sync(sync("a", 2, &[("a", "A")]));
    assert_eq!(world.told(token), "22");
    assert_eq!(world.commit(commit("a", 2, 5)), "22");
}

#[test]
fn a_group_whose_members_left_is_empty_in_its_last_generation() {
    let mut world = World::stable(&["a"]);
    world.leave(leave("a"));
    world.fail_over();
    let world = world.and_join(vec![join("b")]);
    let world = world.and_sync(&["b"], 3);
    world.compacted_log_agrees();
}

#[test]
fn the_order_of_joining_outlives_the_coordinator() {
    let mut world = World::stable(&["c", "b", "a"]);
    world.fail_over();
    world.leave(leave("c"));
    let tokens = [world.join(rejoin("a")), world.join(rejoin("b"))];
    let told = tokens.map(|token| world.told(token));
    assert_eq!(told, ["gen 2 a-1 of b-1", "gen 2 b-1 of b-1 leads b-1,a-1"]);
}

/// No coordinator writes such a record, but a shard that reads one must not count wrong.
#[test]
fn of_members_that_a_record_names_twice_the_last_counts() {
    let mut world =
        World::new().and_join(vec![join_static("a", "i"), join_static("b", "j")]).and_sync(&["a", "b"], 1);
    let Some(GroupRecord::ClassicGroup { value: Some(value), .. }) = world.log.last_mut() else { panic!() };
    value.members[1].instance = Some("i".into());
    let twice = ClassicMemberValue { instance: None, ..value.members[1].clone() };
    value.members.push(twice);
    world.fail_over();
    assert_eq!(world.heartbeat(heartbeat("a", 1)), "25");
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "0");
}
