//! Members move towards the target, each in its own time (R-3.74).

use expect_test::expect;

use super::story::story;
use super::{World, join};
use crate::group::shard::Group;
use crate::group::{ConsumerCurrentValue, GroupRecord, TopicPartitions};

#[test]
fn partitions_are_given_back_before_another_member_gets_them() {
    story(
        "topic a 4
         m1 join a
         wait 2000
         m2 join a
         show
         m2 beat
         m1 beat
         m1 beat
         show
         m2 beat
         m1 beat owned=a0,a1,a2
         m2 beat
         m1 ack
         m2 beat
         show",
        &expect![[r#"
            topic a 4
            m1 join a -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a -> epoch 3 []
            show -> Reconciling 3/3 uniform; m1 2 [a0 a1 a2 a3] shall [a0 a1]; m2 3 [] shall [a2 a3]
            m2 beat -> epoch 3
            m1 beat -> epoch 2 [a0 a1]
            m1 beat -> epoch 2
            show -> Reconciling 3/3 uniform; m1 2 [a0 a1]; m2 3 [] shall [a2 a3]
            m2 beat -> epoch 3
            m1 beat owned=a0,a1,a2 -> epoch 2
            m2 beat -> epoch 3
            m1 ack -> epoch 3
            m2 beat -> epoch 3 [a2 a3]
            show -> Stable 3/3 uniform; m1 3 [a0 a1]; m2 3 [a2 a3]
        "#]],
    );
}

#[test]
fn members_that_join_one_after_the_other_are_assigned_together() {
    story(
        "topic a 3
         m1 join a
         wait 100
         m2 join a
         wait 100
         m3 join a
         show
         wait 800
         show",
        &expect![[r#"
            topic a 3
            m1 join a -> epoch 2 [a0 a1 a2]
            wait 100
            m2 join a -> epoch 2 []
            wait 100
            m3 join a -> epoch 2 []
            show -> Assigning 4/2 uniform; m1 2 [a0 a1 a2]; m2 2 []; m3 2 []
            wait 800
            show -> Reconciling 4/4 uniform; m1 2 [a0 a1 a2] shall [a0]; m2 2 [] shall [a1]; m3 2 [] shall [a2]
        "#]],
    );
}

#[test]
fn a_member_that_gives_back_meets_a_newer_target() {
    story(
        "topic a 6
         m1 join a
         wait 2000
         m2 join a
         m1 beat
         wait 2000
         m3 join a
         m1 beat owned=a0,a1,a2
         show
         m1 ack
         m2 beat
         m3 beat
         m2 ack
         m3 beat
         show",
        &expect![[r#"
            topic a 6
            m1 join a -> epoch 2 [a0 a1 a2 a3 a4 a5]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1 a2]
            wait 2000
            m3 join a -> epoch 4 []
            m1 beat owned=a0,a1,a2 -> epoch 2 [a0 a1]
            show -> Reconciling 4/4 uniform; m1 2 [a0 a1]; m2 3 [] shall [a3 a4]; m3 4 [] shall [a2 a5]
            m1 ack -> epoch 4
            m2 beat -> epoch 4 [a3 a4]
            m3 beat -> epoch 4 [a2 a5]
            m2 ack -> epoch 4
            m3 beat -> epoch 4
            show -> Stable 4/4 uniform; m1 4 [a0 a1]; m2 4 [a3 a4]; m3 4 [a2 a5]
        "#]],
    );
}

#[test]
fn a_member_that_gives_back_what_it_is_to_have_again_keeps_it() {
    story(
        "topic a 4
         m1 join a
         wait 2000
         m2 join a
         m1 beat
         wait 2000
         m2 leave
         show
         m1 beat
         m1 ack
         show",
        &expect![[r#"
            topic a 4
            m1 join a -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1]
            wait 2000
            m2 leave -> epoch -1
            show -> Reconciling 4/4 uniform; m1 2 [a0 a1] shall [a0 a1 a2 a3]
            m1 beat -> epoch 2
            m1 ack -> epoch 4 [a0 a1 a2 a3]
            show -> Stable 4/4 uniform; m1 4 [a0 a1 a2 a3]
        "#]],
    );
}

#[test]
fn what_is_not_subscribed_any_more_is_given_back_before_the_next_target() {
    story(
        "topic a 2
         topic b 2
         m1 join a,b
         wait 2000
         m2 join a,b
         m1 beat
         m1 ack
         m2 beat
         m1 beat names=b
         show
         m1 ack
         m2 beat
         wait 1000
         m2 beat
         show",
        &expect![[r#"
            topic a 2
            topic b 2
            m1 join a,b -> epoch 2 [a0 a1 b0 b1]
            wait 2000
            m2 join a,b -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1]
            m1 ack -> epoch 3
            m2 beat -> epoch 3 [b0 b1]
            m1 beat names=b -> epoch 3 []
            show -> Assigning 4/3 uniform; m1 3 [] shall [a0 a1]; m2 3 [b0 b1]
            m1 ack -> epoch 3
            m2 beat -> epoch 3
            wait 1000
            m2 beat -> epoch 3 []
            show -> Reconciling 4/4 uniform; m1 3 [] shall [b0 b1]; m2 3 [] shall [a0 a1]
        "#]],
    );
}

#[test]
fn an_older_target_does_not_bring_back_what_is_not_subscribed_any_more() {
    story(
        "topic a 2
         topic b 2
         m1 join a,b
         wait 2000
         m2 join a,b
         show
         m1 beat names=b
         m1 ack
         show",
        &expect![[r#"
            topic a 2
            topic b 2
            m1 join a,b -> epoch 2 [a0 a1 b0 b1]
            wait 2000
            m2 join a,b -> epoch 3 []
            show -> Reconciling 3/3 uniform; m1 2 [a0 a1 b0 b1] shall [a0 a1]; m2 3 [] shall [b0 b1]
            m1 beat names=b -> epoch 2 []
            m1 ack -> epoch 3
            show -> Assigning 4/3 uniform; m1 3 [] shall [a0 a1]; m2 3 [] shall [b0 b1]
        "#]],
    );
}

/// Compaction takes the record by which a member gave a partition back, if the member has a newer one: then another
/// member is seen to own the partition before that.
#[test]
fn a_compacted_log_leaves_a_partition_with_its_newest_owner() {
    let mut world = World::new();
    world.set_topic("a", 1);
    let a = world.topic_id("a");
    world.heartbeat(join("m1", &["a"])).unwrap();
    world.heartbeat(join("m2", &["a"])).unwrap();
    let current = |member: &str, partitions: &[i32]| GroupRecord::ConsumerCurrentMember {
        group: "g".into(),
        member: member.into(),
        value: Some(ConsumerCurrentValue {
            epoch: 2,
            previous_epoch: 2,
            state: 0,
            assigned: vec![TopicPartitions {
                topic: a,
                partitions: partitions.to_vec(),
                assignment_epochs: None,
            }],
            pending_revocation: Vec::new(),
        }),
    };
    world.log.extend([current("m2", &[0]), current("m1", &[])]);
    let replayed = world.replayed();
    replayed.check();
    let Group::Consumer(group) = &replayed.groups["g"] else { panic!("a consumer group") };
    assert_eq!(group.owner(a, 0).map(|owner| &**owner), Some("m2"));
}

#[test]
fn waiting_members_get_free_partitions_one_by_one() {
    story(
        "topic a 4
         m1 join a
         wait 2000
         m2 join a
         m1 beat
         m1 ack
         m2 beat
         wait 2000
         m3 join a
         m4 join a
         wait 2000
         show
         m1 beat
         m1 ack
         m3 beat
         m4 beat
         m2 beat
         m2 ack
         m4 beat
         m3 beat
         show",
        &expect![[r#"
            topic a 4
            m1 join a -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1]
            m1 ack -> epoch 3
            m2 beat -> epoch 3 [a2 a3]
            wait 2000
            m3 join a -> epoch 4 []
            m4 join a -> epoch 4 []
            wait 2000
            show -> Reconciling 5/5 uniform; m1 3 [a0 a1] shall [a0]; m2 3 [a2 a3] shall [a2]; m3 4 [] shall [a3]; m4 4 [] shall [a1]
            m1 beat -> epoch 3 [a0]
            m1 ack -> epoch 5
            m3 beat -> epoch 5
            m4 beat -> epoch 5 [a1]
            m2 beat -> epoch 3 [a2]
            m2 ack -> epoch 5
            m4 beat -> epoch 5
            m3 beat -> epoch 5 [a3]
            show -> Stable 5/5 uniform; m1 5 [a0]; m2 5 [a2]; m3 5 [a3]; m4 5 [a1]
        "#]],
    );
}

#[test]
fn a_restart_changes_nothing() {
    story(
        "topic a 4
         m1 join a instance=i1
         wait 2000
         m2 join a regex=b.*
         m1 beat
         restart
         show
         m1 ack
         restart
         m2 beat
         show
         topic b1 1
         restart
         m2 beat
         show",
        &expect![[r#"
            topic a 4
            m1 join a instance=i1 -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a regex=b.* -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1]
            restart
            show -> Reconciling 3/3 uniform; m1 2 [a0 a1]; m2 3 [] shall [a2 a3]
            m1 ack -> epoch 3
            restart
            m2 beat -> epoch 3 [a2 a3]
            show -> Stable 3/3 uniform; m1 3 [a0 a1]; m2 3 [a2 a3]
            topic b1 1
            restart
            m2 beat -> epoch 3
            show -> Assigning 4/3 uniform; m1 3 [a0 a1]; m2 3 [a2 a3]
        "#]],
    );
}
