//! Classic members in consumer groups, and groups that change their type.

use eddy_types::ErrorCode;
use expect_test::expect;

use super::story::{play, story};
use super::{World, join};
use crate::group::{ConsumerGroupError, MigrationPolicy};

#[test]
fn a_classic_group_with_members_becomes_a_consumer_group() {
    story(
        "topic a 4
         c1 Join a id=
         wait 3000
         c1 Sync assign=c1-1:a0,a1,a2,a3
         show
         m1 join a
         show
         c1 Beat
         c1 Join a
         c1 Sync
         m1 beat
         c1 Join a
         c1 Sync
         m1 beat
         c1 Beat
         show",
        &expect![[r#"
            topic a 4
            c1 Join a id=
            wait 3000 -> c1: generation 1 leads
            c1 Sync assign=c1-1:a0,a1,a2,a3 -> c1: [a0 a1 a2 a3]
            show -> classic Stable c1-1
            m1 join a -> epoch 2 []
            show -> Reconciling 2/2 uniform; c1-1 1 [a0 a1 a2 a3] shall [a0 a1]; m1 2 [] shall [a2 a3]
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 1
            c1 Sync -> c1: [a0 a1]
            m1 beat -> epoch 2
            c1 Join a -> c1: generation 2
            c1 Sync -> c1: [a0 a1]
            m1 beat -> epoch 2 [a2 a3]
            c1 Beat -> c1: NONE
            show -> Stable 2/2 uniform; c1-1 2 [a0 a1]; m1 2 [a2 a3]
        "#]],
    );
}

#[test]
fn a_partition_that_a_leader_gave_to_two_stays_with_one() {
    story(
        "topic a 2
         c1 Join a id=
         c2 Join a id=
         wait 3000
         c1 Sync assign=c1-1:a0,a1;c2-1:a1
         c2 Sync
         m1 join b
         show",
        &expect![[r#"
            topic a 2
            c1 Join a id=
            c2 Join a id=
            wait 3000 -> c1: generation 1 leads, c2: generation 1
            c1 Sync assign=c1-1:a0,a1;c2-1:a1 -> c1: [a0 a1]
            c2 Sync -> c2: [a1]
            m1 join b -> epoch 2 []
            show -> Reconciling 2/2 uniform; c1-1 1 [a0 a1] shall [a0]; c2-1 1 [] shall [a1]; m1 2 []
        "#]],
    );
}

#[test]
fn a_classic_member_that_subscribes_to_something_else_gives_back_first() {
    story(
        "topic a 2
         m1 join b
         wait 2000
         c1 Join a id=
         c1 Sync
         c1 Join c
         c1 Sync
         c1 Beat
         c1 Join c
         c1 Sync
         c1 Beat
         show",
        &expect![[r#"
            topic a 2
            m1 join b -> epoch 2 []
            wait 2000
            c1 Join a id= -> c1: generation 3
            c1 Sync -> c1: [a0 a1]
            c1 Join c -> c1: generation 3
            c1 Sync -> c1: []
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            c1 Join c -> c1: generation 3
            c1 Sync -> c1: []
            c1 Beat -> c1: NONE
            show -> Assigning 4/3 uniform; c1-1 3 [] shall [a0 a1]; m1 2 []
        "#]],
    );
}

#[test]
fn those_who_wait_in_a_classic_group_are_told_to_join_again() {
    story(
        "topic a 2
         c1 Join a id=
         m1 join a
         c1 Join a
         show
         c1 Sync
         show",
        &expect![[r#"
            topic a 2
            c1 Join a id=
            m1 join a -> epoch 1 [a1], c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 1
            show -> Stable 1/1 uniform; c1-1 1 [a0]; m1 1 [a1]
            c1 Sync -> c1: [a0]
            show -> Stable 1/1 uniform; c1-1 1 [a0]; m1 1 [a1]
        "#]],
    );
}

#[test]
fn a_classic_member_joins_a_consumer_group() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         c1 Sync
         c1 Beat
         m1 beat
         c1 Beat
         m1 ack
         c1 Beat
         c1 Join a
         c1 Sync
         c1 Beat
         show
         c1 Sync generation=2
         c1 Sync protocols=sticky
         c1 Beat generation=7
         c1 Beat id=x
         m1 Beat
         c1 Join a protocols=sticky",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            c1 Sync -> c1: []
            c1 Beat -> c1: NONE
            m1 beat -> epoch 2 [a0]
            c1 Beat -> c1: NONE
            m1 ack -> epoch 3
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 3
            c1 Sync -> c1: [a1]
            c1 Beat -> c1: NONE
            show -> Stable 3/3 uniform; c1-1 3 [a1]; m1 3 [a0]
            c1 Sync generation=2 -> c1: ILLEGAL_GENERATION
            c1 Sync protocols=sticky -> c1: INCONSISTENT_GROUP_PROTOCOL
            c1 Beat generation=7 -> c1: ILLEGAL_GENERATION
            c1 Beat id=x -> c1: UNKNOWN_MEMBER_ID
            m1 Beat -> m1: UNKNOWN_MEMBER_ID
            c1 Join a protocols=sticky -> c1: INCONSISTENT_GROUP_PROTOCOL
        "#]],
    );
}

#[test]
fn the_last_consumer_that_leaves_makes_the_group_classic() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         m1 beat
         m1 ack
         c1 Join a
         c1 Sync
         m1 leave
         show
         c1 Beat
         c1 Join a
         c1 Sync assign=c1-1:a0,a1
         restart
         c1 Beat
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            m1 beat -> epoch 2 [a0]
            m1 ack -> epoch 3
            c1 Join a -> c1: generation 3
            c1 Sync -> c1: [a1]
            m1 leave -> epoch -1
            show -> classic PreparingRebalance c1-1
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 4 leads
            c1 Sync assign=c1-1:a0,a1 -> c1: [a0 a1]
            restart
            c1 Beat -> c1: NONE
            show -> classic Stable c1-1
        "#]],
    );
}

#[test]
fn the_last_consumer_that_vanishes_makes_the_group_classic() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         c1 Sync
         wait 30000
         c1 Beat
         wait 13000
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            c1 Sync -> c1: []
            wait 30000
            c1 Beat -> c1: NONE
            wait 13000 -> m1 SessionTimeout
            show -> classic PreparingRebalance c1-1
        "#]],
    );
}

#[test]
fn a_static_consumer_that_comes_back_as_a_classic_member_makes_the_group_classic() {
    story(
        "topic a 2
         m1 join a instance=i1
         wait 2000
         c1 Join a id= instance=i1
         show
         c1 Sync
         c1 Beat
         show
         m1 beat instance=i1",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= instance=i1 -> c1: generation 2
            show -> classic Stable c1-1
            c1 Sync -> c1: [a0 a1]
            c1 Beat -> c1: NONE
            show -> classic Stable c1-1
            m1 beat instance=i1 -> GROUP_ID_NOT_FOUND
        "#]],
    );
}

#[test]
fn a_static_classic_member_comes_back_as_a_consumer_with_its_partitions() {
    story(
        "topic a 2
         c1 Join a id= instance=i1
         wait 3000
         c1 Sync assign=c1-1:a0,a1
         m1 join a instance=i1
         show
         c1 Beat",
        &expect![[r#"
            topic a 2
            c1 Join a id= instance=i1
            wait 3000 -> c1: generation 1 leads
            c1 Sync assign=c1-1:a0,a1 -> c1: [a0 a1]
            m1 join a instance=i1 -> epoch 1 [a0 a1]
            show -> Stable 1/1 uniform; m1 1 [a0 a1]
            c1 Beat -> c1: FENCED_INSTANCE_ID
        "#]],
    );
}

#[test]
fn a_classic_member_that_does_not_ask_for_its_assignment_is_taken_for_gone() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         wait 30000
         m1 beat
         c1 Beat
         wait 29999
         m1 beat
         c1 Beat
         wait 1
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            wait 30000
            m1 beat -> epoch 2 [a0]
            c1 Beat -> c1: NONE
            wait 29999
            m1 beat -> epoch 2
            c1 Beat -> c1: NONE
            wait 1 -> c1-1 SyncTimeout
            show -> Reconciling 4/4 uniform; m1 2 [a0] shall [a0 a1]
        "#]],
    );
}

#[test]
fn a_classic_member_that_does_not_join_again_is_taken_for_gone() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         c1 Sync
         m1 beat names=a,b timeout=999999
         c1 Beat
         wait 1000
         c1 Beat
         wait 30000
         m1 beat
         c1 Beat
         wait 29999
         m1 beat
         c1 Beat
         wait 1
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            c1 Sync -> c1: []
            m1 beat names=a,b timeout=999999 -> epoch 2 [a0]
            c1 Beat -> c1: NONE
            wait 1000
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            wait 30000
            m1 beat -> epoch 2
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            wait 29999
            m1 beat -> epoch 2
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            wait 1 -> c1-1 RebalanceTimeout
            show -> Reconciling 5/5 uniform; m1 2 [a0] shall [a0 a1]
        "#]],
    );
}

