//! What answers say, case by case.

use eddy_types::Millis;
use serde_json::{Value, json};

use super::harness::{Fake, Log, NOW, log, offsets, places};
use crate::search::{NativeQuery, Search, SearchError, Wait};

fn shop() -> Search {
    let values = [
        json!({"level": "info", "message": "order 42 was shipped to Zürich", "ms": 12, "at": "2024-03-01T10:00:00Z"}),
        json!({"level": "error", "message": "Payment failed: card declined", "ms": 250.5, "user": {"id": 7, "name": "Ann Lee"}}),
        json!({"level": "warn", "message": "payment was slow", "ms": "250", "tags": ["slow", "card"]}),
        json!("plain text: payment of 42 francs failed"),
        json!({"level": "error", "message": "the card failed the payment", "ms": 9_007_199_254_740_993_i64, "at": "2024-03-02T00:00:00.5Z"}),
        Value::Null,
        json!({"level": "info", "ok": true, "message": null}),
    ];
    Fake::new(1, [("t", vec![Log { cuts: vec![3], ..log(&values) }])]).search()
}

async fn error(search: &Search, body: Value) -> (String, usize, usize) {
    let text = serde_json::to_string_pretty(&body).unwrap();
    match search.search("t", body, Wait::default()).await.map_err(|error| error.located(&text)) {
        Err(SearchError::BadQuery { message, line, column, .. }) => (message, line, column),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_query_finds_what_its_name_says() {
    let search = shop();
    let string = |query: &str| json!({"query_string": {"query": query}});
    let table = [
        (json!({"match_all": {}}), vec![0, 1, 2, 3, 4, 5, 6]),
        (json!({"match_none": {}}), vec![]),
        (json!({"match": {"message": "card payment"}}), vec![1, 2, 4]),
        (json!({"match": {"message": {"query": "card payment", "operator": "AND"}}}), vec![1, 4]),
        (
            json!({"match": {"message": {"query": "card payment declined", "minimum_should_match": "70%"}}}),
            vec![1, 4],
        ),
        (json!({"match_phrase": {"message": "payment failed"}}), vec![1]),
        (json!({"match_phrase": {"message": {"query": "card payment", "slop": 2}}}), vec![4]),
        (json!({"term": {"message": "Payment"}}), vec![]),
        (json!({"term": {"message": "payment"}}), vec![1, 2, 4]),
        (json!({"term": {"message.keyword": "payment was slow"}}), vec![2]),
        (json!({"term": {"level.keyword": {"value": "error"}}}), vec![1, 4]),
        (json!({"term": {"ms": 250}}), vec![2]),
        (json!({"term": {"ms": "12"}}), vec![0]),
        (json!({"term": {"ms": 12.0}}), vec![0]),
        (json!({"term": {"ok": true}}), vec![6]),
        (json!({"term": {"ms": 9_007_199_254_740_993_i64}}), vec![4]),
        (json!({"terms": {"level": ["warn", "info"]}}), vec![0, 2, 6]),
        (json!({"term": {"tags": "card"}}), vec![2]),
        (json!({"term": {"user.id": 7}}), vec![1]),
        (json!({"exists": {"field": "user"}}), vec![1]),
        (json!({"exists": {"field": "at"}}), vec![0, 4]),
        (json!({"exists": {"field": "message"}}), vec![0, 1, 2, 4]),
        (json!({"prefix": {"message": "pay"}}), vec![1, 2, 4]),
        (json!({"prefix": {"message.keyword": "Pay"}}), vec![1]),
        (json!({"wildcard": {"message": {"value": "s*w"}}}), vec![2]),
        (json!({"wildcard": {"user.name.keyword": "Ann ?ee"}}), vec![1]),
        (json!({"wildcard": {"level": {"value": "ERR*", "case_insensitive": true}}}), vec![1, 4]),
        (json!({"range": {"ms": {"gte": 12, "lt": 251}}}), vec![0, 1]),
        (json!({"range": {"level.keyword": {"gt": "error"}}}), vec![0, 2, 6]),
        (json!({"range": {"at": {"gte": "2024-03-01", "lte": "2024-03-01"}}}), vec![0]),
        (json!({"range": {"at": {"gt": "2024-03-01"}}}), vec![4]),
        (json!({"range": {"@timestamp": {"gte": "now-1h", "lt": "now-1h+2s"}}}), vec![0, 1]),
        (
            json!({"range": {"@timestamp": {"gte": NOW - 3_600_000 + 5000, "format": "epoch_millis"}}}),
            vec![5, 6],
        ),
        (json!({"ids": {"values": ["0:1", "0:5", "1:2"]}}), vec![1, 5]),
        (json!({"term": {"_key": "k3"}}), vec![3]),
        (json!({"term": {"_headers.trace": "t-0"}}), vec![0, 3, 6]),
        (json!({"bool": {"must_not": [{"exists": {"field": "level"}}]}}), vec![3, 5]),
        (
            json!({"bool": {"should": [{"term": {"level": "info"}}, {"term": {"level": "error"}}], "filter": {"term": {"ms": 12}}, "minimum_should_match": 1}}),
            vec![0],
        ),
        (json!({"multi_match": {"query": "ann shipped", "fields": ["message", "user.name^3"]}}), vec![0, 1]),
        (json!({"constant_score": {"filter": {"term": {"level": "warn"}}}}), vec![2]),
        (string("payment failed"), vec![1, 2, 3, 4]),
        (string("payment AND failed"), vec![1, 3, 4]),
        (string("\"payment failed\""), vec![1]),
        (string("+payment -card"), vec![3]),
        (string("payment AND NOT (card OR francs)"), vec![]),
        (string("level:(error OR warn) AND ms:[200 TO 300]"), vec![1]),
        (string("ms:>=250"), vec![1, 4]),
        (string("ms:<-1"), vec![]),
        (string("42"), vec![0, 3]),
        (string("Z?rich"), vec![0]),
        (string("pay* AND user:*"), vec![1]),
        (string("_exists_:tags"), vec![2]),
        (string("*"), vec![0, 1, 2, 3, 4, 5, 6]),
        (string("*:*"), vec![0, 1, 2, 3, 4, 5, 6]),
        (string("message:\"card declined\"^2"), vec![1]),
        (string("@timestamp:[now-1h TO now-1h+1s}"), vec![0]),
        (
            json!({"simple_query_string": {"query": "payment + card | zürich", "fields": ["message"]}}),
            vec![0, 1, 4],
        ),
        (
            json!({"simple_query_string": {"query": "payment -slow", "default_operator": "and"}}),
            vec![1, 3, 4],
        ),
    ];
    for (query, wanted) in table {
        assert_eq!(offsets(&search, query.clone()).await, wanted, "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let search = shop();
    let string = |query: &str| json!({"query": {"query_string": {"query": query}}});
    let table = [
        (json!({"query": {"trem": {"a": 1}}}), "unknown query [trem]", 3, 13),
        (json!({"qwery": {}}), "unknown key in the body [qwery]", 2, 12),
        (
            json!({"query": {"match": {"a": {"query": "x", "fuzziness": 2}}}}),
            "unknown key in [match] [fuzziness]",
            5,
            22,
        ),
        (json!({"query": {"bool": {"must": [{"term": {"a": []}}]}}}), "a value must be", 7, 18),
        (
            json!({"query": {"range": {"@timestamp": {"gte": "yesterday"}}}}),
            "cannot read [yesterday] as a date",
            4,
            21,
        ),
        (json!({"query": {"range": {"a": {"gte": 1, "format": "dd.MM"}}}}), "unknown format [dd.MM]", 5, 20),
        (json!({"query": {"regexp": {"a": "(a+)+"}}}), "unknown query [regexp]", 3, 15),
        (json!({"query": {"term": {"_ofset": 1}}}), "no field [_ofset]", 4, 17),
        (json!({"sort": ["_key", {"a": "up"}]}), "unknown order [up]", 5, 13),
        (
            json!({"aggs": {"x": {"significant_terms": {"field": "a"}}}}),
            "unknown aggregation [significant_terms]",
            4,
            28,
        ),
        (json!({"aggs": {"x": {"range": {"field": "a", "ranges": 7}}}}), "[range]: invalid type", 4, 16),
        (json!({"query": {"match_all": {"boost": -1}}}), "a weight must be a number from 0", 4, 16),
        (json!({"query": {"match_phrase": {"a": {"query": "x", "boost": 1e99}}}}), "a weight must be", 5, 18),
        (json!({"search_after": [1, 2, 3]}), "search_after has 3 values", 2, 19),
        (string(&"a ".repeat(10_000)), "longer than 16384 bytes", 4, 17),
        (string("a AND"), "the query ends where a word is expected", 4, 22),
        (string("ms:[1 TO"), "a bound of the range is missing", 4, 25),
        (string("(a OR b"), "this '(' has no ')'", 4, 17),
        (string("a )"), "this ')' has no '('", 4, 19),
        (string("say \"hi"), "this quotation mark has no second one", 4, 21),
        (string("a /b.*/"), "regular expressions are not served", 4, 19),
        (string("a:b:c"), "a second ':'", 4, 19),
        (string("abc~2"), "fuzzy words are not served", 4, 20),
        (string("_foo:1"), "no field [_foo]", 4, 17),
        (string("a - b"), "a word must follow '-'", 4, 19),
    ];
    for (body, wanted, line, column) in table {
        let (message, at_line, at_column) = error(&search, body.clone()).await;
        assert!(message.contains(wanted), "{message}: {body}");
        assert_eq!((at_line, at_column), (line, column), "{message}: {body}");
    }
}

#[tokio::test]
async fn a_hit_shows_its_record_and_where_it_matched() {
    let body = json!({
        "query": {"bool": {"must": [{"match": {"message": "payment failed"}}], "filter": [{"term": {"level": "error"}}]}},
        "sort": [{"@timestamp": "desc"}],
        "_source": ["message", "user.*"],
        "docvalue_fields": ["@timestamp", "user.name.keyword"],
        "highlight": {"fields": {"mess*": {}}, "pre_tags": ["<b>"], "post_tags": ["</b>"]},
        "size": 1, "from": 1,
    });
    let answer = shop().search("t", body, Wait::default()).await.unwrap();
    assert_eq!(answer["hits"]["total"], json!({"value": 2, "relation": "eq"}));
    let hit = &answer["hits"]["hits"][0];
    let wanted = json!({
        "_index": "t", "_id": "0:1", "_score": null,
        "_source": {"message": "Payment failed: card declined", "user": {"id": 7, "name": "Ann Lee"}},
        "fields": {
            "@timestamp": ["2024-03-01T11:00:01.000Z"], "user.name.keyword": ["Ann Lee"], "_key": ["k1"],
            "_partition": [0], "_offset": [1], "_headers.trace": ["t-1"],
        },
        "highlight": {"message": ["<b>Payment</b> <b>failed</b>: card declined"]},
        "sort": [NOW - 3_599_000, "0:1:t"],
    });
    assert_eq!(hit, &wanted);
    assert_eq!(answer["searched_through"], json!({"t": {"0": 7}}));
    assert_eq!(answer["_shards"], json!({"total": 1, "successful": 1, "skipped": 0, "failed": 0}));
}

#[tokio::test]
async fn better_matches_come_first() {
    let body = json!({"query": {"match": {"message": "card declined"}}});
    let answer = shop().search("t", body, Wait::default()).await.unwrap();
    assert_eq!(places(&answer), ["0:1", "0:4"]);
    let scores: Vec<f64> = answer["hits"]["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["_score"].as_f64().unwrap())
        .collect();
    assert!(scores[0] > scores[1] && scores[1] > 0.0);
    assert_eq!(answer["hits"]["max_score"].as_f64(), Some(scores[0]));
}

#[tokio::test]
async fn aggregations_say_what_counting_says() {
    let level = |n: i64| ["info", "warn", "error"][usize::try_from(n * n % 3).unwrap()];
    let values: Vec<Value> = (0..500_i64)
        .map(|n| json!({"level": level(n), "ms": n * 7 % 100, "half": (n % 9) as f64 / 2.0}))
        .collect();
    let search = Fake::new(1, [("t", vec![Log { cuts: vec![100, 250], ..log(&values) }])]).search();
    let body = json!({
        "size": 0,
        "query": {"range": {"_offset": {"lt": 400}}},
        "aggs": {
            "levels": {"terms": {"field": "level.keyword", "size": "5"}, "aggs": {"slow": {"max": {"field": "ms"}}}},
            "minutes": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1, "format": "epoch_millis"}},
            "ms": {"stats": {"field": "ms"}},
            "avg": {"avg": {"field": "half"}},
            "kinds": {"cardinality": {"field": "ms"}},
            "ranges": {"range": {"field": "ms", "ranges": [{"to": 10}, {"from": 10}]}},
            "tens": {"histogram": {"field": "ms", "interval": 50}},
        },
    });
    let answer = search.search("t", body, Wait::default()).await.unwrap();
    let found = &answer["aggregations"];
    let ms = |n: i64| n * 7 % 100;
    for bucket in found["levels"]["buckets"].as_array().unwrap() {
        let of: Vec<i64> = (0..400_i64).filter(|n| level(*n) == bucket["key"]).collect();
        assert_eq!(bucket["doc_count"], json!(of.len()));
        assert_eq!(bucket["slow"]["value"].as_f64(), of.iter().map(|n| ms(*n) as f64).max_by(f64::total_cmp));
    }
    assert_eq!(found["levels"]["buckets"].as_array().unwrap().len(), 2);
    let minutes = found["minutes"]["buckets"].as_array().unwrap();
    assert_eq!(minutes.len(), 7);
    for (minute, bucket) in (0..).zip(minutes) {
        let begin = NOW - 3_600_000 + minute * 60_000;
        assert_eq!(bucket["key"], json!(begin));
        assert_eq!(bucket["key_as_string"], json!(begin.to_string()));
        assert_eq!(bucket["doc_count"], json!((400 - minute * 60).min(60)));
    }
    let sum: i64 = (0..400).map(ms).sum();
    assert_eq!(found["ms"]["sum"].as_f64(), Some(sum as f64));
    assert_eq!(found["ms"]["count"], json!(400));
    assert_eq!((found["ms"]["min"].as_f64(), found["ms"]["max"].as_f64()), (Some(0.0), Some(99.0)));
    let half: f64 = (0..400_i64).map(|n| (n % 9) as f64 / 2.0).sum::<f64>() / 400.0;
    assert!((found["avg"]["value"].as_f64().unwrap() - half).abs() < 1e-9);
    assert!((found["kinds"]["value"].as_f64().unwrap() - 100.0).abs() < 3.0);
    let below = (0..400).filter(|n| ms(*n) < 10).count();
    assert_eq!(found["ranges"]["buckets"][0]["doc_count"], json!(below));
    assert_eq!(found["tens"]["buckets"][0]["doc_count"], json!((0..400).filter(|n| ms(*n) < 50).count()));
    assert_eq!(answer["hits"]["hits"], json!([]));
}

#[tokio::test]
async fn a_native_query_pages_by_time_and_marks_words() {
    let search = shop();
    let query = NativeQuery {
        q: "payment failed".to_owned(),
        topics: "t".to_owned(),
        from: Some(Millis(NOW - 3_600_000)),
        limit: 2,
        newest_first: true,
        ..NativeQuery::default()
    };
    let first = search.query(query.clone()).await.unwrap();
    assert_eq!((first.total, first.hits.iter().map(|hit| hit.offset).collect::<Vec<_>>()), (3, vec![4, 3]));
    assert_eq!(first.hits[1].value, json!("plain text: payment of 42 francs failed"));
    let marked = json!({"value": ["plain text: \u{1}payment\u{2} of 42 francs \u{1}failed\u{2}"]});
    assert_eq!(first.hits[1].highlight, Some(marked));
    let second = search.query(NativeQuery { after: first.next, ..query.clone() }).await.unwrap();
    assert_eq!(second.hits.iter().map(|hit| hit.offset).collect::<Vec<_>>(), [1]);
    assert_eq!(second.next, None);
    let wrong = search.query(NativeQuery { q: "a AND (b".to_owned(), ..query }).await.unwrap_err();
    assert!(matches!(wrong, SearchError::BadQuery { line: 1, column: 7, .. }), "{wrong:?}");
}

#[tokio::test]
async fn several_searches_fail_each_on_its_own() {
    let lines = b"{}\n{\"size\":0}\n{\"index\":\"none\"}\n{}\n{\"index\":[\"t\"]}\n{\"query\":{\"x\":{}}}\n";
    let answer = shop().msearch(lines, Some("t"), Wait::default()).await.unwrap();
    let statuses: Vec<i64> =
        answer["responses"].as_array().unwrap().iter().map(|one| one["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 400]);
    assert_eq!(answer["responses"][0]["hits"]["total"]["value"], json!(7));
    let wrong = shop().msearch(b"{}\n{\"size\":0}\n{\n", Some("t"), Wait::default()).await.unwrap_err();
    assert!(matches!(wrong, SearchError::BadQuery { line: 3, .. }), "{wrong:?}");
}

#[tokio::test]
async fn fields_and_topics_are_described() {
    let search = shop();
    let mapping = search.mapping("t").await.unwrap();
    let properties = &mapping["t"]["mappings"]["properties"];
    assert_eq!(properties["level"]["type"], "text");
    assert_eq!(properties["user"]["properties"]["id"]["type"], "long");
    assert_eq!(properties["ok"]["type"], "boolean");
    assert_eq!(properties["at"]["type"], "date");
    let caps = search.field_caps("t", "user.*,@timestamp").await.unwrap();
    let names: Vec<&String> = caps["fields"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["@timestamp", "user.id", "user.name", "user.name.keyword"]);
    let rows = search.indices(None, std::time::Duration::ZERO).await.unwrap();
    assert_eq!((&rows[0]["index"], &rows[0]["docs.count"]), (&json!("t"), &json!("7")));
    assert_eq!(search.counters().stats().failed, 0);
    let _ = search.search("none", json!({}), Wait::default()).await.unwrap_err();
    let stats = search.counters().stats();
    assert_eq!((stats.failed, stats.seconds.count), (1, 1));
}
