//! The index follows the log: everything committed is found, once, whenever the broker was stopped.

use std::time::Duration;

use eddy_batch::{BatchBuilder, Compression};
use eddy_indexer::{IndexState, NotIndexed};
use eddy_types::{Millis, Offset, TopicId};
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tokio::time::Instant;

use crate::harness::{Broker, assert_exactly, found, until, word};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_found_once_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    for round in 0..5 {
        let (from, to) = (round * 300, (round + 1) * 300);
        broker.fill(topic, from..to).await;
        if round % 2 == 0 {
            // Not all of it is indexed when the broker stops.
            broker.stop().await;
            broker = Broker::start(dir.path()).await;
        }
        let view = broker.settled(topic).await;
        assert_exactly(&view, 0..to);
        assert_eq!((view.searched_through, view.lag), (Offset(to), Millis(0)));
        let words = found(&view, &word("word", "w3"));
        assert_eq!(
            words.keys().copied().collect::<Vec<_>>(),
            (0..to).filter(|n| n % 7 == 3).collect::<Vec<_>>()
        );
    }
    let status = broker.status(topic);
    assert_eq!((status.records, status.lag_records, status.state), (1500, 0, IndexState::Following));
    assert!(view_paths(&broker, topic).contains(&"number".to_owned()));
    broker.stop().await;
}

fn view_paths(broker: &Broker, topic: TopicId) -> Vec<String> {
    broker.indexer.view(topic, 0).unwrap().paths.iter().map(|path| path.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_become_few_splits() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    for number in 0..40 {
        broker.fill(topic, number..number + 1).await;
        broker.settled(topic).await;
    }
    until("merged", async || broker.status(topic).splits < 12).await;
    assert_exactly(&broker.settled(topic).await, 0..40);
    assert!(broker.indexer.stats().merge_seconds.count > 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_back_filled_when_it_is_switched_on_and_its_index_removed_when_off() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[("search.enable", "false")]).await;
    broker.fill(topic, 0..500).await;
    assert_eq!(broker.indexer.view(topic, 0).err(), Some(NotIndexed::NotEnabled));
    assert!(broker.indexer.status(topic, 0).is_none());
    broker.configure("logs", "search.enable", "true").await;
    assert_exactly(&broker.settled(topic).await, 0..500);
    // Another way to map records: all of them are mapped again.
    broker.configure("logs", "search.fields", "word").await;
    until("made anew", async || {
        let view = broker.indexer.view(topic, 0);
        view.is_ok_and(|view| view.searched_through == Offset(500) && view.paths.len() == 1)
    })
    .await;
    assert_exactly(&broker.settled(topic).await, 0..500);
    broker.configure("logs", "search.enable", "false").await;
    until("removed", async || !broker.index_dir(topic).exists()).await;
    assert_eq!(broker.indexer.view(topic, 0).err(), Some(NotIndexed::NotEnabled));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_record_is_indexed_compressed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[("retention.ms", "-1")]).await;
    let values: [&[u8]; 6] = [
        br#"{"a":{"b":[1,"two",{"c":true}]}}"#,
        b"plain text here",
        b"\x00\x01\x02binary",
        b"caf\xe9 latin",
        br#"{"broken": "json here"#,
        b"",
    ];
    let mut count = 0;
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec);
        for value in values {
            builder.append(Millis(1_700_000_000_000), Some(b"the key"), Some(value));
        }
        builder.append(Millis(1_700_000_000_000), Some(b"the key"), None);
        broker.append_batch(topic, &builder).await;
        count += 7;
    }
    let view = broker.settled(topic).await;
    assert_exactly(&view, 0..count);
    let (_, fields) = eddy_indexer::Fields::schema();
    let text = |word: &str| {
        let term = tantivy::Term::from_field_text(fields.text, word);
        found(&view, &TermQuery::new(term, IndexRecordOption::Basic)).len()
    };
    assert_eq!((text("plain"), text("latin"), text("json"), text("binary")), (5, 5, 5, 0));
    let key = tantivy::Term::from_field_text(fields.key, "the key");
    assert_eq!(found(&view, &TermQuery::new(key, IndexRecordOption::Basic)).len(), 35);
    assert_eq!(found(&view, &word("a.b", "two")).len(), 5);
    until("counted", async || broker.indexer.stats().records == 35).await;
    let stats = broker.indexer.stats();
    assert_eq!(stats.dropped, 0);
    let raw: Vec<_> = stats.raw.iter().filter(|(_, count)| *count > 0).copied().collect();
    assert_eq!(raw, [("malformed", 5), ("not_utf8", 5), ("binary", 5)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_at_the_deadline_with_how_far_it_got() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    broker.fill(topic, 0..10).await;
    broker.settled(topic).await;
    let soon = Instant::now() + Duration::from_millis(50);
    assert_eq!(broker.indexer.wait_through(topic, 0, Offset(11), soon).await, Offset(10));
    broker.stop().await;
}
