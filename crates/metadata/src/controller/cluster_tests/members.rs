//! Brokers come and go, and leaders change their ISRs.

use eddy_types::{BrokerId, ErrorCode, LeaderEpoch, Millis, PartitionEpoch, TopicId};

use super::*;

#[test]
fn a_fenced_broker_leaves_the_isr_and_what_it_led_goes_to_the_next_replica() {
    story(
        three_of_four(),
        "fence 3 -> 1/0/1 isr 1,2
         fence 3 -> 1/0/1 isr 1,2
         fence 1 -> 2/1/2 isr 2 elr 1
         fence 9 -> 2/1/2 isr 2 elr 1",
    );
}

/// The last member stays in the ISR: somebody must be known to hold the records.
#[test]
fn the_last_member_keeps_its_place_in_the_isr_and_leads_again_when_it_is_back() {
    story(
        Cluster::of(3).topic("t", &[&[1, 2, 3]], &[]),
        "fence 2   -> 1/0/1 isr 1,3
         fence 3   -> 1/0/2 isr 1
         fence 1   -> none/1/3 isr 1
         return 2  -> none/1/3 isr 1
         restart 1 -> 1/2/4 isr 1",
    );
}

/// below min.insync.replicas the high watermark stands still, so those who left hold everything below it.
#[test]
fn an_eligible_replica_leads_when_the_isr_is_dead() {
    story(
        three_of_four(),
        "fence 3   -> 1/0/1 isr 1,2
         fence 2   -> 1/0/2 isr 1 elr 2
         fence 1   -> none/1/3 isr 1 elr 2
         return 3  -> none/1/3 isr 1 elr 2
         restart 2 -> 2/2/4 isr 2 elr 1
         restart 1 -> 2/2/4 isr 2 elr 1
         isr 1,2   -> 2/2/5 isr 1,2",
    );
}

/// The leader may have lost what followers copied before it was synced: the same epoch must not stand for both.
#[test]
fn a_restarted_leader_has_a_new_epoch_or_hands_over() {
    story(
        three_of_four(),
        "restart 1 -> 2/1/1 isr 1,2,3
         restart 1 -> 2/1/1 isr 1,2,3
         isr 2     -> 2/1/2 isr 2 elr 1,3
         restart 2 -> 2/2/3 isr 2 elr 1,3",
    );
}

/// A lone broker with many partitions starts without writing one of them anew.
#[test]
fn a_partition_without_followers_keeps_its_epoch_over_a_restart() {
    let mut cluster = Cluster::of(1).topic("t", &[&[1]], &[]);
    let before = cluster.image.version();
    cluster.register(1, None, false).unwrap();
    assert_eq!(cluster.image.version(), before + 1, "the registration and nothing else");
    story(
        cluster,
        "fence 1   -> none/1/1 isr 1 of 1
         restart 1 -> 1/2/2 isr 1 of 1",
    );
}

/// KIP-903: with its disk a broker loses its places; elected on their strength it would have everybody cut their logs.
#[test]
fn a_broker_with_another_disk_is_in_no_isr_and_no_elr() {
    story(
        three_of_four(),
        "fence 3   -> 1/0/1 isr 1,2
         fence 1   -> 2/1/2 isr 2 elr 1
         replace 1 -> 2/1/3 isr 2
         fence 2   -> none/2/4 isr 2
         upkeep    -> none/2/4 isr 2",
    );
    story(
        three_of_four(),
        "fence 2   -> 1/0/1 isr 1,3
         fence 3   -> 1/0/2 isr 1 elr 3
         fence 1   -> none/1/3 isr 1 elr 3
         replace 1 -> none/1/4 isr 3
         return 3  -> 3/2/5 isr 3",
    );
    story(
        Cluster::of(2).topic("t", &[&[1]], &[]),
        "fence 1       -> none/1/1 isr 1 of 1
         replace 1     -> none/1/2 isr  of 1
         upkeep        -> none/1/2 isr  of 1
         elect unclean -> 1/2/3 isr 1 of 1",
    );
}

/// two data directories, one id.
#[test]
fn a_second_broker_of_one_id_is_refused_while_the_first_is_alive() {
    story(
        three_of_four(),
        "replace 2 -> DUPLICATE_BROKER_REGISTRATION
         stop 2    -> 1/0/0 isr 1,2,3
         replace 2 -> DUPLICATE_BROKER_REGISTRATION
         fence 2   -> 1/0/1 isr 1,3
         replace 2 -> 1/0/1 isr 1,3",
    );
}

