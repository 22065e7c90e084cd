//! What asks for too much is refused, and what takes too long ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::harness::{Fake, Log, log};
use crate::search::{Search, SearchError, SearchLimits, Wait};

async fn refused(search: &Search, body: Value) -> SearchError {
    search.search("t", body, Wait::default()).await.unwrap_err()
}

#[tokio::test]
async fn bombs_are_refused_and_the_next_search_is_answered() {
    let values: Vec<Value> = (0..200).map(|n| json!({"a": "a".repeat(n % 60 + 1), "n": n})).collect();
    let search = Fake::new(1, [("t", vec![log(&values)])]).search();
    let many: Vec<Value> = (0..10_000).map(|n| json!({"term": {"n": n}})).collect();
    let mut deep = json!({"match_all": {}});
    // A text that nests deeper than 128 does not even become a value.
    for _ in 0..60 {
        deep = json!({"bool": {"must": [deep]}});
    }
    let mut deep_aggs = json!({"max": {"field": "n"}});
    for _ in 0..50 {
        deep_aggs = json!({"terms": {"field": "n"}, "aggs": {"x": deep_aggs}});
    }
    let groups = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
    let ends = (0_i64, 1_700_000_000_000_i64);
    let bombs = [
        json!({"query": {"bool": {"should": many}}}),
        json!({"query": {"terms": {"n": (0..10_000).collect::<Vec<_>>()}}}),
        json!({"query": {"terms": {"n".repeat(500_000): vec![1; 250_000]}}}),
        deep.clone(),
        json!({"query": deep}),
        json!({"query": {"match": {"a": "a ".repeat(2000)}}}),
        json!({"query": {"match_phrase": {"a": "a ".repeat(2000)}}}),
        json!({"query": {"multi_match": {"query": "a ".repeat(100), "fields": vec!["a"; 20]}}}),
        json!({"query": {"query_string": {"query": "a.".repeat(2000)}}}),
        json!({"query": {"query_string": {"query": "a ".repeat(100), "fields": vec!["a"; 20]}}}),
        json!({"query": {"query_string": {"query": groups}}}),
        json!({"query": {"query_string": {"query": "a ".repeat(5000)}}}),
        json!({"query": {"query_string": {"query": "x".repeat(100_000)}}}),
        json!({"query": {"wildcard": {"a": "*a".repeat(100)}}}),
        json!({"highlight": {"fields": (0..300).map(|n| (n.to_string(), json!({}))).collect::<Map<_, _>>()}}),
        json!({"from": 9_999, "size": 2}),
        json!({"size": 1_000_000_000_u64}),
        json!({"size": -1}),
        json!({"aggs": {"x": deep_aggs}}),
        json!({"aggs": {"x": {"terms": {"field": "n", "size": 1_000_000}}}}),
        json!({"aggs": {"x": {"histogram": {"field": "n", "interval": 1e-9}}}}),
        json!({"aggs": {"x": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms", "extended_bounds": {"min": ends.0, "max": ends.1}}}}}),
    ];
    for bomb in bombs {
        let shown: String = bomb.to_string().chars().take(100).collect();
        let begin = Instant::now();
        let error = refused(&search, bomb).await;
        assert_eq!(error.status(), 400, "{error}: {shown}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{shown}");
    }
    let error = refused(&search, json!({"aggs": {"x": {"terms": {"field": "n", "size": 1_000_000}}}})).await;
    assert!(error.to_string().ends_with("(at /aggs/x/terms/size)"), "{error}");
    let body = json!({"query": {"wildcard": {"a": "*a*a*a*a*a*a*a*b"}}});
    assert_eq!(search.count("t", body, Wait::default()).await.unwrap()["count"], json!(0));
}

#[tokio::test]
async fn many_words_without_a_field_are_found_or_out_of_time() {
    let value = |n: usize| -> Map<_, _> {
        let word = |field: usize| json!(format!("w{}", (n * 7 + field * 3) % 50));
        (0..40).map(|field| (format!("f{field}"), word(field))).collect()
    };
    let values: Vec<Value> = (0..30).map(|n| Value::Object(value(n))).collect();
    let search = Fake::new(1, [("t", vec![log(&values)])]).search();
    let body = |first: &str, operator: &str| {
        let words: Vec<String> = (0..50).map(|n| format!("w{n}")).collect();
        let query = json!({"query": format!("{first} {}", words.join(" ")), "default_operator": operator});
        json!({"query": {"query_string": query}, "track_total_hits": true})
    };
    let total = |answer: &Value| answer["hits"]["total"]["value"].as_u64();
    let all = search.search("t", body("w0", "OR"), Wait::default()).await.unwrap();
    assert_eq!(total(&all), Some(30));
    let none = search.search("t", body("nowhere", "AND"), Wait::default()).await.unwrap();
    assert_eq!(total(&none), Some(0));
    // The body's time is what counts.
    let mut hurried = body("w0", "OR");
    hurried["timeout"] = json!("5ms");
    let (begin, wait) = (Instant::now(), Wait { timeout: Duration::from_secs(30), ..Wait::default() });
    match search.search("t", hurried, wait).await {
        Ok(answer) => assert_eq!(answer["timed_out"], json!(true)),
        Err(error) => assert_eq!(error.status() / 100, 5, "{error}"),
    }
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_search_ends_with_its_time_and_says_so() {
    let search = Fake::new(1, [("t", vec![log(&[json!({"a": 1})])])]).search();
    let wait = Wait { timeout: Duration::from_nanos(1), ..Wait::default() };
    match search.search("t", json!({}), wait).await {
        Ok(answer) => assert_eq!(answer["timed_out"], json!(true)),
        Err(error) => assert_eq!(error.status() / 100, 5, "{error}"),
    }
}

#[tokio::test]
async fn searches_beyond_those_that_may_wait_are_told_so() {
    let limits = SearchLimits { waiting_max: 0, ..SearchLimits::default() };
    let search = Search::over(Arc::new(Fake::new(1, [("t", vec![log(&[json!({})])])])), limits);
    assert_eq!(search.search("t", json!({}), Wait::default()).await.unwrap_err().status(), 429);
}

#[tokio::test]
async fn records_too_large_for_one_answer_are_refused() {
    let values: Vec<Value> = (0..4).map(|_| json!({"a": "word ".repeat(50)})).collect();
    let limits = SearchLimits { answer_bytes_max: 600, ..SearchLimits::default() };
    let search = Search::over(Arc::new(Fake::new(1, [("t", vec![log(&values)])])), limits);
    assert!(matches!(refused(&search, json!({})).await, SearchError::TooExpensive { .. }));
    assert!(search.search("t", json!({"size": 2}), Wait::default()).await.is_ok());
}

#[tokio::test]
async fn a_value_too_large_for_any_answer_does_not_hide_the_others() {
    let values = [json!({"a": 1}), json!({"a": "word ".repeat(200)}), json!({"a": 3})];
    let limits = SearchLimits { answer_bytes_max: 600, ..SearchLimits::default() };
    let search = Search::over(Arc::new(Fake::new(1, [("t", vec![log(&values)])])), limits);
    let answer = search.search("t", json!({"sort": ["_offset"]}), Wait::default()).await.unwrap();
    let shown: Vec<&Value> =
        answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| &hit["_source"]).collect();
    let bytes = values[1].to_string().len();
    assert_eq!(shown, [&values[0], &json!({"omitted_bytes": bytes}), &values[2]]);
}

#[tokio::test]
async fn aggregations_stay_within_their_memory() {
    let values: Vec<Value> = (0..20_000).map(|n| json!({"n": n})).collect();
    let limits = SearchLimits { aggregation_bytes_max: 10_000, ..SearchLimits::default() };
    let search = Search::over(
        Arc::new(Fake::new(1, [("t", vec![Log { cuts: vec![10_000], ..log(&values) }])])),
        limits,
    );
    let body = json!({"size": 0, "aggs": {"x": {"terms": {"field": "n", "size": 10_000}}}});
    assert!(matches!(refused(&search, body).await, SearchError::TooExpensive { .. }));
}

#[tokio::test]
async fn tags_around_every_word_do_not_make_an_answer_of_any_size() {
    let values: Vec<Value> = (0..10).map(|_| json!({"a": "a ".repeat(1000)})).collect();
    let search = Fake::new(1, [("t", vec![log(&values)])]).search();
    let body = |tag: &str| {
        let highlight =
            json!({"fields": {"a": {"number_of_fragments": 0}}, "pre_tags": tag, "post_tags": ""});
        json!({"query": {"match": {"a": "a"}}, "highlight": highlight})
    };
    let marked = |answer: &Value| {
        answer["hits"]["hits"].as_array().unwrap().iter().filter(|hit| hit["highlight"].is_object()).count()
    };
    let few = search.search("t", body("<b>"), Wait::default()).await.unwrap();
    assert_eq!(marked(&few), 10);
    let many = search.search("t", body(&"x".repeat(5 << 10)), Wait::default()).await.unwrap();
    assert_eq!(marked(&many), 3);
}
