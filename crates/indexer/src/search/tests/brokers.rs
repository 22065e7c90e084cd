//! Several topics, partitions and brokers; and waiting for the index.

use std::time::Duration;

use eddy_types::{BrokerId, Offset};
use serde_json::{Value, json};

use super::harness::{Fake, Log, log, places};
use crate::search::{Search, SearchError, Wait};

fn logs() -> [(&'static str, Vec<Log>); 2] {
    let value = |n: i64| json!({"n": n, "word": if n % 2 == 0 { "even" } else { "odd" }});
    let part = |from: i64, leader| Log { leader, ..log(&(from..from + 5).map(value).collect::<Vec<_>>()) };
    [("logs-a", vec![part(0, 1), part(10, 2)]), ("logs-b", vec![part(20, 2)])]
}

/// Two brokers that hold the same topics, and the first one of them.
fn cluster() -> (Search, std::sync::Arc<Fake>) {
    let one = std::sync::Arc::new(Fake::new(1, logs()));
    let two = Fake::new(2, logs()).search();
    one.others.lock().insert(BrokerId(2), two);
    (Search::over(std::sync::Arc::clone(&one) as _, crate::SearchLimits::default()), one)
}

#[tokio::test]
async fn what_other_brokers_lead_is_asked_of_them_and_merged() {
    let (search, _) = cluster();
    let body = json!({
        "query": {"term": {"word": "odd"}},
        "sort": [{"n": "desc"}],
        "size": 4,
        "aggs": {"n": {"stats": {"field": "n"}}, "words": {"terms": {"field": "word"}, "aggs": {"top": {"max": {"field": "n"}}}},
                 "none": {"stats": {"field": "nothing"}}, "kinds": {"cardinality": {"field": "n"}},
                 "times": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}}},
    });
    let answer = search.search("logs-*", body, Wait::default()).await.unwrap();
    assert_eq!(answer.get("partial"), None);
    let found: Vec<i64> = answer["hits"]["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["_source"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(found, [23, 21, 13, 11]);
    assert_eq!(answer["hits"]["total"]["value"], json!(6));
    assert_eq!(answer["aggregations"]["n"]["sum"].as_f64(), Some(72.0));
    assert_eq!(answer["aggregations"]["words"]["buckets"][0]["doc_count"], json!(6));
    assert_eq!(answer["aggregations"]["words"]["buckets"][0]["top"]["value"].as_f64(), Some(23.0));
    assert_eq!(answer["aggregations"]["kinds"]["value"].as_f64(), Some(6.0));
    assert_eq!(answer["searched_through"], json!({"logs-a": {"0": 5, "1": 5}, "logs-b": {"0": 5}}));
    assert_eq!(answer["_shards"]["failed"], json!(0));
}

#[tokio::test]
async fn a_broker_that_is_gone_makes_the_answer_partial_and_it_says_so() {
    let (search, one) = cluster();
    one.others.lock().clear();
    let answer = search.search("logs-a", json!({}), Wait::default()).await.unwrap();
    assert_eq!(answer["hits"]["total"], json!({"value": 5, "relation": "gte"}));
    assert_eq!(answer["_shards"]["failed"], json!(1));
    assert_eq!(answer["_shards"]["failures"][0]["index"], json!("logs-a"));
    assert_eq!(answer["_shards"]["failures"][0]["node"], json!("2"));
    let partial = json!([{"topic": "logs-a", "partition": 1, "node": 2, "reason": "the connection broke before the answer"}]);
    assert_eq!(answer["partial"], partial);
    let none = search.search("logs-b", json!({}), Wait::default()).await.unwrap_err();
    assert!(matches!(none, SearchError::Unavailable { .. }), "{none:?}");
}

#[tokio::test]
async fn how_indexes_stand_is_told_of_all_brokers() {
    let (search, _) = cluster();
    let status = search.status(None, Duration::ZERO).await.unwrap();
    let told: Vec<_> = status
        .topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|one| (&*topic.topic, one.partition, one.node, one.records))
        })
        .collect();
    assert_eq!(told, [("logs-a", 0, 1, 5), ("logs-a", 1, 2, 5), ("logs-b", 0, 2, 5)]);
    assert_eq!(status.partial, []);
    let rows = search.indices(Some("logs-a"), Duration::ZERO).await.unwrap();
    assert_eq!((&rows[0]["docs.count"], &rows[0]["health"]), (&json!("10"), &json!("green")));
    let unknown = search.status(Some("logs-a,nope"), Duration::ZERO).await.unwrap_err();
    assert!(matches!(unknown, SearchError::UnknownTopic { targets } if targets == "nope"));
}

