//! Many indexed topics share one budget (trap X29).

use eddy_indexer::IndexerConfig;
use eddy_types::TopicId;

use crate::harness::{Broker, assert_exactly, config, until};

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_with_a_trickle_each_share_one_small_writer() {
    const TOPICS: u16 = 200;
    let dir = tempfile::tempdir().unwrap();
    let memory = 16 << 20;
    let broker = Broker::start_with(dir.path(), IndexerConfig { memory, open_splits: 64, ..config() }).await;
    let id = |number: u16| {
        let [high, low] = number.to_be_bytes();
        TopicId([1, high, low, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
    };
    for number in 0..TOPICS {
        broker.create_as(&format!("topic-{number}"), id(number), &[]).await;
    }
    let mut most = 0;
    for round in 0..2 {
        for number in 0..TOPICS {
            broker.fill(id(number), round * 3..(round + 1) * 3).await;
            most = most.max(broker.indexer.stats().memory_bytes);
        }
    }
    for number in 0..TOPICS {
        assert_exactly(&broker.settled(id(number)).await, 0..6);
    }
    until("counted", async || broker.indexer.stats().records == u64::from(TOPICS) * 6).await;
    let stats = broker.indexer.stats();
    assert_eq!(stats.partitions, usize::from(TOPICS));
    assert!(stats.open_splits <= 64);
    assert!(most <= memory as u64, "{most}");
    broker.stop().await;
}
