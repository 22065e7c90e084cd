//! Replicas move (R-3.109, KIP-455).

use super::*;

#[test]
fn new_replicas_join_before_old_ones_leave() {
    let cluster = story(
        three_of_four(),
        "reassign 4,2,3 -> 1/0/1 isr 1,2,3 of 4,2,3,1 +4 -1
         reassign 4,2,3 -> 1/0/1 isr 1,2,3 of 4,2,3,1 +4 -1
         isr 1,2,4      -> 1/0/2 isr 4,2,1 of 4,2,3,1 +4 -1
         isr 1,2        -> 1/0/3 isr 2,1 of 4,2,3,1 +4 -1",
    );
    assert_eq!(cluster.image.removed_replicas_of(BrokerId(1)).count(), 0);
}

#[test]
fn a_leader_that_leaves_hands_over_when_the_reassignment_completes() {
    let mut cluster = three_of_four();
    cluster.run("reassign 4,2,3").unwrap();
    let from = BrokerId(1);
    let epoch = cluster.image.broker(from).unwrap().epoch;
    let wish = cluster.wish("t", 0, &[1, 2, 3, 4]);
    let (records, results) = alter_partitions(&cluster.image, from, epoch, &[wish]);
    assert_eq!(results[0].as_ref().unwrap_err().code(), ErrorCode::NewLeaderElected);
    cluster.commit(&records);
    assert_eq!(state(cluster.partition("t", 0)), "4/1/2 isr 4,2,3 of 4,2,3");
    // Its directory is to be reclaimed, and then owed no more.
    let topic = cluster.image.topic("t").unwrap().id;
    assert!(cluster.image.is_removed_replica(BrokerId(1), topic, 0));
    let owed: Vec<_> = cluster.image.removed_replicas_of(BrokerId(1)).collect();
    assert_eq!(owed, [(topic, 0)]);
    assert_eq!(reclaim_directories(&cluster.image, BrokerId(2), &[], &owed), []);
    let records = reclaim_directories(&cluster.image, BrokerId(1), &[], &owed);
    cluster.commit(&records);
    assert_eq!(reclaim_directories(&cluster.image, BrokerId(1), &[], &owed), []);
}

/// What it said in its former life may be on its way to the leader still.
#[test]
fn a_replica_that_is_taken_away_and_given_back_finds_another_leader_epoch() {
    story(
        three_of_four(),
        "reassign 1,2   -> 1/1/1 isr 1,2 of 1,2
         reassign 1,2,3 -> 1/1/2 isr 1,2 +3
         reassign 3,2,1 -> 1/1/3 isr 1,2 of 3,2,1 +3",
    );
}

/// What it still has is the log of a replica that lags behind: deleting it now would delete a replica.
#[test]
fn a_replica_that_is_back_owes_no_removal() {
    let mut cluster = Cluster::of(4).topic("t", &[&[1, 2]], &[]);
    cluster.run("reassign 1").unwrap();
    assert_eq!(state(cluster.partition("t", 0)), "1/1/1 isr 1 of 1");
    assert_eq!(cluster.image.removed_replicas_of(BrokerId(2)).count(), 1);
    cluster.run("reassign 1,2").unwrap();
    assert_eq!(state(cluster.partition("t", 0)), "1/1/2 isr 1 of 1,2 +2");
    assert_eq!(cluster.image.removed_replicas_of(BrokerId(2)).count(), 0);
}

#[test]
fn a_topic_that_is_removed_takes_what_moved_replicas_left_behind_with_it() {
    let mut cluster = Cluster::of(4).topic("t", &[&[1, 2]], &[]);
    cluster.run("reassign 1").unwrap();
    let (records, topic) = delete_topic(&cluster.image, &TopicRef::Name("t")).unwrap();
    cluster.commit(&records);
    assert_eq!(cluster.image.removed_replicas_of(BrokerId(2)).count(), 0);
    assert_eq!(
        cluster.image.removed_topic(topic.id).unwrap().brokers,
        brokers(&[1, 2]).into_iter().collect()
    );
    // A broker that is gone for good will never pay.
    cluster.run("fence 2").err();
    let records = fence_broker(&cluster.image, BrokerId(2));
    cluster.commit(&records);
    let records = remove_broker(&cluster.image, BrokerId(2), Removal::WhenDead).unwrap();
    cluster.commit(&records);
    assert_eq!(cluster.image.removed_topic(topic.id).unwrap().brokers, brokers(&[1]).into_iter().collect());
}

#[test]
fn the_number_of_replicas_can_change_and_their_order() {
    story(
        Cluster::of(4).topic("t", &[&[1, 2]], &[]),
        "reassign 2,1     -> 1/0/1 isr 1,2 of 2,1
         reassign 2,1,3   -> 1/0/2 isr 1,2 of 2,1,3 +3
         isr 1,2,3        -> 1/0/3 isr 2,1,3 of 2,1,3
         fence 2          -> 1/0/4 isr 1,3 of 2,1,3
         reassign 1       -> 1/1/5 isr 1 of 1
         reassign 1       -> 1/1/5 isr 1 of 1",
    );
}