#[tokio::test]
async fn a_broker_that_does_not_say_how_its_indexes_stand_is_named() {
    let (search, one) = cluster();
    one.others.lock().clear();
    let status = search.status(Some("logs-*"), Duration::ZERO).await.unwrap();
    let known: Vec<_> = status.topics.iter().map(|topic| (&*topic.topic, topic.partitions.len())).collect();
    assert_eq!(known, [("logs-a", 1), ("logs-b", 0)]);
    let reason = "the connection broke before the answer";
    let partial = json!([
        {"topic": "logs-a", "partition": 1, "node": 2, "reason": reason},
        {"topic": "logs-b", "partition": 0, "node": 2, "reason": reason},
    ]);
    assert_eq!(json!(status.partial), partial);
    let rows = search.indices(Some("logs-a"), Duration::ZERO).await.unwrap();
    assert_eq!((&rows[0]["docs.count"], &rows[0]["health"]), (&json!("5"), &json!("red")));
    assert_eq!(rows[0]["partial"], json!([partial[0]]));
}

#[tokio::test]
async fn who_waits_for_the_index_waits_for_a_broker_that_comes_back() {
    let (search, one) = cluster();
    let two = one.others.lock().remove(&BrokerId(2)).unwrap();
    let wait = Wait { for_all: true, timeout: Duration::from_secs(20), ..Wait::default() };
    let searching = tokio::spawn(async move { search.search("logs-a", json!({}), wait).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    one.others.lock().insert(BrokerId(2), two);
    let answer = searching.await.unwrap().unwrap();
    assert_eq!(answer["hits"]["total"], json!({"value": 10, "relation": "eq"}));
}

#[tokio::test]
async fn pages_over_partitions_have_every_record_once_though_all_are_equal() {
    let (search, _) = cluster();
    let mut found: Vec<String> = Vec::new();
    let mut after: Option<Value> = None;
    loop {
        let mut body = json!({"sort": ["nothing"], "size": 4});
        if let Some(after) = after {
            body["search_after"] = after;
        }
        let answer = search.search("logs-a,logs-b", body, Wait::default()).await.unwrap();
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        found.extend(
            hits.iter()
                .map(|hit| format!("{}/{}", hit["_index"].as_str().unwrap(), hit["_id"].as_str().unwrap())),
        );
        match hits.last() {
            Some(last) if hits.len() == 4 => after = Some(last["sort"].clone()),
            _ => break,
        }
    }
    let wanted: Vec<String> = ["logs-a/0", "logs-a/1", "logs-b/0"]
        .iter()
        .flat_map(|partition| (0..5).map(move |offset| format!("{partition}:{offset}")))
        .collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn what_is_not_indexed_yet_is_waited_for_or_said() {
    let values: Vec<Value> = (0..6).map(|n| json!({"n": n})).collect();
    let fake = std::sync::Arc::new(Fake::new(1, [("t", vec![Log { through: Some(4), ..log(&values) }])]));
    let search = Search::over(std::sync::Arc::clone(&fake) as _, crate::SearchLimits::default());
    let now = search.search("t", json!({}), Wait::default()).await.unwrap();
    assert_eq!((&now["searched_through"]["t"]["0"], &now["index_lag_seconds"]), (&json!(4), &json!(1.5)));
    assert_eq!(places(&now).len(), 4);
    let wait = |offset: i64| Wait { min_offset: vec![(0, Offset(offset))], ..Wait::default() };
    assert!(search.search("t", json!({}), wait(3)).await.is_ok());
    let behind = search.search("t", json!({}), wait(4)).await.unwrap_err();
    assert_eq!((behind.status(), behind.code()), (504, "ED-4505"));
    assert_eq!(behind.elastic()["error"]["searched_through"], json!({"t": {"0": 4}}));
    let all = Wait { for_all: true, ..Wait::default() };
    assert!(matches!(search.search("t", json!({}), all.clone()).await, Err(SearchError::NotCaughtUp { .. })));
    fake.waits.lock().insert(0, 6);
    assert!(search.search("t", json!({}), all).await.is_ok());
}

#[tokio::test]
async fn topics_that_are_not_there_or_not_indexed_are_named() {
    let mut fake = Fake::new(1, logs());
    fake.not_indexed.push("logs-b".to_owned());
    let search = fake.search();
    let ask = |targets: &'static str| search.search(targets, json!({"size": 0}), Wait::default());
    assert!(matches!(ask("nope").await, Err(SearchError::UnknownTopic { targets }) if targets == "nope"));
    assert!(matches!(ask("logs-b").await, Err(SearchError::NotIndexed { topic }) if topic == "logs-b"));
    assert!(matches!(ask("other-*").await, Err(SearchError::UnknownTopic { .. })));
    assert!(matches!(ask("*-b").await, Err(SearchError::NotIndexed { .. })));
    assert_eq!(ask("log*").await.unwrap()["searched_through"], json!({"logs-a": {"0": 5}}));
}