#[test]
fn a_classic_member_that_joins_and_asks_again_is_not_timed() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         c1 Join a id=
         c1 Sync
         m1 beat names=a,b timeout=999999
         wait 1000
         c1 Beat
         c1 Join a
         c1 Sync
         wait 40000
         m1 beat
         c1 Beat
         wait 40000
         m1 beat
         c1 Beat
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            c1 Join a id= -> c1: generation 3
            c1 Sync -> c1: []
            m1 beat names=a,b timeout=999999 -> epoch 2 [a0]
            wait 1000
            c1 Beat -> c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 4
            c1 Sync -> c1: []
            wait 40000
            m1 beat -> epoch 2
            c1 Beat -> c1: NONE
            wait 40000
            m1 beat -> epoch 2
            c1 Beat -> c1: NONE
            show -> Reconciling 4/4 uniform; c1-1 4 [] shall [a1]; m1 2 [a0]
        "#]],
    );
}

#[test]
fn anyone_may_be_made_to_leave_by_an_administrator() {
    story(
        "topic a 2
         m1 join a instance=i1
         m2 join a
         x Leave id= instance=i1
         x Leave id= instance=i9
         x Leave id=m2
         x Leave id=m9
         show",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            m2 join a -> epoch 2 []
            x Leave id= instance=i1 -> x: NONE
            x Leave id= instance=i9 -> x: UNKNOWN_MEMBER_ID
            x Leave id=m2 -> x: NONE
            x Leave id=m9 -> x: UNKNOWN_MEMBER_ID
            show -> Empty 5/4 uniform
        "#]],
    );
}

