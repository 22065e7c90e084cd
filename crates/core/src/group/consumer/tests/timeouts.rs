//! Members that vanish.

use eddy_types::Millis;
use expect_test::expect;

use super::story::{play, story};
use super::{World, beat, join};
use crate::group::GroupOverrides;

#[test]
fn a_silent_member_is_taken_for_gone_after_its_session() {
    story(
        "topic a 2
         m1 join a
         m2 join a
         wait 1000
         m1 ack
         m1 ack owned=a0
         wait 44000
         m2 beat
         wait 999
         show
         wait 1
         m1 beat
         m2 beat
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            m2 join a -> epoch 2 []
            wait 1000
            m1 ack -> epoch 2 [a0]
            m1 ack owned=a0 -> epoch 3
            wait 44000 -> m2 SessionTimeout
            m2 beat -> UNKNOWN_MEMBER_ID
            wait 999
            show -> Reconciling 4/4 uniform; m1 3 [a0] shall [a0 a1]
            wait 1 -> m1 SessionTimeout
            m1 beat -> UNKNOWN_MEMBER_ID
            m2 beat -> UNKNOWN_MEMBER_ID
            show -> Empty 5/4 uniform
        "#]],
    );
}

#[test]
fn a_member_that_does_not_give_back_in_time_is_taken_for_gone() {
    story(
        "topic a 2
         m1 join a timeout=5000
         wait 2000
         m2 join a
         m1 beat
         wait 3000
         m1 beat
         m2 beat
         wait 2000
         m1 beat
         m2 beat
         show",
        &expect![[r#"
            topic a 2
            m1 join a timeout=5000 -> epoch 2 [a0 a1]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0]
            wait 3000
            m1 beat -> epoch 2
            m2 beat -> epoch 3
            wait 2000 -> m1 RebalanceTimeout
            m1 beat -> UNKNOWN_MEMBER_ID
            m2 beat -> epoch 4 [a0 a1]
            show -> Stable 4/4 uniform; m2 4 [a0 a1]
        "#]],
    );
}

#[test]
fn giving_back_in_time_ends_the_rebalance_timeout() {
    story(
        "topic a 2
         m1 join a timeout=5000
         wait 2000
         m2 join a
         m1 beat
         wait 4000
         m1 ack
         wait 10000
         show",
        &expect![[r#"
            topic a 2
            m1 join a timeout=5000 -> epoch 2 [a0 a1]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0]
            wait 4000
            m1 ack -> epoch 3
            wait 10000
            show -> Reconciling 3/3 uniform; m1 3 [a0]; m2 3 [] shall [a1]
        "#]],
    );
}

#[test]
fn a_static_member_that_is_away_is_taken_for_gone_after_its_session() {
    story(
        "topic a 2
         m1 join a instance=i1
         wait 1000
         m2 join a
         m1 beat
         m1 away
         m2 beat
         wait 44000
         m2 beat
         wait 1000
         m2 beat
         m1 join a instance=i1",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            wait 1000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0]
            m1 away -> epoch -2
            m2 beat -> epoch 3 [a1]
            wait 44000
            m2 beat -> epoch 3
            wait 1000 -> m1 SessionTimeout
            m2 beat -> epoch 4 [a0 a1]
            m1 join a instance=i1 -> epoch 4 []
        "#]],
    );
}

#[test]
fn a_restart_gives_whole_sessions() {
    story(
        "topic a 2
         m1 join a timeout=100000
         wait 2000
         m2 join a
         m1 beat
         wait 40000
         restart
         wait 40000
         show
         wait 5000
         show",
        &expect![[r#"
            topic a 2
            m1 join a timeout=100000 -> epoch 2 [a0 a1]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0]
            wait 40000
            restart
            wait 40000
            show -> Reconciling 3/3 uniform; m1 2 [a0]; m2 3 [] shall [a1]
            wait 5000 -> m1 SessionTimeout, m2 SessionTimeout
            show -> Empty 5/4 uniform
        "#]],
    );
}

#[test]
fn the_last_member_that_vanishes_leaves_an_empty_group() {
    play(
        World::new(),
        "topic a 2
         m1 join a
         wait 45000
         show
         m2 join a
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 45000 -> m1 SessionTimeout
            show -> Empty 3/2 uniform
            m2 join a -> epoch 4 [a0 a1]
            show -> Stable 4/4 uniform; m2 4 [a0 a1]
        "#]],
    );
}

#[test]
fn a_group_may_have_a_session_timeout_and_an_interval_of_its_own() {
    let mut world = World::new();
    let overrides = GroupOverrides {
        consumer_session_timeout: Some(Millis(50_000)),
        consumer_heartbeat_interval: Some(Millis(7_000)),
    };
    world.shard.set_group_config(&"g".into(), overrides);
    assert_eq!(world.heartbeat(join("m1", &["a"])).unwrap().heartbeat_interval, Millis(7_000));
    world.wait(Millis(49_999));
    world.heartbeat(beat("m1", 2)).unwrap();
    world.wait(Millis(50_000));
    world.heartbeat(beat("m1", 2)).unwrap_err();
}

#[test]
fn a_member_that_waits_for_the_next_assignment_comes_back_when_it_is_made() {
    let mut world = World::new();
    world.set_topic("a", 2);
    assert_eq!(world.heartbeat(join("m1", &["a"])).unwrap().heartbeat_interval, Millis(5_000));
    world.wait(Millis(300));
    let answer = world.heartbeat(join("m2", &["a"])).unwrap();
    assert_eq!((answer.member_epoch, answer.heartbeat_interval), (2, Millis(700)));
    world.wait(Millis(700));
    let answer = world.heartbeat(beat("m2", 2)).unwrap();
    assert_eq!((answer.member_epoch, answer.heartbeat_interval), (3, Millis(5_000)));
}
