//! Who is a member: founding, joining, growing, leaving, coming back.

use std::sync::Arc;
use std::time::Duration;

use eddy_metadata::Image;
use eddy_metadata::controller::register_broker;
use eddy_types::BrokerId;

use super::Follower;
use super::harness::*;
use crate::{Quorum, QuorumError};

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_found_one_cluster_whatever_the_order_of_their_starts() {
    log();
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let all = Brokers::new(3, 3).await;
        let mut starts = Vec::new();
        for (place, broker) in order.into_iter().enumerate() {
            let all = &all;
            starts.push(async move {
                tokio::time::sleep(Duration::from_millis(250) * u32::try_from(place).unwrap()).await;
                all.start(broker).await
            });
        }
        let running = join_all(starts).await;
        let refs: Vec<&Running> = running.iter().collect();
        until_equal(&refs).await;
        let cluster = running[0].quorum.image().cluster_id();
        assert!(cluster.is_some());
        for one in &running {
            until("all vote", || voters(one) == brokers([1, 2, 3])).await;
            assert_eq!(one.peers.cluster(), cluster);
        }
        for one in running {
            one.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_stopped_as_a_whole_is_the_same_again() {
    log();
    let all = Brokers::new(3, 3).await;
    let running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    running[1].create(1).await.unwrap();
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    let before = running[0].quorum.image();
    join_all(running.into_iter().map(Running::stop).collect()).await;
    let running = all.start_all([3, 2, 1]).await;
    for one in &running {
        assert_eq!(one.quorum.image().to_snapshot(), before.to_snapshot());
        until("all vote", || voters(one) == brokers([1, 2, 3])).await;
    }
    running[0].create(2).await.unwrap();
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_broker_comes_back_as_another_member_in_the_place_of_the_old_one() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    for round in 0..3 {
        // The founder too: it must not found a second cluster.
        let broker = running[0].peers.me();
        let wiped = usize::try_from(broker.0).unwrap();
        running.remove(0).stop().await;
        all.wipe(wiped);
        running[0].create_patiently(round).await;
        let back = all.start(wiped).await;
        assert_eq!(back.quorum.image().topic_count(), round as usize + 1);
        running.push(back);
        let refs: Vec<&Running> = running.iter().collect();
        until("three voters and nobody else", || {
            refs.iter().all(|one| {
                let status = one.quorum.status();
                status.voters.len() == 3 && status.learners.is_empty() && voters(one) == brokers([1, 2, 3])
            })
        })
        .await;
        until_equal(&refs).await;
        let cluster = refs[0].quorum.image().cluster_id();
        assert!(refs.iter().all(|one| one.quorum.image().cluster_id() == cluster));
    }
    // The new members vote: any of them may go now.
    running.remove(0).stop().await;
    running[0].create_patiently(100).await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_from_one_to_three_to_five_voters() {
    log();
    let all = Brokers::new(5, 1).await;
    let mut running = vec![all.start(1).await];
    register(&running[0], 1).await;
    assert_eq!(voters(&running[0]), brokers([1]));
    let mut topics = 0;
    for (broker, expected) in
        [(2, brokers([1])), (3, brokers([1, 2, 3])), (4, brokers([1, 2, 3])), (5, brokers([1, 2, 3, 4, 5]))]
    {
        running.push(all.start(broker).await);
        running.last().unwrap().create(topics).await.unwrap();
        topics += 1;
        until(&format!("{expected:?} vote"), || running.iter().all(|one| voters(one) == expected)).await;
    }
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    // Five voters do without two, the first one among them.
    for _ in 0..2 {
        running.remove(0).stop().await;
    }
    running[0].create_patiently(topics).await;
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_leaves_is_a_member_no_longer_whoever_leads() {
    log();
    let all = Brokers::new(4, 3).await;
    let mut running = all.start_all(1..=4).await;
    register(&running[0], 1).await;
    let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
    let gone = running.remove(leader);
    let broker = gone.peers.me();
    // It leads while it goes.
    running[0].quorum.remove_member(broker).await.unwrap();
    running[0].quorum.remove_member(broker).await.unwrap();
    let expected = running.iter().map(|one| one.peers.me()).collect();
    until("the others vote", || running.iter().all(|one| voters(one) == expected)).await;
    gone.stop().await;
    running[1].create_patiently(1).await;
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    // It may come again.
    let back = all.start(usize::try_from(broker.0).unwrap()).await;
    assert_eq!(back.quorum.image().topic_count(), 1);
    back.create_patiently(2).await;
    back.stop().await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_cluster_is_refused() {
    log();
    let one = Brokers::new(1, 1).await;
    let stranger = one.start(1).await;
    let cluster = stranger.quorum.image().cluster_id();
    stranger.stop().await;

    // Broker 1 belongs to another cluster and is moved to the place of broker 3 of this one.
    let all = Brokers::new(3, 2).await;
    let running = all.start_all(1..=2).await;
    let peers = all.peers_as(1, 3).await;
    let mut config = one.config(1, &peers);
    config.cluster.as_mut().unwrap().seeds = all.seeds();
    let lost = Quorum::start(config, Arc::new(Follower::default()));
    let waited = tokio::time::timeout(Duration::from_secs(2), lost).await;
    if let Ok(Ok(lost)) = waited {
        // It leads its own cluster of one; it has not become part of this one.
        assert_eq!(lost.image().cluster_id(), cluster);
        lost.shutdown().await;
    }
    for one in &running {
        assert_ne!(one.quorum.image().cluster_id(), cluster);
        let status = one.quorum.status();
        assert_eq!(status.voters.len() + status.learners.len(), 2, "{status:?}");
    }
    peers.shutdown().await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_broker_with_the_id_of_one_that_runs_is_refused() {
    log();
    let all = Brokers::new(4, 3).await;
    let running = all.start_all(1..=3).await;
    let peers = all.peers_as(2, 4).await;
    let mut config = all.config(4, &peers);
    config.me = id(2);
    let refused = Quorum::start(config, Arc::new(Follower::default())).await.err().unwrap();
    assert!(matches!(refused, QuorumError::BrokerRuns { broker: BrokerId(2), .. }), "{refused}");
    let status = running[0].quorum.status();
    assert_eq!((status.voters.len(), status.learners.len()), (3, 0));
    peers.shutdown().await;
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_becomes_a_cluster_and_cannot_be_alone_again() {
    log();
    let all = Brokers::new(3, 1).await;
    let peers = all.peers_as(1, 1).await;
    let mut alone = all.config(1, &peers);
    alone.cluster = None;
    let lone = Quorum::start(alone.clone(), Arc::new(Follower::default())).await.unwrap();
    let registration = super::registration(BrokerId(1), 1);
    let register = |image: &Image| register_broker(image, &registration).map(|records| (records, ()));
    lone.change(register).await.unwrap();
    let before = lone.image();
    lone.shutdown().await;
    peers.shutdown().await;

    let mut running = vec![all.start(1).await];
    assert_eq!(running[0].quorum.image().to_snapshot(), before.to_snapshot());
    running.extend(all.start_all(2..=3).await);
    until("all vote", || running.iter().all(|one| voters(one) == brokers([1, 2, 3]))).await;
    running[2].create_patiently(1).await;
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    for one in running {
        one.stop().await;
    }
    let refused = Quorum::start(alone, Arc::new(Follower::default())).await.err().unwrap();
    assert!(matches!(refused, QuorumError::NotAlone { voters: 3 }), "{refused}");
}

/// The first image that it was told.
#[derive(Default)]
struct First(std::sync::OnceLock<Arc<Image>>);

impl crate::Applied for First {
    fn applied(&self, _: &[eddy_metadata::Record], image: &Arc<Image>) {
        let _ = self.0.set(Arc::clone(image));
    }
}

/// Whoever starts removes the files of replicas that have left. One that came back since must not be among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_tells_nothing_older_than_what_was_committed_before_it() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    for round in 0..5 {
        let broker = 3 - round % 3;
        running.remove(broker - 1).stop().await;
        let number = u32::try_from(round).unwrap() * 100;
        // Its disk lacks all of this, and more so the mark of what is committed.
        running[0].create_many(number..number + 50).await;
        let committed = running[0].quorum.image().version();
        let (peers, first) = (all.peers_as(broker, broker).await, Arc::new(First::default()));
        let told = Arc::clone(&first) as Arc<dyn crate::Applied>;
        let quorum = Quorum::start(all.config(broker, &peers), told).await.unwrap();
        assert!(first.0.get().unwrap().version() >= committed, "broker {broker}");
        running.insert(broker - 1, Running { quorum: Arc::new(quorum), peers });
    }
    for one in running {
        one.stop().await;
    }
}
