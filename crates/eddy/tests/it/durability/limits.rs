//! Clients that come and go, or that send more than the disk takes, exhaust nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eddy_client::{Acks, CallError, Connection, ConnectionOptions, PartitionName, encode_batch};

use super::server::{Server, eventually};
use crate::support::PATIENCE;

/// Queue of the write-ahead log in profile low, in batches.
const QUEUE_LIMIT: f64 = 2500.0;

#[tokio::test]
async fn connections_that_come_and_go_leave_no_file_open() {
    let (server, connection) = Server::started(&["wal.profile=low"]).await;
    let open_files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = open_files();
    for _ in 0..20 {
        let mut together = Vec::new();
        for number in 0..50 {
            if number % 2 == 0 {
                together.push(server.connect_with(ConnectionOptions::default()).await);
            } else {
                // A client that leaves without a word.
                drop(tokio::net::TcpStream::connect(server.address()).await.unwrap());
            }
        }
    }
    eventually("the connections to be closed", || open_files() <= before).await;
    connection.create_topic("t", 1, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_is_slowed_down_and_never_refused_for_good() {
    const PRODUCERS: usize = 64;
    const IN_FLIGHT: usize = 64;
    const DURATION: Duration = Duration::from_secs(3);
    let (server, connection) = Server::started(&["wal.profile=low", "wal.total.bytes=64MiB"]).await;
    connection.create_topic("t", 8, &[]).await.unwrap();
    let topic = connection.topic_with_leaders("t", PATIENCE).await.unwrap();

    let enough = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..PRODUCERS {
        let options = ConnectionOptions {
            in_flight_max: IN_FLIGHT,
            request_timeout: PATIENCE,
            ..ConnectionOptions::default()
        };
        let connection = server.connect_with(options).await;
        let partition = topic.partition((number % topic.leaders.len()) as i32);
        tasks.push(tokio::spawn(overload(connection, partition, enough.clone(), IN_FLIGHT)));
    }
    let deadline = tokio::time::Instant::now() + DURATION;
    let (mut deepest, mut looks) = (0.0f64, 0);
    while tokio::time::Instant::now() < deadline {
        let queued = tokio::task::block_in_place(|| server.metric("eddy_wal_queue_records"));
        assert!(queued <= QUEUE_LIMIT, "the queue holds {queued}");
        deepest = deepest.max(queued);
        looks += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    enough.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut refused) = (0, 0);
    for task in tasks {
        let counts = task.await.unwrap();
        acknowledged += counts.0;
        refused += counts.1;
    }
    let mut stored = 0;
    for partition in topic.partitions() {
        stored += connection.latest_offset(&partition).await.unwrap().0;
    }
    // A refusal by timeout may come for a batch that was written all the same.
    assert!(
        stored >= acknowledged && stored <= acknowledged + refused,
        "{stored} of {acknowledged} + {refused}"
    );
    assert!(acknowledged > 0);
    println!(
        "{acknowledged} batches acknowledged, {refused} refused; queue at most {deepest} in {looks} looks"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_records_take_the_memory_they_are_counted_with() {
    const CLIENTS: usize = 64;
    const BATCHES_A_CLIENT: usize = 300;
    /// Many times what 19,200 batches of 200 bytes and their bookkeeping take.
    const GROWTH_MAX: u64 = 100 << 20;
    let (server, connection) = Server::started(&["wal.profile=high"]).await;
    connection.create_topic("t", 8, &[]).await.unwrap();
    let topic = connection.topic_with_leaders("t", PATIENCE).await.unwrap();
    let before = resident_bytes(server.pid());
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let connection = server.connect_with(ConnectionOptions::default()).await;
        let partition = topic.partition((number % topic.leaders.len()) as i32);
        tasks.push(tokio::spawn(async move {
            let batch = encode_batch(&[Bytes::from_static(&[b'x'; 200])], 1_795_266_000_000, None);
            for _ in 0..BATCHES_A_CLIENT {
                let pending = connection.start_produce(&partition, Acks::All, PATIENCE, batch.clone()).await;
                pending.unwrap().acknowledged().await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let growth = resident_bytes(server.pid()).saturating_sub(before);
    assert!(growth < GROWTH_MAX, "{growth} bytes more in memory");
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Keeps `in_flight` small batches under way; counts those acknowledged and those refused with a retriable code.
async fn overload(
    connection: Connection,
    partition: PartitionName,
    enough: Arc<AtomicBool>,
    in_flight: usize,
) -> (i64, i64) {
    let batch = encode_batch(&[Bytes::from_static(&[b'x'; 200])], 1_795_266_000_000, None);
    let mut flight = VecDeque::new();
    let (mut acknowledged, mut refused) = (0, 0);
    loop {
        while flight.len() < in_flight && !enough.load(Ordering::Relaxed) {
            let pending = connection.start_produce(&partition, Acks::All, PATIENCE, batch.clone());
            flight.push_back(pending.await.unwrap());
        }
        let Some(oldest) = flight.pop_front() else { return (acknowledged, refused) };
        match oldest.acknowledged().await {
            Ok(_) => acknowledged += 1,
            Err(error @ CallError::Refused { .. }) if error.is_retriable() => refused += 1,
            Err(error) => panic!("{partition}: {error}"),
        }
    }
}