#[test]
fn a_reassignment_can_be_cancelled() {
    story(
        three_of_four(),
        "cancel         -> NO_REASSIGNMENT_IN_PROGRESS
         reassign 4,1,2 -> 1/0/1 isr 1,2,3 of 4,1,2,3 +4 -3
         isr 1,4        -> 1/0/2 isr 4,1 of 4,1,2,3 +4 -3
         cancel         -> 1/1/3 isr 1
         cancel         -> NO_REASSIGNMENT_IN_PROGRESS",
    );
}

#[test]
fn a_new_request_takes_the_place_of_the_one_under_way() {
    story(
        Cluster::of(5).topic("t", &[&[1, 2, 3]], &[]),
        "reassign 4,2,3 -> 1/0/1 isr 1,2,3 of 4,2,3,1 +4 -1
         isr 1,4        -> 1/0/2 isr 4,1 of 4,2,3,1 +4 -1
         reassign 5,2,3 -> 1/1/3 isr 1 of 5,2,3,1 +5 -1
         cancel         -> 1/2/4 isr 1 of 2,3,1",
    );
    // The last who hold the records stay until others do.
    story(
        Cluster::of(5).topic("t", &[&[1, 2, 3]], &[]),
        "reassign 4     -> 1/0/1 isr 1,2,3 of 4,1,2,3 +4 -1,2,3
         isr 1          -> 1/0/2 isr 1 of 4,1,2,3 +4 -1,2,3
         fence 1        -> none/1/3 isr 1 of 4,1,2,3 +4 -1,2,3
         elect unclean  -> 4/2/4 isr 4 of 4,1,2,3 +4 -1,2,3
         upkeep         -> 4/3/5 isr 4 of 4",
    );
}

#[test]
fn going_back_to_replicas_that_lost_the_records_is_unclean() {
    let mut cluster = Cluster::of(4).topic("t", &[&[1, 2]], &[]);
    cluster = story(
        cluster,
        "reassign 3,4 -> 1/0/1 isr 1,2 of 3,4,1,2 +3,4 -1,2
         isr 1,3      -> 1/0/2 isr 3,1 of 3,4,1,2 +3,4 -1,2
         fence 1      -> 3/1/3 isr 3 of 3,4,1,2 +3,4 -1,2
         cancel       -> INVALID_REPLICA_ASSIGNMENT
         reassign 2   -> 3/2/4 isr 3 of 2,3,1 -3,1",
    );
    story(cluster, "cancel       -> 3/2/5 isr 3 of 2,3,1");
}

/// What a dead old replica knows is not needed when the new ones know it.
#[test]
fn a_dead_replica_is_replaced() {
    story(
        three_of_four(),
        "fence 3        -> 1/0/1 isr 1,2
         reassign 1,2,4 -> 1/0/2 isr 1,2 of 1,2,4,3 +4 -3
         isr 1,2,4      -> 1/1/3 isr 1,2,4 of 1,2,4",
    );
}

#[test]
fn bad_assignments_are_refused_with_kafka_s_codes() {
    story(
        three_of_four(),
        "reassign      -> INVALID_REPLICA_ASSIGNMENT
         reassign 1,1  -> INVALID_REPLICA_ASSIGNMENT
         reassign 1,99 -> INVALID_REPLICA_ASSIGNMENT",
    );
    let cluster = three_of_four();
    let code = |topic: &str, partition, replicas: &[i32], same_factor| {
        let partition = TopicPartition { topic: topic.into(), partition };
        let wish = NewReplicas { partition, replicas: Some(brokers(replicas)) };
        let (_, results) = alter_reassignments(&cluster.image, &[wish], same_factor);
        results.into_iter().next().unwrap().err().map_or(ErrorCode::None, |refused| refused.code())
    };
    assert_eq!(code("t", 0, &[1, 2], true), ErrorCode::InvalidReplicationFactor);
    assert_eq!(code("t", 0, &[1, 2, 4], true), ErrorCode::None);
    assert_eq!(code("t", 1, &[1], false), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code("u", 0, &[1], false), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn reassignments_under_way_are_listed() {
    let mut cluster = Cluster::of(4).topic("t", &[&[1, 2], &[2, 1]], &[]);
    cluster.run("reassign 3,2").unwrap();
    let all = list_reassignments(&cluster.image, None);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].partition.to_string(), "t-0");
    assert_eq!(
        (&all[0].replicas, &all[0].adding, &all[0].removing),
        (&brokers(&[3, 2, 1]), &brokers(&[3]), &brokers(&[1]))
    );
    let at = |partition| TopicPartition { topic: "t".into(), partition };
    assert_eq!(list_reassignments(&cluster.image, Some(&[at(0)])), all);
    assert_eq!(list_reassignments(&cluster.image, Some(&[at(1), at(2)])), []);
}
