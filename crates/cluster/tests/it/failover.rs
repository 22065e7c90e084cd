//! Brokers that die, and what is left of what was acknowledged.

use std::convert::Infallible;
use std::time::Duration;

use eddy_core::Acks;
use eddy_engine::PartitionKey;
use eddy_metadata::Image;
use eddy_metadata::controller::{ElectionKind, elect_leaders, fence_broker};
use eddy_types::BrokerId;
use tokio::time::Instant;

use crate::harness::{World, partition_state, until};
use crate::records::{append, batch};

fn value(sequence: i32) -> Vec<u8> {
    format!("value {sequence}").into_bytes()
}

/// Each value is there once, in order, at the offset that was acknowledged.
async fn verify(world: &World, key: PartitionKey, count: i32) {
    let records = world.until_equal(key).await;
    let values: Vec<Vec<u8>> = records.into_iter().map(|(_, value)| value.to_vec()).collect();
    assert_eq!(values, (0..count).map(value).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 1, "2").await;
    let key = PartitionKey { topic, index: 0 };
    let mut sequence = 0;
    for _ in 0..3 {
        for _ in 0..50 {
            world.produce(key, 7, sequence, &[value(sequence)]).await;
            sequence += 1;
        }
        let (leader, epoch) = world.leader(key).await;
        let began = Instant::now();
        world.kill(leader).await;
        world.produce(key, 7, sequence, &[value(sequence)]).await;
        sequence += 1;
        println!("leader {leader} of epoch {epoch} killed, next acknowledgement after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(15));
        verify(&world, key, sequence).await;
        world.restart(leader).await;
        world.until_isr(key, &[1, 2, 3]).await;
        println!("back in the ISR after {:?}", began.elapsed());
        verify(&world, key, sequence).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_the_controller_too_is_replaced() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 6, "2").await;
    let controller = world.any().engine.quorum().leader().unwrap();
    let keys: Vec<PartitionKey> = (0..6).map(|index| PartitionKey { topic, index }).collect();
    let mut led = 0;
    for key in &keys {
        world.produce(*key, 7, 0, &[value(0)]).await;
        led += usize::from(world.leader(*key).await.0 == controller);
    }
    assert!(led > 0, "the controller leads some of them");
    let began = Instant::now();
    world.kill(controller).await;
    for key in &keys {
        world.produce(*key, 7, 1, &[value(1)]).await;
    }
    println!("controller killed, all partitions acknowledge after {:?}", began.elapsed());
    world.restart(controller).await;
    for key in &keys {
        world.until_isr(*key, &[1, 2, 3]).await;
        verify(&world, *key, 2).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_of_all_at_once_lose_nothing_acknowledged() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 1, "2").await;
    let key = PartitionKey { topic, index: 0 };
    for sequence in 0..40 {
        world.produce(key, 7, sequence, &[value(sequence)]).await;
    }
    for id in 1..4 {
        world.power_cut(BrokerId(id)).await;
    }
    world.restart_all((1..4).map(BrokerId)).await;
    world.produce(key, 7, 40, &[value(40)]).await;
    world.until_isr(key, &[1, 2, 3]).await;
    verify(&world, key, 41).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_dead_leader_had_is_cut_when_it_comes_back() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 1, "2").await;
    let key = PartitionKey { topic, index: 0 };
    for sequence in 0..10 {
        world.produce(key, 7, sequence, &[value(sequence)]).await;
    }
    let (leader, epoch) = world.leader(key).await;
    let others: Vec<BrokerId> = (1..4).map(BrokerId).filter(|id| *id != leader).collect();
    for other in &others {
        world.kill(*other).await;
    }
    // Too few are in sync for the high watermark to move: this is on one disk and was promised to nobody.
    let node = world.node(leader);
    let partition = node.engine.partition(&node.engine.image(), key).await.unwrap();
    append(&node.engine, &partition, Acks::Leader, batch(9, 0, &[b"lost".to_vec()])).await.unwrap();
    assert_eq!(partition.offsets().log_end.0, 11);
    assert_eq!(partition.offsets().high_watermark.0, 10);
    world.kill(leader).await;
    world.restart_all(others).await;
    world.produce(key, 7, 10, &[value(10)]).await;
    assert!(world.leader(key).await.1 > epoch);
    world.restart(leader).await;
    world.until_isr(key, &[1, 2, 3]).await;
    verify(&world, key, 11).await;
    let truncations: u64 = world.node(leader).cluster.stats().fetchers.iter().map(|f| f.truncations).sum();
    assert_eq!(truncations, 1, "it had a record that nobody else has");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_catches_up_from_segments() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 1, "2").await;
    let key = PartitionKey { topic, index: 0 };
    let (leader, _) = world.leader(key).await;
    let away = (1..4).map(BrokerId).find(|id| *id != leader).unwrap();
    world.kill(away).await;
    let filler = vec![vec![b'x'; 10_000]; 10];
    for sequence in 0..100 {
        world.produce(key, 7, sequence * 10, &filler).await;
    }
    let node = world.node(leader);
    let partition = node.engine.partition(&node.engine.image(), key).await.unwrap();
    until("some of it left memory", || (partition.log().unflushed_bytes() < 5_000_000).then_some(())).await;
    world.restart(away).await;
    world.until_isr(key, &[1, 2, 3]).await;
    assert_eq!(world.until_equal(key).await.len(), 1000);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_unclean_election_the_leaders_log_is_the_log_r_3_107() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 1, "1").await;
    let key = PartitionKey { topic, index: 0 };
    world.produce(key, 7, 0, &[value(0)]).await;
    let (leader, _) = world.leader(key).await;
    let others: Vec<BrokerId> = (1..4).map(BrokerId).filter(|id| *id != leader).collect();
    // The metadata group needs a majority, so one of them stays and only ceases to follow.
    world.kill(others[0]).await;
    world.node(others[1]).cluster.stop().await;
    for other in &others {
        let fence = |image: &Image| Ok::<_, Infallible>((fence_broker(image, *other), ()));
        world.node(leader).engine.quorum().change(fence).await.unwrap();
    }
    for sequence in 1..5 {
        world.produce(key, 7, sequence, &[value(sequence)]).await;
    }
    world.shut_down(leader).await;
    world.kill(others[1]).await;
    world.restart_all(others).await;
    let none = || (partition_state(&world.any().engine.image(), key)?.leader.is_none()).then_some(());
    until("nobody leads: those who may are dead", none).await;
    let elect = |image: &Image| {
        let (records, _) = elect_leaders(image, ElectionKind::Unclean, None);
        Ok::<_, Infallible>((records, ()))
    };
    world.any().engine.quorum().change(elect).await.unwrap();
    world.produce(key, 8, 0, &[value(1)]).await;
    world.restart(leader).await;
    world.until_isr(key, &[1, 2, 3]).await;
    verify(&world, key, 2).await;
    world.stop().await;
}
