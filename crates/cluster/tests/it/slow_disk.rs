//! Leaders whose disk is slow.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use eddy_engine::PartitionKey;
use eddy_metadata::Image;
use eddy_metadata::controller::{
    ElectionKind, NewReplicas, NewTopic, alter_reassignments, create_topic, elect_leaders,
};
use eddy_types::{BrokerId, TopicId, TopicPartition};
use tokio::time::Instant;

use crate::harness::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_waits_for_the_disk_holds_up_no_other_partition_of_the_stream() {
    let mut world = World::start(3).await;
    let leader = BrokerId(1);
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let mut keys = Vec::new();
    for (name, id, replicas) in [("cold", 1, ids(&[1, 2])), ("hot", 2, ids(&[1, 2, 3]))] {
        let topic = TopicId([id; 16]);
        let mut new = NewTopic::with_defaults(topic, name);
        new.assignments = vec![(0, replicas)];
        world.any().engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
        keys.push(PartitionKey { topic, index: 0 });
    }
    let (cold, hot) = (keys[0], keys[1]);
    for sequence in 0..20 {
        world.produce(cold, 7, sequence, &[vec![b'x'; 50_000]]).await;
    }
    // What a leader has in segments only when it starts is in no cache of its own.
    world.shut_down(leader).await;
    world.restart(leader).await;
    world.until_isr(cold, &[1, 2]).await;
    world.until_isr(hot, &[1, 2, 3]).await;
    let elect = |image: &Image| Ok::<_, Infallible>(elect_leaders(image, ElectionKind::Preferred, None));
    world.any().engine.quorum().change(elect).await.unwrap();
    assert_eq!(world.leader(cold).await.0, leader);
    assert_eq!(world.leader(hot).await.0, leader);

    world.disk(leader).set_cache_cold(true);
    let directory = format!("/{}-0/", cold.topic);
    let is_cold = move |path: &Path| path.to_string_lossy().contains(&directory);
    let gate = world.disk(leader).hold_reads(is_cold);
    let partition = TopicPartition { topic: "cold".into(), partition: 0 };
    let grown = [NewReplicas { partition, replicas: Some(ids(&[1, 2, 3])) }];
    let grow = |image: &Image| Ok::<_, Infallible>(alter_reassignments(image, &grown, false));
    assert_eq!(world.any().engine.quorum().change(grow).await.unwrap(), [Ok(())]);
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_for_sync();
        gate
    });
    let gate = gate.await.unwrap();

    let began = Instant::now();
    for sequence in 0..20 {
        world.produce(hot, 8, sequence, &[b"x".to_vec()]).await;
    }
    let took = began.elapsed();
    world.until_isr(hot, &[1, 2, 3]).await;
    assert!(took < Duration::from_secs(10), "20 acknowledgements of all three took {took:?}");
    gate.open();
    world.until_isr(cold, &[1, 2, 3]).await;
    assert_eq!(world.until_equal(cold).await.len(), 20);
    world.stop().await;
}
