//! Starts, stops, deletions: what an engine remembers and what it forgets.

use std::path::Path;
use std::time::Duration;

use eddy_disk::{Disk, SimDisk};
use eddy_engine::AppendError;
use eddy_metadata::controller::{TopicRef, delete_topic};
use eddy_types::{Offset, TopicId};

use crate::harness::{DEADLINE, append, batch, create, partition, read_all, start};

const RARELY: Duration = Duration::from_secs(3600);

fn values(range: std::ops::Range<i32>) -> Vec<Vec<u8>> {
    range.map(|number| number.to_string().into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_nothing_to_replay() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), RARELY).await;
    let topic = create(&engine, "t", 1, 2).await;
    let first = partition(&engine, topic, 0).await;
    append(&engine, &first, batch(1, 0, &values(0..10))).await.unwrap();
    engine.stop().await;
    let engine = start(disk.process(), RARELY).await;
    assert_eq!(engine.partitions().open_partitions().len(), 0, "nothing was replayed");
    let first = partition(&engine, topic, 0).await;
    assert_eq!(read_all(&first).await.len(), 10);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resent_batch_gets_its_first_offsets_after_a_crash_and_after_a_clean_stop_r_3_23() {
    let disk = SimDisk::new();
    let mut topic = TopicId::ZERO;
    let mut first_range = None;
    for (round, clean) in [(0, false), (1, true), (2, false)] {
        let engine = start(disk.process(), RARELY).await;
        if round == 0 {
            topic = create(&engine, "t", 1, 1).await;
        }
        let partition = partition(&engine, topic, 0).await;
        let range = append(&engine, &partition, batch(7, 0, &values(0..3))).await.unwrap();
        assert_eq!(*first_range.get_or_insert(range), range);
        assert_eq!(partition.offsets().log_end, Offset(3));
        if clean { engine.stop().await } else { disk.crash(round) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_start_survives_a_crash_r_3_130() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), RARELY).await;
    let topic = create(&engine, "t", 1, 1).await;
    let first = partition(&engine, topic, 0).await;
    append(&engine, &first, batch(1, 0, &values(0..10))).await.unwrap();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    assert_eq!(engine.delete_records(&first, Offset(4), deadline).await, Ok(Offset(4)));
    assert!(engine.delete_records(&first, Offset(11), deadline).await.is_err());
    disk.crash(1);
    let engine = start(disk.process(), RARELY).await;
    let first = partition(&engine, topic, 0).await;
    assert_eq!(first.offsets().log_start, Offset(4));
    let all = read_all(&first).await;
    assert_eq!(all.last().unwrap().0, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_deleted_topic_go_and_a_new_topic_of_the_name_starts_empty_r_3_131() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), RARELY).await;
    let old = create(&engine, "t", 1, 1).await;
    let doomed = partition(&engine, old, 0).await;
    append(&engine, &doomed, batch(1, 0, &values(0..10))).await.unwrap();
    engine.quorum().change(|image| delete_topic(image, &TopicRef::Name("t"))).await.unwrap();
    let refused = append(&engine, &doomed, batch(1, 10, &values(0..1))).await;
    assert_eq!(refused, Err(AppendError::PartitionGone));
    let new = create(&engine, "t", 2, 1).await;
    let fresh = partition(&engine, new, 0).await;
    let range = append(&engine, &fresh, batch(1, 5, &values(0..1))).await.unwrap();
    assert_eq!(range.start, Offset(0));
    disk.crash(3);
    let engine = start(disk.process(), RARELY).await;
    assert_eq!(read_all(&partition(&engine, new, 0).await).await.len(), 1);
    let reclaimed = async {
        while engine.image().removed_topics().len() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, reclaimed).await.unwrap();
    let dirs = disk.list(Path::new("/data/partitions")).unwrap();
    assert!(dirs.iter().all(|dir| !dir.path.to_string_lossy().contains(&old.to_string())), "{dirs:?}");
    engine.stop().await;
}