#[test]
fn empty_groups_change_their_type_for_free() {
    story(
        "topic a 2
         m1 join a
         m1 leave
         c1 Join a id=
         show
         c1 Leave id=c1-1
         show
         m2 join a
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            m1 leave -> epoch -1
            c1 Join a id=
            show -> classic PreparingRebalance c1-1
            c1 Leave id=c1-1 -> c1: UNKNOWN_MEMBER_ID, c1: NONE
            show -> classic PreparingRebalance
            m2 join a -> epoch 2 [a0 a1]
            show -> Stable 2/2 uniform; m2 2 [a0 a1]
        "#]],
    );
}

#[test]
fn the_policy_says_which_way_groups_may_change() {
    let world = |policy| {
        let mut world = World::new();
        world.config.consumer.migration_policy = policy;
        world.shard.update_config(world.config.clone());
        world
    };
    play(
        world(MigrationPolicy::Disabled),
        "topic a 1
         m1 join a
         c1 Join a id=
         m1 leave
         c1 Join a id=
         m1 join a",
        &expect![[r#"
            topic a 1
            m1 join a -> epoch 2 [a0]
            c1 Join a id= -> c1: INCONSISTENT_GROUP_PROTOCOL
            m1 leave -> epoch -1
            c1 Join a id=
            m1 join a -> GROUP_ID_NOT_FOUND
        "#]],
    );
    play(
        world(MigrationPolicy::Upgrade),
        "c1 Join a id=
         m1 join a
         c1 Join a
         m1 leave
         show",
        &expect![[r#"
            c1 Join a id=
            m1 join a -> epoch 1 [], c1: REBALANCE_IN_PROGRESS
            c1 Join a -> c1: generation 1
            m1 leave -> epoch -1
            show -> Reconciling 2/2 uniform; c1-1 1 []
        "#]],
    );
    play(
        world(MigrationPolicy::Downgrade),
        "m1 join a
         c1 Join a id=
         m1 leave
         show
         m1 join a",
        &expect![[r#"
            m1 join a -> epoch 2 []
            c1 Join a id= -> c1: generation 2
            m1 leave -> epoch -1
            show -> classic PreparingRebalance c1-1
            m1 join a -> GROUP_ID_NOT_FOUND
        "#]],
    );
}

#[test]
fn groups_that_are_no_consumers_stay_classic() {
    let mut world = World::new();
    let token = world.token();
    let request = crate::group::JoinGroup {
        group: "g".into(),
        member: "".into(),
        new_member: "worker".into(),
        instance: None,
        client_id: "connect".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: eddy_types::Millis(10_000),
        rebalance_timeout: eddy_types::Millis(10_000),
        protocol_type: "connect".into(),
        protocols: vec![crate::group::Protocol { name: "compatible".into(), metadata: [1, 2].into() }],
        id_required: false,
        can_skip_assignment: false,
    };
    world.event(|shard, now, out| shard.join_group(now, token, request, out));
    let error = world.heartbeat(join("m1", &["a"])).unwrap_err();
    assert!(matches!(error, ConsumerGroupError::GroupNotFound { .. }));
    assert_eq!(error.code(), ErrorCode::GroupIdNotFound);
}
