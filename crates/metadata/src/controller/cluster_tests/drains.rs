//! A broker is emptied, and leaves.

use super::*;

#[test]
fn a_drained_broker_gives_away_its_leaderships_and_then_its_replicas() {
    story(
        three_of_four(),
        "drain 9     -> BROKER_ID_NOT_REGISTERED
         drain 1     -> 2/1/1 isr 1,2,3 of 4,2,3,1 +4 -1
         drain 1     -> 2/1/1 isr 1,2,3 of 4,2,3,1 +4 -1
         upkeep      -> 2/1/1 isr 1,2,3 of 4,2,3,1 +4 -1
         remove 1    -> INVALID_REQUEST
         isr 1,2,3,4 -> 2/2/2 isr 4,2,3 of 4,2,3
         remove 1    -> 2/2/2 isr 4,2,3 of 4,2,3
         remove 1    -> BROKER_ID_NOT_REGISTERED",
    );
}

#[test]
fn a_drain_that_ends_keeps_the_replicas_that_were_leaving() {
    story(
        three_of_four(),
        "undrain 1   -> 1/0/0 isr 1,2,3
         drain 3     -> 1/0/1 isr 1,2,3 of 1,2,4,3 +4 -3
         undrain 3   -> 1/1/2 isr 1,2,3
         upkeep      -> 1/1/2 isr 1,2,3",
    );
}

#[test]
fn a_drain_outlives_a_restart_and_waits_for_somebody_who_takes_the_replicas() {
    let cluster = story(
        Cluster::of(3).topic("t", &[&[1, 2, 3]], &[]),
        "drain 3     -> 1/0/0 isr 1,2,3
         restart 3   -> 1/0/0 isr 1,2,3
         fence 1     -> 2/1/1 isr 2,3
         upkeep      -> 2/1/1 isr 2,3
         fence 2     -> 3/2/2 isr 3
         restart 2   -> 3/2/2 isr 3
         isr 2,3     -> 3/2/3 isr 2,3
         upkeep      -> 2/3/4 isr 2,3",
    );
    assert!(cluster.image.broker(BrokerId(3)).unwrap().draining);
}

#[test]
fn only_a_dead_broker_is_removed_with_what_it_holds() {
    let mut cluster = story(
        three_of_four(),
        "bury 3    -> INVALID_REQUEST
         fence 3   -> 1/0/1 isr 1,2
         remove 3  -> INVALID_REQUEST
         bury 3    -> 1/0/1 isr 1,2
         isr 1,2,3 -> INELIGIBLE_REPLICA
         fence 2   -> 1/0/2 isr 1 elr 2",
    );
    // It is nobody that was known before, whatever is on its disk.
    cluster.register(3, Some(3), false).unwrap();
    assert_eq!(state(cluster.partition("t", 0)), "1/0/2 isr 1 elr 2");
}

#[test]
fn a_decommissioned_broker_is_drained_and_then_removed() {
    let mut cluster = three_of_four();
    let (records, step) = decommission(&cluster.image, BrokerId(2)).unwrap();
    assert_eq!(step, Decommission::Draining { partitions: 1, stuck: 0 });
    cluster.commit(&records);
    let (records, step) = decommission(&cluster.image, BrokerId(2)).unwrap();
    assert_eq!((records.len(), step), (0, Decommission::Draining { partitions: 1, stuck: 0 }));
    cluster = story(cluster, "isr 1,2,3,4 -> 1/1/2 isr 1,4,3 of 1,4,3");
    let (records, step) = decommission(&cluster.image, BrokerId(2)).unwrap();
    assert_eq!(step, Decommission::Removed);
    cluster.commit(&records);
    assert_eq!(
        decommission(&cluster.image, BrokerId(2)).unwrap_err(),
        DrainError::UnknownBroker(BrokerId(2))
    );
    // Three replicas on three brokers: nobody can take one more.
    let (_, step) = decommission(&cluster.image, BrokerId(3)).unwrap();
    assert_eq!(step, Decommission::Draining { partitions: 1, stuck: 1 });
}

/// Those who take over have the fewest replicas, in racks that the partition does not have yet.
#[test]
fn drained_replicas_are_spread_over_racks_and_brokers() {
    // Racks: 1 and 4 are r0, 2 and 5 r1, 3 and 6 r2.
    let cluster = Cluster::of(6).topic("t", &[&[1, 2], &[1, 2], &[1, 3], &[1, 5]], &[]);
    let mut cluster = cluster;
    cluster.run("drain 1").unwrap();
    let added: Vec<String> = (0..4)
        .map(|index| {
            format!("{:?}", cluster.partition("t", index).adding.iter().map(|id| id.0).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(added, ["[4]", "[6]", "[4]", "[3]"]);
}

#[test]
fn a_drain_moves_a_bounded_number_of_partitions_at_a_time() {
    let replicas: Vec<&[i32]> = vec![&[1, 2]; 100];
    let mut cluster = Cluster::of(3).topic("t", &replicas, &[]);
    let moving = |cluster: &Cluster| list_reassignments(&cluster.image, None).len();
    cluster.run("drain 1").unwrap();
    assert_eq!(cluster.image.leads(BrokerId(1)).count(), 0, "leaderships move at once");
    assert_eq!(moving(&cluster), DRAINS_AT_ONCE_MAX);
    cluster.run("upkeep").unwrap();
    assert_eq!(moving(&cluster), DRAINS_AT_ONCE_MAX);
    for index in 0..10 {
        let epoch = cluster.image.broker(BrokerId(2)).unwrap().epoch;
        let wish = cluster.wish("t", index, &[1, 2, 3]);
        let (records, _) = alter_partitions(&cluster.image, BrokerId(2), epoch, &[wish]);
        cluster.commit(&records);
    }
    assert_eq!(moving(&cluster), DRAINS_AT_ONCE_MAX - 10);
    cluster.run("upkeep").unwrap();
    assert_eq!(moving(&cluster), DRAINS_AT_ONCE_MAX);
}
