//! An index that is not what was written is made anew from the log, as far as need be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_indexer::NotIndexed;
use eddy_types::TopicId;
use serde_json::Value;

use crate::harness::{Broker, DEADLINE, assert_exactly, copy, until};

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

/// Changes bytes of all splits, and the checksums so that they fit.
fn forge(index: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let path = index.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for split in manifest["splits"].as_array_mut().unwrap() {
        let path = index.join(format!("{:012}.split", split["id"].as_u64().unwrap()));
        let mut bytes = fs::read(&path).unwrap();
        let at: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, window)| *window == from)
            .map(|(at, _)| at)
            .collect();
        assert!(!at.is_empty(), "{from:?} is in each split");
        for at in at {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        fs::write(&path, &bytes).unwrap();
        split["crc"] = crc32c::crc32c(&bytes).into();
    }
    let json = manifest.to_string();
    fs::write(&path, format!("{json}\n{:08x}\n", crc32c::crc32c(json.as_bytes()))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_of_another_version_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let topic = prepared(dir.path()).await;
    let index = dir.path().join("index").join(format!("{topic}-0"));
    let footer = u32::to_le_bytes(1337);
    let forgeries: [(&str, &[u8], &[u8]); 5] = [
        ("the file of a split", b"EDYSPLT1", b"EDYSPLT9"),
        ("a newer tantivy", b"\"index_format_version\":7", b"\"index_format_version\":9"),
        ("an older tantivy", b"\"index_format_version\":7", b"\"index_format_version\":1"),
        ("another footer", &footer, &[0; 4]),
        ("another description", b"\"segments\"", b"\"sections\""),
    ];
    for (what, from, to) in forgeries {
        forge(&index, from, to);
        assert_whole(dir.path(), topic, what).await;
    }
}

/// On a full disk for example.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_cannot_be_mended_is_told_and_mended_later() {
    let dir = tempfile::tempdir().unwrap();
    let topic = prepared(dir.path()).await;
    let index = dir.path().join("index").join(format!("{topic}-0"));
    let split = splits(&index).remove(2);
    fs::write(&split, b"").unwrap();
    // No manifest can be written in the place of this.
    let obstacle = index.join("manifest.tmp");
    fs::create_dir(&obstacle).unwrap();
    let broker = Broker::start(dir.path()).await;
    until("opened", async || broker.indexer.status(topic, 0).is_some()).await;
    let indexer = Arc::clone(&broker.indexer);
    let looking = tokio::task::spawn_blocking(move || indexer.view(topic, 0).err());
    let told = tokio::time::timeout(DEADLINE, looking).await.unwrap().unwrap();
    assert!(
        matches!(&told, Some(NotIndexed::Unreadable(reason)) if reason.contains("it has 0 bytes")),
        "{told:?}"
    );
    assert_eq!(broker.indexer.stats().rebuilds, 0, "nothing was made anew yet");
    fs::remove_dir(&obstacle).unwrap();
    let _ = broker.indexer.view(topic, 0).unwrap();
    assert_exactly(&broker.settled(topic).await, 0..500);
    assert_eq!(broker.indexer.stats().rebuilds, 1);
    broker.stop().await;
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
