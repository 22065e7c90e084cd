//! Committing, fetching, deleting and expiring offsets.

use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};

use super::clients::{SESSION, commit, commit_to, fetch, heartbeat, join, leave, sync};
use super::world::{RETENTION, World, brief};
use crate::group::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchReply, FetchTopic,
    FetchedPartition, FetchedTopic, GroupConfig, GroupState, JoinGroup, Note, Protocol, Reply, Str,
};

fn fetch_one(topic: &str, id: TopicId, partitions: &[i32]) -> FetchOffsets {
    let topic = FetchTopic { name: topic.into(), id, partitions: partitions.to_vec() };
    FetchOffsets { topics: Some(vec![topic]), ..fetch("g") }
}

fn delete(world: &mut World, topic: &str) -> String {
    let request = DeleteOffsets { group: "g".into(), topics: vec![(topic.into(), vec![0, 9])] };
    brief(&world.answer(|shard, _, token, out| shard.delete_offsets(token, request, out)))
}

#[test]
fn a_commit_without_membership_makes_a_simple_group_that_is_listed() {
    let mut world = World::new();
    assert_eq!(world.commit(commit_to("g", "t", 5)), "0");
    assert_eq!(world.list(), "g:Empty");
    assert_eq!(world.fetch(fetch("g")), "5");
    world.fail_over();
    assert_eq!(world.list(), "g:Empty");
    assert_eq!(world.fetch(fetch("g")), "5");
}

#[test]
fn a_commit_with_a_generation_to_a_group_that_is_not_there_is_refused_by_what_the_client_knows() {
    let mut world = World::new();
    assert_eq!(world.commit(commit("a", 1, 5)), "69");
    assert_eq!(world.commit(CommitOffsets { knows_epochs: false, ..commit("a", 1, 5) }), "22");
    assert_eq!(world.commit(CommitOffsets { knows_epochs: false, ..commit("a", 0, 5) }), "22");
    assert_eq!(world.list(), "");
}

#[test]
fn what_is_fetched_is_what_was_committed_last() {
    let mut world = World::new();
    world.commit(commit_to("g", "t", 5));
    world.commit(commit_to("g", "t", 4));
    let request = fetch_one("t", TopicId::ZERO, &[0, 7]);
    let reply = world.answer(|shard, _, token, out| shard.fetch_offsets(token, request, out));
    let partitions = vec![
        FetchedPartition {
            index: 0,
            offset: Offset(4),
            leader_epoch: LeaderEpoch(3),
            metadata: "note".into(),
        },
        FetchedPartition {
            index: 7,
            offset: Offset::NONE,
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
        },
    ];
    let topic = FetchedTopic { name: "t".into(), id: TopicId::ZERO, partitions };
    assert_eq!(reply, Reply::Fetch(FetchReply::Topics(vec![topic])));
}

#[test]
fn a_group_that_is_not_there_has_no_offsets_and_that_is_no_error() {
    let mut world = World::new();
    assert_eq!(world.fetch(fetch("g")), "");
    assert_eq!(world.fetch(fetch_one("t", TopicId::ZERO, &[0, 1])), "-1,-1");
    assert_eq!(world.list(), "");
}

