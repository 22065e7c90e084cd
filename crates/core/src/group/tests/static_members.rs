//! Static members (KIP-345, R-3.52).

use eddy_types::Millis;

use super::clients::{SESSION, commit, heartbeat, join_static, leave_static, protocol, sync};
use super::world::{DELAY, World};
use crate::group::{GroupState, Heartbeat, JoinGroup, LeaveGroup, LeavingMember, SyncGroup};

/// Members `a-1` (named `i`, it leads) and `b-1` (named `j`), stable in generation 1.
fn stable() -> World {
    World::new().and_join(vec![join_static("a", "i"), join_static("b", "j")]).and_sync(&["a", "b"], 1)
}

#[test]
fn a_static_member_gets_its_id_at_once() {
    let mut world = World::new();
    let token = world.join(JoinGroup { id_required: true, ..join_static("a", "i") });
    world.pass(DELAY);
    assert_eq!(world.told(token), "gen 1 a-1 of a-1 leads a-1");
}

#[test]
fn a_static_follower_that_restarts_keeps_its_place_and_its_assignment() {
    let mut world = stable();
    let token = world.join(JoinGroup { new_member: "b-2".into(), ..join_static("b", "j") });
    assert_eq!(world.told(token), "gen 1 b-2 of a-1");
    assert_eq!(world.state("g"), Some(GroupState::Stable));
    let token = world.sync(SyncGroup { member: "b-2".into(), ..sync("b", 1, &[]) });
    assert_eq!(world.told(token), "gets \"b\"");
}

#[test]
fn a_static_leader_that_restarts_need_not_assign() {
    let mut world = stable();
    let token = world.join(JoinGroup { new_member: "a-2".into(), ..join_static("a", "i") });
    assert_eq!(world.told(token), "gen 1 a-2 of a-2 leads b-1,a-2 skips");
    let token = world.sync(SyncGroup { member: "a-2".into(), ..sync("a", 1, &[]) });
    assert_eq!(world.told(token), "gets \"a\"");
}

#[test]
fn a_static_leader_that_cannot_skip_the_assignment_does_not_learn_that_it_leads() {
    let mut world = stable();
    let restarted =
        JoinGroup { new_member: "a-2".into(), can_skip_assignment: false, ..join_static("a", "i") };
    let token = world.join(restarted);
    assert_eq!(world.told(token), "gen 1 a-2 of a-1");
}

#[test]
fn a_static_member_comes_back_to_a_full_group() {
    let config = crate::group::GroupConfig { size_max: 2, ..Default::default() };
    let requests = vec![join_static("a", "i"), join_static("b", "j")];
    let mut world = World::with(config).and_join(requests).and_sync(&["a", "b"], 1);
    let token = world.join(JoinGroup { new_member: "b-2".into(), ..join_static("b", "j") });
    assert_eq!(world.told(token), "gen 1 b-2 of a-1");
    let token = world.join(join_static("c", "k"));
    assert_eq!(world.told(token), "81 \"\"");
}

#[test]
fn the_former_owner_of_a_static_name_is_fenced() {
    let mut world = stable();
    world.join(JoinGroup { new_member: "b-2".into(), ..join_static("b", "j") });
    let instance = Some("j".into());
    assert_eq!(world.heartbeat(Heartbeat { instance: instance.clone(), ..heartbeat("b", 1) }), "82");
    let token = world.sync(SyncGroup { instance: instance.clone(), ..sync("b", 1, &[]) });
    assert_eq!(world.told(token), "82");
    let token = world.join(JoinGroup { member: "b-1".into(), ..join_static("b", "j") });
    assert_eq!(world.told(token), "82 \"b-1\"");
    let member = LeavingMember { member: "b-1".into(), instance: instance.clone() };
    assert_eq!(world.leave(LeaveGroup { group: "g".into(), members: vec![member] }), "0[82]");
    let fenced = crate::group::CommitOffsets { instance, ..commit("b", 1, 1) };
    assert_eq!(world.commit(fenced), "82");
    // A zombie that does not say its name is no member.
    assert_eq!(world.heartbeat(heartbeat("b", 1)), "25");
}

