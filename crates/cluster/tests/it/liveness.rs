//! Who is alive, and who may lead.

use std::time::Duration;

use eddy_core::Acks;
use eddy_engine::{AppendError, PartitionKey};
use eddy_types::BrokerId;
use tokio::time::Instant;

use crate::harness::{SESSION, World, until};
use crate::records::{append, batch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_silent_is_fenced_and_others_lead() {
    let world = World::start(3).await;
    let topic = world.create("t", 1, 3, "1").await;
    // Neither the controller nor anything else: its process lives and its connections stay.
    let controller = world.any().engine.quorum().leader().unwrap();
    let silent = (1..4).map(BrokerId).find(|id| *id != controller).unwrap();
    let began = Instant::now();
    world.node(silent).cluster.stop().await;
    let fenced = || {
        let image = world.node(controller).engine.image();
        image.broker(silent).is_some_and(|broker| broker.fenced).then_some(())
    };
    until("the silent broker is fenced", fenced).await;
    assert!(began.elapsed() >= SESSION / 2, "not before its session is over: {:?}", began.elapsed());
    assert!(!world.node(silent).engine.lease().is_held(), "its lease had ended before");
    for index in 0..3 {
        let (leader, _) = world.leader(PartitionKey { topic, index }).await;
        assert_ne!(leader, silent);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_stops_to_acknowledge() {
    let world = World::start(3).await;
    let topic = world.create("t", 1, 1, "1").await;
    let key = PartitionKey { topic, index: 0 };
    let (leader, _) = world.leader(key).await;
    world.produce(key, 7, 0, &[b"first".to_vec()]).await;
    let node = world.node(leader);
    let partition = node.engine.partition(&node.engine.image(), key).await.unwrap();
    node.peers.shutdown().await;
    let cut = Instant::now();
    let mut sequence = 1;
    loop {
        // Its own image still says that it leads: only the lease knows better.
        match append(&node.engine, &partition, Acks::Leader, batch(7, sequence, &[b"x".to_vec()])).await {
            Ok(_) => sequence += 1,
            Err(AppendError::NotLeader { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        assert!(cut.elapsed() < SESSION + Duration::from_secs(1), "it still acknowledges");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_leaves_in_order_hands_over_first() {
    let mut world = World::start(3).await;
    let topic = world.create("t", 1, 6, "1").await;
    let keys: Vec<PartitionKey> = (0..6).map(|index| PartitionKey { topic, index }).collect();
    for key in &keys {
        world.produce(*key, 7, 0, &[b"before".to_vec()]).await;
    }
    let leaving = world.leader(keys[0]).await.0;
    let began = Instant::now();
    world.shut_down(leaving).await;
    println!("left in order after {:?}", began.elapsed());
    for key in &keys {
        let (leader, _) = world.leader(*key).await;
        assert_ne!(leader, leaving);
        world.produce(*key, 7, 1, &[b"after".to_vec()]).await;
    }
    world.restart(leaving).await;
    for key in &keys {
        world.until_isr(*key, &[1, 2, 3]).await;
        assert_eq!(world.until_equal(*key).await.len(), 2);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_taken_for_dead_comes_back_by_itself() {
    let world = World::start(3).await;
    let topic = world.create("t", 1, 2, "1").await;
    let keys = [0, 1].map(|index| PartitionKey { topic, index });
    for key in keys {
        world.produce(key, 7, 0, &[b"before".to_vec()]).await;
    }
    let unlucky = BrokerId(2);
    let epoch = |id| world.any().engine.image().broker(id).map_or(-1, |broker| broker.epoch);
    let before = epoch(unlucky);
    let fence = |image: &eddy_metadata::Image| {
        Ok::<_, std::convert::Infallible>((eddy_metadata::controller::fence_broker(image, unlucky), ()))
    };
    world.any().engine.quorum().change(fence).await.unwrap();
    until("it is registered anew", || (epoch(unlucky) > before).then_some(())).await;
    for key in keys {
        // Its streams were never closed: it has to say in which life it follows.
        world.until_isr(key, &[1, 2, 3]).await;
        world.produce(key, 7, 1, &[b"after".to_vec()]).await;
        assert_eq!(world.until_equal(key).await.len(), 2);
    }
    world.stop().await;
}