#[test]
fn metadata_over_the_limit_is_refused_for_its_partition_alone() {
    let mut world = World::new();
    let partition = |index: i32, bytes: usize| CommitPartition {
        index,
        offset: Offset(1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: "x".repeat(bytes).into(),
    };
    let partitions = vec![partition(0, 4096), partition(1, 4097), partition(2, 0)];
    let topics = vec![CommitTopic { name: "t".into(), id: TopicId::ZERO, partitions }];
    assert_eq!(world.commit(CommitOffsets { topics, ..commit_to("g", "t", 0) }), "0,12,0");
    assert_eq!(world.fetch(fetch("g")), "1,1");
    assert!(world.notes.contains(&Note::OffsetsCommitted { count: 2 }));
}

#[test]
fn a_topic_that_was_made_again_does_not_inherit_offsets() {
    let (old, new) = (TopicId([1; 16]), TopicId([2; 16]));
    let mut world = World::new();
    let mut request = commit_to("g", "t", 5);
    request.topics[0].id = old;
    world.commit(request.clone());
    assert_eq!(world.fetch(fetch_one("t", old, &[0])), "5");
    assert_eq!(world.fetch(fetch_one("t", TopicId::ZERO, &[0])), "5");
    assert_eq!(world.fetch(fetch_one("t", new, &[0])), "-1");
    request.topics[0].id = new;
    world.commit(request);
    assert_eq!(world.fetch(fetch_one("t", new, &[0])), "5");
    // The deletion of the old topic is heard of late.
    world.event(|shard, _, out| shard.topic_deleted(&"t".into(), old, out));
    assert_eq!(world.fetch(fetch_one("t", new, &[0])), "5");
}

#[test]
fn offsets_of_a_deleted_topic_go_in_every_group() {
    let mut world = World::new();
    for group in ["g", "h"] {
        world.commit(commit_to(group, "t", 5));
        world.commit(commit_to(group, "u", 6));
    }
    world.event(|shard, _, out| shard.topic_deleted(&"t".into(), TopicId([1; 16]), out));
    assert_eq!(world.fetch(fetch("g")), "6");
    assert_eq!(world.fetch(fetch("h")), "6");
    world.compacted_log_agrees();
}

#[test]
fn offsets_of_topics_that_members_read_are_not_deleted() {
    let mut world = World::stable(&["a"]);
    world.commit(commit("a", 1, 5));
    world.commit(CommitOffsets { member: "a-1".into(), generation: 1, ..commit_to("g", "unread", 6) });
    assert_eq!(delete(&mut world, "t"), "86,86");
    assert_eq!(delete(&mut world, "unread"), "0,0");
    assert_eq!(world.fetch(fetch("g")), "5");
    world.leave(leave("a"));
    assert_eq!(delete(&mut world, "t"), "0,0");
    assert_eq!(world.fetch(fetch("g")), "");
}

#[test]
fn consumers_whose_subscription_cannot_be_read_are_taken_to_read_every_topic() {
    let mut world = World::new();
    let protocols = vec![Protocol { name: "range".into(), metadata: [9; 3].into() }];
    world.join(JoinGroup { protocols, ..join("a") });
    world.pass(SESSION / 2);
    world.sync(sync("a", 1, &[]));
    assert_eq!(delete(&mut world, "anything"), "86,86");
}

#[test]
fn offsets_are_not_deleted_under_members_of_another_kind() {
    let mut world = World::new();
    let connect = JoinGroup { protocol_type: "connect".into(), ..join("a") };
    let mut world2 = World::new();
    assert_eq!(delete(&mut world2, "t"), "69");
    world.join(connect);
    assert_eq!(delete(&mut world, "t"), "68");
}

#[test]
fn offsets_of_a_simple_group_expire_each_from_its_commit() {
    let mut world = World::new();
    world.commit(commit_to("g", "t", 5));
    world.pass(RETENTION.0 / 2);
    world.commit(commit_to("g", "u", 6));
    world.pass(RETENTION.0 / 2);
    world.pass(600_000);
    assert_eq!(world.fetch(fetch("g")), "6");
    world.pass(RETENTION.0);
    assert_eq!(world.list(), "");
    assert!(world.notes.contains(&Note::OffsetsExpired { group: "g".into(), count: 1 }));
    assert!(world.notes.contains(&Note::GroupDeleted { group: "g".into() }));
    world.compacted_log_agrees();
}

#[test]
fn offsets_of_an_empty_group_expire_from_when_it_became_empty() {
    let mut world = World::stable(&["a"]);
    world.commit(commit("a", 1, 5));
    for _ in 0..2 * RETENTION.0 / (SESSION - 1) {
        world.pass(SESSION - 1);
        assert_eq!(world.heartbeat(heartbeat("a", 1)), "0");
    }
    assert_eq!(world.fetch(fetch("g")), "5");
    world.leave(leave("a"));
    world.pass(RETENTION.0 - 1);
    assert_eq!(world.fetch(fetch("g")), "5");
    // A restart does not begin the retention anew.
    world.fail_over();
    world.pass(600_000);
    assert_eq!(world.fetch(fetch("g")), "");
    assert_eq!(world.state("g"), None);
}

#[test]
fn of_a_stable_group_the_offsets_that_no_member_reads_expire() {
    let mut world = World::stable(&["a"]);
    world.commit(commit("a", 1, 5));
    world.commit(CommitOffsets { member: "a-1".into(), generation: 1, ..commit_to("g", "unread", 6) });
    for _ in 0..RETENTION.0 / (SESSION - 1) + 600 {
        world.pass(SESSION - 1);
        world.heartbeat(heartbeat("a", 1));
    }
    assert_eq!(world.fetch(fetch("g")), "5");
    assert_eq!(world.state("g"), Some(GroupState::Stable));
}

#[test]
fn a_retention_that_the_client_asked_for_goes_first() {
    let mut world = World::new();
    world.commit(CommitOffsets { retention: Some(Millis(1_000)), ..commit_to("g", "t", 5) });
    world.commit(CommitOffsets { retention: Some(Millis(9 * RETENTION.0)), ..commit_to("g", "u", 6) });
    world.pass(600_000);
    assert_eq!(world.fetch(fetch("g")), "6");
    world.pass(2 * RETENTION.0);
    assert_eq!(world.fetch(fetch("g")), "6");
}

/// Commits for 5,000 partitions of `t`.
fn commit_widely(world: &mut World) {
    let mut request = commit_to("g", "t", 5);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..5_000).map(|index| CommitPartition { index, ..partition.clone() }).collect();
    world.commit(request);
}