#[test]
fn a_broker_that_never_told_its_directory_is_taken_for_the_same() {
    let mut cluster = Cluster::of(0);
    cluster.register(1, Some(0), false).unwrap();
    let mut cluster = cluster.topic("t", &[&[1]], &[]);
    cluster.register(1, Some(7), false).unwrap();
    assert_eq!(state(cluster.partition("t", 0)), "1/0/0 isr 1 of 1");
    assert_eq!(cluster.image.broker(BrokerId(1)).unwrap().directory, [7; 16]);
}

///
#[test]
fn leaderships_move_before_a_broker_stops_and_its_isrs_after() {
    let cluster = story(
        three_of_four(),
        "stop 2    -> 1/0/0 isr 1,2,3
         stop 1    -> 3/1/1 isr 1,2,3
         stop 1    -> 3/1/1 isr 1,2,3
         stop 3    -> 3/1/1 isr 1,2,3
         fence 1   -> 3/1/2 isr 2,3
         restart 1 -> 3/1/2 isr 2,3
         isr 1,2,3 -> 3/1/3 isr 1,2,3
         fence 3   -> 1/2/4 isr 1,2",
    );
    assert!(!cluster.image.broker(BrokerId(1)).unwrap().shutting_down);
}

#[test]
fn a_broker_that_shuts_down_stays_in_its_isr_but_joins_none() {
    story(
        three_of_four(),
        "stop 3    -> 1/0/0 isr 1,2,3
         isr 1,3   -> 1/0/1 isr 1,3
         isr 1     -> 1/0/2 isr 1 elr 3
         isr 1,3   -> INELIGIBLE_REPLICA
         isr 1,2   -> 1/0/3 isr 1,2",
    );
}

#[test]
fn the_isr_shrinks_and_grows_at_the_wish_of_the_leader() {
    story(
        three_of_four(),
        "isr 1,2,3 -> 1/0/0 isr 1,2,3
         isr 3,1   -> 1/0/1 isr 1,3
         isr 1     -> 1/0/2 isr 1 elr 3
         isr 1,2   -> 1/0/3 isr 1,2
         isr 2     -> INVALID_REQUEST
         isr 1,4   -> INVALID_REQUEST
         isr 1,1   -> INVALID_REQUEST
         fence 2   -> 1/0/4 isr 1 elr 2
         isr 1,2   -> INELIGIBLE_REPLICA
         restart 2 -> 1/0/4 isr 1 elr 2
         isr 1,2   -> 1/0/5 isr 1,2",
    );
}

