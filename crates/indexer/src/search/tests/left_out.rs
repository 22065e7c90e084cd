//! Values that are found, but that no order and no count knows.

use serde_json::{Map, Value, json};

use super::harness::{Fake, Log, log, offsets, places};
use crate::search::{Search, SearchError, Wait};

/// Each split has three records.
fn search_of(values: &[Value]) -> Search {
    let cuts = (3..values.len()).step_by(3).collect();
    Fake::new(1, [("t", vec![Log { cuts, ..log(values) }])]).search()
}

async fn refused(search: &Search, body: &Value) -> String {
    let text = serde_json::to_string_pretty(body).unwrap();
    match search.search("t", body.clone(), Wait::default()).await.map_err(|error| error.located(&text)) {
        Err(SearchError::BadQuery { message, line: 2, .. }) => message,
        other => panic!("{body}: {other:?}"),
    }
}

fn by(field: &str) -> [Value; 2] {
    let field = format!("{field}.keyword");
    [json!({"sort": [{&field: "asc"}]}), json!({"aggs": {"x": {"terms": {"field": field}}}})]
}

#[tokio::test]
async fn an_order_of_strings_that_have_none_is_refused() {
    let values: Vec<Value> = (0..4).map(|n| json!({"url": format!("/{n}/{}", "x".repeat(64))})).collect();
    let search = search_of(&values);
    for body in by("url") {
        let message = refused(&search, &body).await;
        assert!(message.contains("cannot sort by [url]") && message.contains("64 bytes"), "{message}");
    }
    assert_eq!(offsets(&search, json!({"term": {"url.keyword": values[2]["url"]}})).await, [2]);
    let body = json!({"aggs": {"x": {"terms": {"field": "none"}}}, "sort": ["none"]});
    let answer = search.search("t", body, Wait::default()).await.unwrap();
    assert_eq!(answer.get("warnings"), None, "nothing is left out of a field that no record has");
}

#[tokio::test]
async fn an_order_that_leaves_strings_out_says_so() {
    let long = "x".repeat(65);
    let values = [json!({"url": "/b"}), json!({"url": long}), json!({"url": "/a"}), json!({"url": "/c"})];
    let search = search_of(&values);
    for body in by("url") {
        let answer = search.search("t", body, Wait::default()).await.unwrap();
        let warnings = answer["warnings"].as_array().unwrap();
        assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("[url]"), "{answer}");
    }
    let [sorted, _] = by("url");
    let answer = search.search("t", sorted, Wait::default()).await.unwrap();
    assert_eq!(places(&answer), ["0:2", "0:0", "0:3", "0:1"]);
    // The last record's split has none of the long ones.
    let [_, mut counted] = by("url");
    counted["query"] = json!({"range": {"_offset": {"gte": 3}}});
    let answer = search.search("t", counted, Wait::default()).await.unwrap();
    assert_eq!(answer.get("warnings"), None, "{answer}");
}

#[tokio::test]
async fn fields_beyond_those_with_a_name_are_found_as_words_and_not_sorted() {
    let first: Map<String, Value> = (0..1000).map(|n| (format!("f{n}"), json!(n))).collect();
    let search = search_of(&[Value::Object(first), json!({"late": 777_777})]);
    let words = json!({"query_string": {"query": "777777"}});
    assert_eq!(offsets(&search, words).await, [1]);
    let numbers = [
        json!({"sort": [{"late": "desc"}]}),
        json!({"aggs": {"x": {"histogram": {"field": "f1", "interval": 10}, "aggs": {"y": {"max": {"field": "late"}}}}}}),
    ];
    for body in numbers {
        let message = refused(&search, &body).await;
        assert!(message.contains("[late]") && message.contains("search.fields"), "{message}");
    }
    let answer = search.search("t", json!({"sort": [{"f7": "desc"}]}), Wait::default()).await.unwrap();
    assert_eq!((places(&answer), answer.get("warnings")), (vec!["0:0".to_owned(), "0:1".to_owned()], None));
}