#[test]
fn two_that_join_under_one_static_name_fence_each_other_while_they_wait() {
    let mut world = World::new();
    let first = world.join(join_static("a", "i"));
    let second = world.join(JoinGroup { new_member: "a-2".into(), ..join_static("a", "i") });
    assert_eq!(world.told(first), "82 \"a-1\"");
    world.pass(DELAY);
    assert_eq!(world.told(second), "gen 1 a-2 of a-2 leads a-2");

    let mut world = World::new().and_join(vec![join_static("a", "i"), join_static("b", "j")]);
    let waiting = world.sync(sync("b", 1, &[]));
    world.join(JoinGroup { new_member: "b-2".into(), ..join_static("b", "j") });
    assert_eq!(world.told(waiting), "82");
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
}

#[test]
fn a_static_member_with_other_wishes_starts_a_rebalance_only_if_they_change_the_protocol() {
    let mut world = stable();
    let protocols = vec![protocol("sticky"), protocol("range")];
    let token = world.join(JoinGroup { new_member: "b-2".into(), protocols, ..join_static("b", "j") });
    assert_eq!(world.told(token), "gen 1 b-2 of a-1");

    let both = || vec![protocol("range"), protocol("sticky")];
    let mut world = World::new()
        .and_join(vec![
            JoinGroup { protocols: both(), ..join_static("a", "i") },
            JoinGroup { protocols: both(), ..join_static("b", "j") },
        ])
        .and_sync(&["a", "b"], 1);
    let protocols = vec![protocol("sticky")];
    let token = world.join(JoinGroup { new_member: "b-2".into(), protocols, ..join_static("b", "j") });
    assert_eq!(world.told(token), "waits");
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
}

#[test]
fn absent_static_members_keep_their_place_until_their_session_ends() {
    let mut world = stable();
    let long =
        JoinGroup { session_timeout: Millis(120_000), new_member: "b-2".into(), ..join_static("b", "j") };
    world.join(long);
    let leader = world.join(JoinGroup { member: "a-1".into(), ..join_static("a", "i") });
    world.pass(60_000);
    // The rebalance goes on without `b-2`, which is still assigned to.
    assert_eq!(world.told(leader), "gen 2 a-1 of a-1 leads a-1,b-2");
}

#[test]
fn a_join_phase_with_absent_static_members_alone_goes_on_and_ends_with_their_sessions() {
    for rebalance_timeout in [i64::from(i32::MIN), 0, 5_000] {
        let request = |client: &str, instance: &str| JoinGroup {
            rebalance_timeout: Millis(rebalance_timeout),
            session_timeout: Millis(60_000),
            ..join_static(client, instance)
        };
        let mut world = World::new();
        world.join(request("a", "i"));
        world.join(request("b", "j"));
        world.pass(2 * DELAY);
        let mut ticks = 0;
        while world.state("g") != Some(GroupState::Empty) {
            world.pass(100);
            ticks += 1;
            assert!(ticks < 2_000, "rebalance timeout {rebalance_timeout}");
        }
    }
}

#[test]
fn an_administrator_removes_a_static_member_by_its_name() {
    let mut world = stable();
    assert_eq!(world.leave(leave_static("nobody")), "0[25]");
    assert_eq!(world.leave(leave_static("j")), "0[0]");
    assert_eq!(world.state("g"), Some(GroupState::PreparingRebalance));
    assert_eq!(world.heartbeat(Heartbeat { instance: Some("j".into()), ..heartbeat("b", 1) }), "25");
}

#[test]
fn several_members_leave_with_one_rebalance_and_a_code_each() {
    let mut world = stable();
    let member = |member: &str, instance: Option<&str>| LeavingMember {
        member: member.into(),
        instance: instance.map(Into::into),
    };
    let members = vec![
        member("a-1", None),
        member("", Some("j")),
        member("x", None),
        member("a-1", Some("i")),
        member("", None),
    ];
    assert_eq!(world.leave(LeaveGroup { group: "g".into(), members }), "0[0,0,25,25,25]");
    assert_eq!(world.state("g"), Some(GroupState::Empty));
}

#[test]
fn a_static_name_survives_the_coordinator() {
    let mut world = stable();
    world.join(JoinGroup { new_member: "b-2".into(), ..join_static("b", "j") });
    world.fail_over();
    assert_eq!(world.heartbeat(Heartbeat { instance: Some("j".into()), ..heartbeat("b", 1) }), "82");
    let alive = Heartbeat { member: "b-2".into(), instance: Some("j".into()), ..heartbeat("b", 1) };
    assert_eq!(world.heartbeat(alive), "0");
    world.pass(SESSION);
    assert_eq!(world.state("g"), Some(GroupState::Empty));
}