#[test]
fn what_is_cleared_away_fits_into_batches() {
    let tombstones = |world: &mut World, from: usize| {
        let mut batches = Vec::new();
        let mut before = from;
        while world.shard.next_deadline() <= Some(world.now) {
            batches.push(world.log.len() - before);
            before = world.log.len();
            world.event(crate::group::GroupShard::tick);
        }
        batches.push(world.log.len() - before);
        batches
    };
    let mut world = World::new();
    commit_widely(&mut world);
    let before = world.log.len();
    world.event(|shard, _, out| shard.topic_deleted(&"t".into(), TopicId::ZERO, out));
    assert_eq!(tombstones(&mut world, before), [2_000, 2_000, 1_000]);

    commit_widely(&mut world);
    world.commit(commit_to("h", "t", 1));
    let before = world.log.len();
    world.now = world.now + RETENTION + Millis(600_000);
    // The last batch has the tombstones of the groups, and those of `h`.
    assert_eq!(tombstones(&mut world, before), [0, 2_000, 2_000, 1_000 + 3]);
    assert_eq!(world.list(), "");
}

/// Commits for a topic in each of these groups, in one event.
fn commit_in(world: &mut World, groups: impl Iterator<Item = String>) {
    world.event(|shard, now, out| {
        for group in groups {
            shard.commit_offsets(now, crate::group::ReplyToken(0), commit_to(&group, "t", 1), out);
        }
        out.replies.clear();
    });
}

#[test]
fn more_groups_than_one_tick_looks_through_are_all_looked_through() {
    let mut world = World::new();
    commit_in(&mut world, (0..2_500).map(|group| format!("old-{group}")).chain([String::new()]));
    world.pass(RETENTION.0 - 1);
    // Groups that are in use come first.
    commit_in(&mut world, (0..1_500).map(|group| format!("in-use-{group}")));
    world.pass(600_000);
    assert_eq!(world.list().split(' ').count(), 1_500);
    world.pass(RETENTION.0);
    assert_eq!(world.list(), "");
    assert!(world.is_forgotten());
}

#[test]
fn members_of_thousands_of_groups_that_die_at_once_are_recorded_in_batches() {
    let mut world = World::new();
    world.event(|shard, now, out| {
        for group in 0..2_500 {
            let request = JoinGroup { group: format!("g{group}").into(), ..join("a") };
            shard.join_group(now, crate::group::ReplyToken(0), request, out);
        }
    });
    world.now = world.now + Millis(super::world::DELAY);
    world.event(|shard, now, out| {
        shard.tick(now, out);
        out.replies.clear();
    });
    let before = world.log.len();
    world.now = world.now + Millis(SESSION);
    world.event(crate::group::GroupShard::tick);
    assert_eq!(world.log.len() - before, 2_000);
    assert!(world.shard.next_deadline() <= Some(world.now));
    world.event(crate::group::GroupShard::tick);
    assert_eq!(world.log.len() - before, 2_500);
}

#[test]
fn thousands_of_members_are_no_burden_for_the_timers() {
    let mut world = World::with(GroupConfig::default());
    let clients: Vec<String> = (0..2_000).map(|client| format!("{client:04}")).collect();
    let now = world.now;
    let mut out = crate::group::Effects::default();
    for client in &clients {
        world.shard.join_group(now, crate::group::ReplyToken(0), join(client), &mut out);
    }
    let mut now = now;
    while world.state("g") == Some(GroupState::PreparingRebalance) {
        now = world.shard.next_deadline().unwrap();
        world.shard.tick(now, &mut out);
    }
    let group: Str = "g".into();
    assert_eq!(world.state(&group), Some(GroupState::CompletingRebalance));
    for round in 0..20 {
        for client in &clients {
            let request = heartbeat(client, 1);
            world.shard.heartbeat(now + Millis(round), crate::group::ReplyToken(0), request, &mut out);
        }
    }
    world.shard.check();
}
