//! Another coordinator takes over (R-3.63, G5).

use super::clients::{SESSION, commit, fetch, heartbeat, join, leave, rejoin, sync};
use super::world::World;
use crate::group::GroupState;

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
