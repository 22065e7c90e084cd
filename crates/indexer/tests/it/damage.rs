//! An index that is not what was written is made anew from the log, as far as need be.

use std::fs;
use std::path::{Path, PathBuf};

use eddy_types::TopicId;

use crate::harness::{Broker, assert_exactly, copy, until};

/// A stopped broker with an index of a few splits.
async fn prepared(dir: &Path) -> TopicId {
    let broker = Broker::start(dir).await;
    let topic = broker.create("logs", 1, &[]).await;
    for round in 0..5 {
        broker.fill(topic, round * 100..(round + 1) * 100).await;
        broker.settled(topic).await;
    }
    broker.stop().await;
    topic
}

fn splits(index: &Path) -> Vec<PathBuf> {
    let mut splits: Vec<_> = fs::read_dir(index).unwrap().map(|entry| entry.unwrap().path()).collect();
    splits.retain(|path| path.extension().is_some_and(|extension| extension == "split"));
    splits.sort();
    splits
}

async fn assert_whole(dir: &Path, topic: TopicId, what: &str) {
    let broker = Broker::start(dir).await;
    until("searchable", async || broker.indexer.view(topic, 0).is_ok()).await;
    // What is damaged is found by whoever searches it.
    let _ = broker.indexer.view(topic, 0).unwrap();
    let view = broker.settled(topic).await;
    assert_exactly(&view, 0..500);
    assert!(broker.indexer.stats().rebuilds > 0, "{what}: it is counted");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_cut_at_any_length_or_changed_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let topic = prepared(dir.path()).await;
    let index = dir.path().join("index").join(format!("{topic}-0"));
    let manifest = index.join("manifest.json");
    let whole = fs::read(&manifest).unwrap();
    for keep in [0, 1, whole.len() / 2, whole.len() - 12, whole.len() - 2] {
        fs::write(&manifest, &whole[..keep]).unwrap();
        assert_whole(dir.path(), topic, &format!("cut to {keep} of {}", whole.len())).await;
    }
    for at in [3, whole.len() / 3, whole.len() - 4] {
        let mut changed = fs::read(&manifest).unwrap();
        let at = at.min(changed.len() - 4);
        changed[at] ^= 1;
        fs::write(&manifest, &changed).unwrap();
        assert_whole(dir.path(), topic, &format!("changed at {at}")).await;
    }
    let other =
        String::from_utf8(fs::read(&manifest).unwrap()).unwrap().replace("\"library\":7", "\"library\":6");
    let json = other.lines().next().unwrap();
    fs::write(&manifest, format!("{json}\n{:08x}\n", crc32c::crc32c(json.as_bytes()))).unwrap();
    assert_whole(dir.path(), topic, "of another version").await;
    fs::remove_file(&manifest).unwrap();
    assert_whole(dir.path(), topic, "removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_split_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let topic = prepared(dir.path()).await;
    let index = dir.path().join("index").join(format!("{topic}-0"));
    for damage in 0..6 {
        let splits = splits(&index);
        let split = &splits[damage % splits.len()];
        let mut bytes = fs::read(split).unwrap();
        match damage {
            0 => fs::remove_file(split).unwrap(),
            1 => fs::write(split, b"").unwrap(),
            2 => fs::write(split, &bytes[..bytes.len() / 2]).unwrap(),
            3 => fs::write(split, &bytes[..bytes.len() - 1]).unwrap(),
            at => {
                let at = if at == 4 { 100 } else { bytes.len() - 30 };
                bytes[at] ^= 0x40;
                fs::write(split, &bytes).unwrap();
            }
        }
        assert_whole(dir.path(), topic, &format!("damage {damage}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_removed_by_hand_under_a_running_broker_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    broker.fill(topic, 0..300).await;
    broker.settled(topic).await;
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    broker.fill(topic, 300..310).await;
    until("made anew", async || broker.indexer.stats().rebuilds > 0).await;
    assert_exactly(&broker.settled(topic).await, 0..310);
    broker.stop().await;
}

/// After a power cut nothing says which files are how old: any manifest with the files of any later moment, or of an earlier one, is
/// possible, for nothing of them waits for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_different_moments_lead_to_the_same_index() {
    let dir = tempfile::tempdir().unwrap();
    let saved = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    let index = broker.index_dir(topic);
    for round in 0..5 {
        broker.fill(topic, round * 100..(round + 1) * 100).await;
        broker.settled(topic).await;
        copy(&index, &saved.path().join(round.to_string()));
    }
    broker.stop().await;
    for manifest in 0..5 {
        for files in 0..5 {
            fs::remove_dir_all(&index).unwrap();
            copy(&saved.path().join(files.to_string()), &index);
            fs::copy(saved.path().join(format!("{manifest}/manifest.json")), index.join("manifest.json"))
                .unwrap();
            let broker = Broker::start(dir.path()).await;
            until("searchable", async || broker.indexer.view(topic, 0).is_ok()).await;
            broker.settled(topic).await;
            assert_exactly(&broker.settled(topic).await, 0..500);
            broker.stop().await;
        }
    }
}
