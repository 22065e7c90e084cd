//! What member epochs are good for: heartbeats, commits, fetches.

use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset, TopicId};
use expect_test::expect;

use super::story::story;
use super::{World, beat, join};
use crate::group::consumer::ConsumerGroup;
use crate::group::shard::Group;
use crate::group::{CommitOffsets, CommitPartition, CommitReply, CommitTopic, ConsumerHeartbeat, Reply};

#[test]
fn epochs_that_were_never_handed_out_or_are_past_are_fenced() {
    story(
        "topic a 1
         m1 join a
         m1 beat epoch=3
         m1 beat epoch=8
         wait 2000
         m1 beat names=a,b
         m1 beat
         wait 2000
         m1 beat names=b
         m1 beat epoch=2
         show",
        &expect![[r#"
            topic a 1
            m1 join a -> epoch 2 [a0]
            m1 beat epoch=3 -> FENCED_MEMBER_EPOCH
            m1 beat epoch=8 -> FENCED_MEMBER_EPOCH
            wait 2000
            m1 beat names=a,b -> epoch 3
            m1 beat -> epoch 3
            wait 2000
            m1 beat names=b -> epoch 3 []
            m1 beat epoch=2 -> FENCED_MEMBER_EPOCH
            show -> Reconciling 4/4 uniform; m1 3 []
        "#]],
    );
}

#[test]
fn a_member_that_lost_an_answer_may_go_on_from_the_epoch_before() {
    story(
        "topic a 4
         m1 join a
         wait 2000
         m2 join a
         m1 beat
         m1 ack
         m1 beat epoch=2
         m1 beat epoch=2 owned=a0,a1,a2
         m1 beat epoch=2 owned=a0
         m1 beat epoch=2 owned=
         show",
        &expect![[r#"
            topic a 4
            m1 join a -> epoch 2 [a0 a1 a2 a3]
            wait 2000
            m2 join a -> epoch 3 []
            m1 beat -> epoch 2 [a0 a1]
            m1 ack -> epoch 3
            m1 beat epoch=2 -> FENCED_MEMBER_EPOCH
            m1 beat epoch=2 owned=a0,a1,a2 -> FENCED_MEMBER_EPOCH
            m1 beat epoch=2 owned=a0 -> epoch 3 [a0 a1]
            m1 beat epoch=2 owned= -> epoch 3 [a0 a1]
            show -> Reconciling 3/3 uniform; m1 3 [a0 a1]; m2 3 [] shall [a2 a3]
        "#]],
    );
}

fn group(world: &World) -> &ConsumerGroup {
    match &world.shard.groups["g"] {
        Group::Consumer(group) => group,
        Group::Classic(_) => panic!("a classic group"),
    }
}

fn commit(world: &World, member: &str, epoch: i32, partition: (TopicId, i32)) -> Result<(), ErrorCode> {
    let group = group(world);
    group.validate_commit(member, epoch, true)?;
    group.validate_commit_of(member, epoch, partition.0, partition.1)
}

#[test]
fn a_commit_of_an_older_epoch_counts_for_what_the_member_kept() {
    let mut world = World::new();
    world.set_topic("a", 3);
    let a = world.topic_id("a");
    world.heartbeat(join("m1", &["a"])).unwrap();
    assert_eq!(commit(&world, "m1", 2, (a, 2)), Ok(()));
    world.wait(eddy_types::Millis(2000));
    world.heartbeat(join("m2", &["a"])).unwrap();
    world.heartbeat(beat("m1", 2)).unwrap();
    assert_eq!(commit(&world, "m1", 2, (a, 2)), Ok(()), "not given back yet");
    let owned = Some([(a, 0), (a, 1)].into_iter().collect());
    assert_eq!(world.heartbeat(ConsumerHeartbeat { owned, ..beat("m1", 2) }).unwrap().member_epoch, 3);
    assert_eq!(commit(&world, "m1", 2, (a, 0)), Ok(()), "kept over the rebalance");
    assert_eq!(commit(&world, "m1", 2, (a, 2)), Err(ErrorCode::StaleMemberEpoch), "given back");
    assert_eq!(commit(&world, "m1", 4, (a, 0)), Err(ErrorCode::StaleMemberEpoch), "never handed out");
    world.heartbeat(beat("m2", 3)).unwrap();
    assert_eq!(commit(&world, "m2", 3, (a, 2)), Ok(()));
    assert_eq!(commit(&world, "m2", 2, (a, 2)), Err(ErrorCode::StaleMemberEpoch), "another one's then");
}

#[test]
fn each_partition_of_a_commit_is_judged_by_itself() {
    let mut world = World::new();
    world.set_topic("a", 2);
    let a = world.topic_id("a");
    world.heartbeat(join("m1", &["a"])).unwrap();
    world.wait(Millis(2000));
    world.heartbeat(join("m2", &["a"])).unwrap();
    world.heartbeat(beat("m1", 2)).unwrap();
    let owned = Some([(a, 0)].into_iter().collect());
    world.heartbeat(ConsumerHeartbeat { owned, ..beat("m1", 2) }).unwrap();
    let partition = |index| CommitPartition {
        index,
        offset: Offset(7),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
    };
    let request = CommitOffsets {
        group: "g".into(),
        member: "m1".into(),
        instance: None,
        generation: 2,
        knows_epochs: true,
        retention: None,
        topics: vec![CommitTopic { name: "a".into(), id: a, partitions: vec![partition(0), partition(1)] }],
    };
    let token = world.token();
    let out = world.event(|shard, now, out| shard.commit_offsets(now, token, request, out));
    let outcomes = vec![(0, ErrorCode::None), (1, ErrorCode::StaleMemberEpoch)];
    assert_eq!(out.replies, [(token, Reply::Commit(CommitReply::Partitions(vec![("a".into(), outcomes)])))]);
    assert_eq!(out.records.len(), 1);
}

#[test]
fn commits_without_membership_are_for_empty_groups() {
    let mut world = World::new();
    world.set_topic("a", 1);
    let a = (world.topic_id("a"), 0);
    world.heartbeat(join("m1", &["a"])).unwrap();
    assert_eq!(commit(&world, "", -1, a), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&world, "m2", 2, a), Err(ErrorCode::UnknownMemberId));
    assert_eq!(group(&world).validate_commit("m1", 2, false), Err(ErrorCode::UnsupportedVersion));
    world.heartbeat(beat("m1", -1)).unwrap();
    assert_eq!(commit(&world, "", -1, a), Ok(()));
}

#[test]
fn offsets_are_fetched_in_the_current_epoch_or_without_membership() {
    let mut world = World::new();
    world.heartbeat(join("m1", &["a"])).unwrap();
    let group = group(&world);
    assert_eq!(group.validate_fetch(None, -1), Ok(()));
    assert_eq!(group.validate_fetch(Some("m1"), 2), Ok(()));
    assert_eq!(group.validate_fetch(Some("m1"), 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.validate_fetch(Some("m2"), 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(group.validate_fetch(None, 1), Err(ErrorCode::UnknownMemberId));
}