/// KIP-497, in the order in which Kafka checks.
#[test]
fn wishes_that_do_not_fit_are_refused_with_kafka_s_codes() {
    let mut cluster = three_of_four();
    cluster.run("restart 2").unwrap();
    cluster.run("stop 1").unwrap();
    assert_eq!(state(cluster.partition("t", 0)), "2/1/1 isr 1,2,3");
    let good = cluster.wish("t", 0, &[2, 3]);
    let epoch = |id: i32| cluster.image.broker(BrokerId(id)).unwrap().epoch;
    let code = |from: i32, from_epoch: i64, wish: IsrChange| {
        let (records, results) = alter_partitions(&cluster.image, BrokerId(from), from_epoch, &[wish]);
        assert_eq!(records.is_empty(), results[0].is_err());
        results[0].as_ref().err().map_or(ErrorCode::None, IsrRefusal::code)
    };
    let with = |change: &dyn Fn(&mut IsrChange)| {
        let mut wish = good.clone();
        change(&mut wish);
        code(2, epoch(2), wish)
    };
    assert_eq!(with(&|_| ()), ErrorCode::None);
    assert_eq!(code(9, 0, good.clone()), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(code(2, epoch(2) - 1, good.clone()), ErrorCode::StaleBrokerEpoch);
    assert_eq!(code(1, epoch(1), good.clone()), ErrorCode::InvalidRequest);
    assert_eq!(with(&|wish| wish.topic = TopicId([9; 16])), ErrorCode::UnknownTopicId);
    assert_eq!(with(&|wish| wish.partition = 1), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(with(&|wish| wish.partition = -1), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(with(&|wish| wish.leader_epoch = LeaderEpoch(2)), ErrorCode::NotController);
    assert_eq!(with(&|wish| wish.partition_epoch = PartitionEpoch(2)), ErrorCode::NotController);
    assert_eq!(with(&|wish| wish.leader_epoch = LeaderEpoch(0)), ErrorCode::FencedLeaderEpoch);
    assert_eq!(with(&|wish| wish.partition_epoch = PartitionEpoch(0)), ErrorCode::InvalidUpdateVersion);
    assert_eq!(with(&|wish| wish.isr.clear()), ErrorCode::InvalidRequest);
    // R6: a member known from an earlier run, or of an unknown epoch.
    assert_eq!(with(&|wish| wish.isr[1].1 -= 1), ErrorCode::IneligibleReplica);
    assert_eq!(with(&|wish| wish.isr[1].1 = -1), ErrorCode::IneligibleReplica);
    let twice = [good.clone(), good.clone()];
    let (records, results) = alter_partitions(&cluster.image, BrokerId(2), epoch(2), &twice);
    assert_eq!(records.len(), 1);
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code(), ErrorCode::InvalidUpdateVersion);
}

#[test]
fn a_broker_lives_while_it_is_heard_and_dies_with_its_process() {
    let mut cluster = Cluster::of(3);
    let epoch = |cluster: &Cluster, id| cluster.image.broker(BrokerId(id)).unwrap().epoch;
    let [first, second, third] = [1, 2, 3].map(|id| epoch(&cluster, id));
    let due = |liveness: &mut Liveness, cluster: &Cluster, now| {
        let silence = liveness.tick(Millis(now), &cluster.image);
        assert_eq!(silence.stood_still, None);
        silence.brokers
    };
    let mut liveness = Liveness::new(Millis(3_000), Millis(0), Millis(2_000), &cluster.image);
    assert_eq!(due(&mut liveness, &cluster, 2_999), []);
    assert!(liveness.heartbeat(Millis(2_999), BrokerId(1), first));
    // Silent brokers, told until they are fenced.
    let silent = vec![(BrokerId(2), second), (BrokerId(3), third)];
    assert_eq!(due(&mut liveness, &cluster, 3_000), silent);
    let records = fence_broker(&cluster.image, BrokerId(2));
    cluster.commit(&records);
    assert_eq!(due(&mut liveness, &cluster, 3_001), [(BrokerId(3), third)]);
    // Too late: it may be fenced at any moment, and lives again with its next registration, though nobody saw it fenced.
    assert!(!liveness.heartbeat(Millis(3_001), BrokerId(3), third));
    assert_eq!(due(&mut liveness, &cluster, 3_002), [(BrokerId(3), third)]);
    let records = fence_broker(&cluster.image, BrokerId(3));
    cluster.commit(&records);
    cluster.register(3, None, true).unwrap();
    assert_eq!(due(&mut liveness, &cluster, 3_003), []);
    assert!(liveness.heartbeat(Millis(3_004), BrokerId(3), epoch(&cluster, 3)));
    liveness.process_gone(Millis(3_200), BrokerId(1));
    assert_eq!(due(&mut liveness, &cluster, 3_200), [(BrokerId(1), first)]);
    // It is back: a session like every other's.
    cluster.register(1, None, false).unwrap();
    assert!(liveness.heartbeat(Millis(3_300), BrokerId(1), epoch(&cluster, 1)));
    assert_eq!(due(&mut liveness, &cluster, 4_000), []);
    // Who could not hear anybody knows nothing.
    let silence = liveness.tick(Millis(8_000), &cluster.image);
    assert_eq!(silence, Silence { brokers: vec![], stood_still: Some(Millis(4_000)) });
    assert_eq!(due(&mut liveness, &cluster, 9_500), []);
    assert_eq!(due(&mut liveness, &cluster, 10_999), []);
    let silent = [1, 3].map(|id| (BrokerId(id), epoch(&cluster, id)));
    assert_eq!(due(&mut liveness, &cluster, 11_000), silent);
}

/// KIP-966: elections count on it, so it is one for all.
#[test]
fn the_first_broker_that_has_a_least_number_of_replicas_in_sync_in_its_file_commits_it_for_all() {
    let seen_by = |listen: bool, min_isr: Option<&str>| {
        let listen = listen.then_some(("cluster.listen", "127.0.0.1:9094"));
        let pairs = listen.into_iter().chain(min_isr.map(|text| ("min.insync.replicas", text)));
        Arc::new(Local { broker: BrokerId(1), config: StaticConfig::from_pairs(pairs).unwrap() })
    };
    let registration = Registration {
        broker: BrokerId(1),
        incarnation: 1,
        endpoints: Vec::new(),
        rack: None,
        directory: [1; 16],
    };
    let committed = |image: &Image| image.broker_default_overrides().get("min.insync.replicas").cloned();
    for (listen, min_isr, expected) in
        [(false, Some("2"), None), (true, None, None), (true, Some("2"), Some("2".to_owned()))]
    {
        let mut image = Image::empty(seen_by(listen, min_isr));
        for record in register_broker(&image, &registration).unwrap() {
            image.apply(&record).unwrap();
        }
        assert_eq!(committed(&image), expected);
        assert!(register_broker(&image, &registration).unwrap().is_empty(), "the same again changes nothing");
        // Another broker with another file goes by what the cluster has.
        if expected.is_some() {
            let other = Registration { broker: BrokerId(2), directory: [2; 16], ..registration.clone() };
            let image = image.clone();
            assert_eq!(register_broker(&image, &other).unwrap().len(), 1);
        }
    }
}
