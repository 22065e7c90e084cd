//! What members subscribe to, and what the cluster has of it.

use expect_test::expect;

use super::story::story;
use super::{World, join};
use crate::group::{ConsumerGroupError, ConsumerHeartbeat, GroupRecord};

#[test]
fn an_expression_matches_topics_that_come_and_go() {
    story(
        "topic a1 1
         topic b1 1
         m1 join regex=a.*
         topic a2 2
         topic b2 2
         show
         wait 1000
         m1 beat
         topic a1 0
         wait 1000
         m1 beat
         m1 ack
         show",
        &expect![[r#"
            topic a1 1
            topic b1 1
            m1 join regex=a.* -> epoch 2 [a10]
            topic a2 2
            topic b2 2
            show -> Reconciling 3/3 uniform; m1 2 [a10] shall [a10 a20 a21]
            wait 1000
            m1 beat -> epoch 3 [a10 a20 a21]
            topic a1 0
            wait 1000
            m1 beat -> epoch 3 [a20 a21]
            m1 ack -> epoch 4
            show -> Stable 4/4 uniform; m1 4 [a20 a21]
        "#]],
    );
}

#[test]
fn names_and_an_expression_add_up() {
    story(
        "topic a 1
         topic b 1
         topic c 1
         m1 join a regex=[ab]
         wait 2000
         m1 beat regex=
         m1 ack
         wait 2000
         m1 beat names=
         m1 ack
         show",
        &expect![[r#"
            topic a 1
            topic b 1
            topic c 1
            m1 join a regex=[ab] -> epoch 2 [a0 b0]
            wait 2000
            m1 beat regex= -> epoch 2 [a0]
            m1 ack -> epoch 3
            wait 2000
            m1 beat names= -> epoch 3 []
            m1 ack -> epoch 4
            show -> Stable 4/4 uniform; m1 4 []
        "#]],
    );
}

#[test]
fn a_topic_that_is_made_anew_is_another_topic() {
    story(
        "topic a 1
         m1 join a
         wait 2000
         topic a 0
         topic a 1
         wait 2000
         m1 beat
         m1 ack
         show",
        &expect![[r#"
            topic a 1
            m1 join a -> epoch 2 [a0]
            wait 2000
            topic a 0
            topic a 1
            wait 2000
            m1 beat -> epoch 2 []
            m1 ack -> epoch 4 [a0]
            show -> Stable 4/4 uniform; m1 4 [a0]
        "#]],
    );
}

#[test]
fn partitions_that_are_added_are_assigned() {
    story(
        "topic a 1
         topic z 1
         m1 join a
         wait 2000
         topic z 5
         show
         topic a 3
         m1 beat
         show",
        &expect![[r#"
            topic a 1
            topic z 1
            m1 join a -> epoch 2 [a0]
            wait 2000
            topic z 5
            show -> Stable 2/2 uniform; m1 2 [a0]
            topic a 3
            m1 beat -> epoch 3 [a0 a1 a2]
            show -> Stable 3/3 uniform; m1 3 [a0 a1 a2]
        "#]],
    );
}

#[test]
fn the_assignor_that_most_members_want_is_used() {
    story(
        "topic a 3
         topic b 3
         m1 join a,b assignor=range
         show
         wait 2000
         m2 join a,b assignor=range
         show
         wait 2000
         m3 join a,b assignor=uniform
         show
         m1 beat assignor=uniform
         show
         m1 beat assignor=none",
        &expect![[r#"
            topic a 3
            topic b 3
            m1 join a,b assignor=range -> epoch 2 [a0 a1 a2 b0 b1 b2]
            show -> Stable 2/2 range; m1 2 [a0 a1 a2 b0 b1 b2]
            wait 2000
            m2 join a,b assignor=range -> epoch 3 []
            show -> Reconciling 3/3 range; m1 2 [a0 a1 a2 b0 b1 b2] shall [a0 a1 b0 b1]; m2 3 [] shall [a2 b2]
            wait 2000
            m3 join a,b assignor=uniform -> epoch 4 []
            show -> Reconciling 4/4 range; m1 2 [a0 a1 a2 b0 b1 b2] shall [a0 b0]; m2 3 [] shall [a1 b1]; m3 4 [] shall [a2 b2]
            m1 beat assignor=uniform -> epoch 2 [a0 b0]
            show -> Reconciling 4/4 uniform; m1 2 [a0 b0]; m2 3 [] shall [a1 b1]; m3 4 [] shall [a2 b2]
            m1 beat assignor=none -> UNSUPPORTED_ASSIGNOR
        "#]],
    );
}

#[test]
fn what_is_no_expression_is_refused_and_changes_nothing() {
    let mut world = World::new();
    for regex in ["(", "a{1000}{1000}{1000}", "(?<", r"\1"] {
        let request = ConsumerHeartbeat { topic_regex: Some(regex.into()), ..join("m", &[]) };
        let error = world.heartbeat(request).unwrap_err();
        assert!(matches!(error, ConsumerGroupError::InvalidPattern(_)), "{regex}");
        assert!(
            error.to_string().starts_with("subscribed topic regex is not a regular expression"),
            "{error}"
        );
    }
    assert!(world.shard.groups.is_empty());
}

#[test]
fn an_expression_is_recorded_once_and_forgotten_with_its_last_member() {
    let mut world = World::new();
    world.set_topic("a", 1);
    let regex = |id: &str| ConsumerHeartbeat { topic_regex: Some("a|b".into()), ..join(id, &[]) };
    let count = |world: &World, there: bool| {
        let of = |record: &&GroupRecord| matches!(record, GroupRecord::ConsumerRegex { value, .. } if value.is_some() == there);
        world.log.iter().filter(of).count()
    };
    world.heartbeat(regex("m1")).unwrap();
    world.heartbeat(regex("m2")).unwrap();
    assert_eq!(count(&world, true), 1);
    world.set_topic("c", 1);
    assert_eq!(count(&world, true), 1, "a topic that does not match changes nothing");
    world.set_topic("b", 1);
    assert_eq!(count(&world, true), 2);
    world.set_topic("b", 0);
    assert_eq!(count(&world, true), 3, "a topic that is gone does not match");
    world.heartbeat(super::beat("m1", -1)).unwrap();
    assert_eq!(count(&world, false), 0);
    world.heartbeat(super::beat("m2", -1)).unwrap();
    assert_eq!(count(&world, false), 1);
}
