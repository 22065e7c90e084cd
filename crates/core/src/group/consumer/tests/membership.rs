//! Members come, live and go.

use expect_test::expect;

use super::story::story;
use super::{World, beat, join};
use crate::group::{ConsumerGroupError, ConsumerHeartbeat};

#[test]
fn the_first_member_gets_everything_at_once() {
    story(
        "topic a 2
         topic b 1
         m1 join a,b
         m1 beat
         show",
        &expect![[r#"
            topic a 2
            topic b 1
            m1 join a,b -> epoch 2 [a0 a1 b0]
            m1 beat -> epoch 2
            show -> Stable 2/2 uniform; m1 2 [a0 a1 b0]
        "#]],
    );
}

#[test]
fn a_topic_that_was_just_made_is_assigned_to_who_waits_for_it() {
    story(
        "m1 join a
         show
         topic a 2
         show
         m1 beat
         show",
        &expect![[r#"
            m1 join a -> epoch 2 []
            show -> Stable 2/2 uniform; m1 2 []
            topic a 2
            show -> Reconciling 3/3 uniform; m1 2 [] shall [a0 a1]
            m1 beat -> epoch 3 [a0 a1]
            show -> Stable 3/3 uniform; m1 3 [a0 a1]
        "#]],
    );
}

#[test]
fn a_member_that_leaves_frees_its_partitions_at_once() {
    story(
        "topic a 2
         m1 join a
         wait 2000
         m2 join a
         m1 beat
         m1 ack
         m2 beat
         wait 2000
         m2 leave
         m2 beat
         m1 beat
         show
         m1 leave
         show
         m1 beat epoch=10",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0]
            m1 ack -> epoch 3
            m2 beat -> epoch 3 [a1]
            wait 2000
            m2 leave -> epoch -1
            m2 beat -> UNKNOWN_MEMBER_ID
            m1 beat -> epoch 4 [a0 a1]
            show -> Stable 4/4 uniform; m1 4 [a0 a1]
            m1 leave -> epoch -1
            show -> Empty 5/4 uniform
            m1 beat epoch=10 -> UNKNOWN_MEMBER_ID
        "#]],
    );
}

#[test]
fn a_member_may_join_again_and_is_told_all() {
    story(
        "topic a 2
         m1 join a
         m1 join a
         wait 2000
         m1 join b
         show",
        &expect![[r#"
            topic a 2
            m1 join a -> epoch 2 [a0 a1]
            m1 join a -> epoch 2 [a0 a1]
            wait 2000
            m1 join b -> epoch 3 []
            show -> Stable 3/3 uniform; m1 3 []
        "#]],
    );
}

#[test]
fn an_instance_has_one_member_at_a_time() {
    story(
        "topic a 2
         m1 join a instance=i1
         m2 join a instance=i1
         m2 beat epoch=2 instance=i1
         m3 beat epoch=2 instance=i9
         m1 beat instance=i1
         m2 away instance=i1
         show",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            m2 join a instance=i1 -> UNRELEASED_INSTANCE_ID
            m2 beat epoch=2 instance=i1 -> FENCED_INSTANCE_ID
            m3 beat epoch=2 instance=i9 -> UNKNOWN_MEMBER_ID
            m1 beat instance=i1 -> epoch 2
            m2 away instance=i1 -> FENCED_INSTANCE_ID
            show -> Stable 2/2 uniform; m1 2 [a0 a1]
        "#]],
    );
}

#[test]
fn a_static_member_that_is_away_gets_its_partitions_back_under_a_new_id() {
    story(
        "topic a 4
         m1 join a instance=i1
         wait 2000
         m2 join a instance=i2
         m1 ack
         m1 ack owned=a0,a1
         m2 beat
         m1 away
         show
         m1 beat epoch=3
         m3 join a instance=i1
         show
         m1 beat epoch=3 instance=i1
         m2 beat",
        &expect![[r#"
            topic a 4
            m1 join a instance=i1 -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a instance=i2 -> epoch 3 []
            m1 ack -> epoch 2 [a0 a1]
            m1 ack owned=a0,a1 -> epoch 3
            m2 beat -> epoch 3 [a2 a3]
            m1 away -> epoch -2
            show -> Reconciling 3/3 uniform; m1 -2 [a0 a1]; m2 3 [a2 a3]
            m1 beat epoch=3 -> FENCED_MEMBER_EPOCH
            m3 join a instance=i1 -> epoch 3 [a0 a1]
            show -> Stable 3/3 uniform; m2 3 [a2 a3]; m3 3 [a0 a1]
            m1 beat epoch=3 instance=i1 -> FENCED_INSTANCE_ID
            m2 beat -> epoch 3
        "#]],
    );
}

#[test]
fn a_static_member_that_lost_the_answer_to_its_join_may_join_again() {
    story(
        "topic a 2
         m1 join a instance=i1
         m1 join a instance=i1
         m1 away
         m1 join a instance=i1
         show",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            m1 away -> epoch -2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            show -> Stable 2/2 uniform; m1 2 [a0 a1]
        "#]],
    );
}

#[test]
fn a_static_member_that_leaves_for_good_frees_its_name() {
    story(
        "topic a 2
         m1 join a instance=i1
         m2 leave instance=i1
         m1 leave instance=i1
         m2 join a instance=i1
         show",
        &expect![[r#"
            topic a 2
            m1 join a instance=i1 -> epoch 2 [a0 a1]
            m2 leave instance=i1 -> FENCED_INSTANCE_ID
            m1 leave instance=i1 -> epoch -1
            m2 join a instance=i1 -> epoch 4 [a0 a1]
            show -> Stable 4/4 uniform; m2 4 [a0 a1]
        "#]],
    );
}

#[test]
fn groups_and_members_that_are_not_there_are_refused() {
    story(
        "m1 beat epoch=2
         m1 leave
         m1 away instance=i1
         show
         m1 join a
         m2 beat epoch=2
         m2 leave
         m2 away instance=i2",
        &expect![[r#"
            m1 beat epoch=2 -> GROUP_ID_NOT_FOUND
            m1 leave -> GROUP_ID_NOT_FOUND
            m1 away instance=i1 -> GROUP_ID_NOT_FOUND
            show -> GROUP_ID_NOT_FOUND
            m1 join a -> epoch 2 []
            m2 beat epoch=2 -> UNKNOWN_MEMBER_ID
            m2 leave -> UNKNOWN_MEMBER_ID
            m2 away instance=i2 -> UNKNOWN_MEMBER_ID
        "#]],
    );
}

/// A request, what is changed about it, and what is said to it (R-3.70).
#[test]
fn requests_that_make_no_sense_are_refused() {
    type Change = fn(&mut ConsumerHeartbeat);
    let invalid: [(&str, Change); 14] = [
        ("no group", |r| r.group = "".into()),
        ("no member id", |r| r.member = "".into()),
        ("no member id while it leaves", |r| (r.member, r.member_epoch) = ("".into(), -1)),
        ("no member id later", |r| {
            (r.member, r.new_member, r.member_epoch) = ("".into(), Some("x".into()), 1)
        }),
        ("empty instance", |r| r.instance = Some("".into())),
        ("empty rack", |r| r.rack = Some("".into())),
        ("no rebalance timeout", |r| r.rebalance_timeout = None),
        ("no partitions", |r| r.owned = None),
        ("partitions", |r| r.owned = Some([(eddy_types::TopicId([1; 16]), 0)].into_iter().collect())),
        ("no subscription", |r| r.topic_names = None),
        ("dynamic and away", |r| r.member_epoch = -2),
        ("epoch", |r| r.member_epoch = -3),
        ("epoch and instance", |r| (r.member_epoch, r.instance) = (i32::MIN, Some("i".into()))),
        ("leaves without a group", |r| (r.group, r.member_epoch) = ("".into(), -1)),
    ];
    let mut world = World::new();
    for (what, change) in invalid {
        let mut request = join("m", &["a"]);
        change(&mut request);
        assert!(matches!(world.heartbeat(request), Err(ConsumerGroupError::Invalid(_))), "{what}");
    }
    let request = ConsumerHeartbeat { assignor: Some("sticky".into()), ..join("m", &["a"]) };
    let error = world.heartbeat(request).unwrap_err();
    assert_eq!(error.to_string(), "server assignor sticky is not supported, supported are uniform, range");
    assert!(world.log.is_empty() && world.shard.groups.is_empty());
}

#[test]
fn a_client_of_version_0_gets_an_id() {
    let mut world = World::new();
    let request =
        ConsumerHeartbeat { member: "".into(), new_member: Some("made".into()), ..join("", &["a"]) };
    assert_eq!(&*world.heartbeat(request).unwrap().member, "made");
    world.heartbeat(beat("made", 2)).unwrap();
}

#[test]
fn a_full_group_takes_only_those_that_are_in_it() {
    let mut world = World::new();
    world.config.consumer.size_max = 2;
    world.shard.update_config(world.config.clone());
    let named =
        |id: &str, instance: &str| ConsumerHeartbeat { instance: Some(instance.into()), ..join(id, &["a"]) };
    world.heartbeat(join("m1", &["a"])).unwrap();
    world.heartbeat(named("m2", "i2")).unwrap();
    let error = world.heartbeat(join("m3", &["a"])).unwrap_err();
    assert_eq!(error, ConsumerGroupError::GroupFull { limit: 2 });
    world.heartbeat(join("m1", &["a"])).unwrap();
    world.heartbeat(ConsumerHeartbeat { instance: Some("i2".into()), ..beat("m2", -2) }).unwrap();
    world.heartbeat(named("m4", "i2")).unwrap();
}
