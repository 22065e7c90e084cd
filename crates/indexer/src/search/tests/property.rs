//! For any records and any query: the index finds what a scan finds, in the same order, page by page.

use std::cmp::Ordering;

use eddy_batch::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::{Fake, Log, log, offsets};
use super::naive;
use crate::search::{Search, Wait};

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["red", "Green", "blue", "err", "Error", "42", "true", "über", "x1"])
        .prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..4).prop_map(|words| words.join("-"))
}

/// Texts, numbers and truth values in one field, as records of different programs have them.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => text().prop_map(Value::from),
        2 => (-3_i64..50).prop_map(Value::from),
        1 => (-3_i64..6).prop_map(|number| Value::from(number as f64 / 2.0)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let many = prop::collection::vec(leaf(), 0..3).prop_map(Value::from);
    let any_leaf = prop_oneof![4 => leaf(), 1 => many];
    let field = prop::sample::select(vec!["a", "b", "c"]);
    let inner = prop::collection::btree_map(field.clone(), leaf(), 0..2);
    (prop::collection::btree_map(field, any_leaf, 0..4), inner).prop_map(|(fields, inner)| {
        let mut document = json!(fields);
        document["o"] = json!(inner);
        document
    })
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "o.a"]).prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        word().prop_map(|word| json!(word.to_lowercase())),
        (-3_i64..50).prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ]
}

fn query() -> impl Strategy<Value = Value> {
    let range = (field(), prop::option::of(-3_i64..50), prop::option::of(-3.0..50.0_f64)).prop_map(
        |(field, from, to)| match (from, to) {
            (None, None) => json!({"range": {field: {"gte": 0}}}),
            (Some(from), None) => json!({"range": {field: {"gt": from}}}),
            (None, Some(to)) => json!({"range": {field: {"lte": to}}}),
            (Some(from), Some(to)) => json!({"range": {field: {"gte": from, "lt": to}}}),
        },
    );
    let one = prop_oneof![
        1 => Just(json!({"match_all": {}})),
        3 => (field(), literal()).prop_map(|(field, value)| json!({"term": {field: value}})),
        2 => (field(), text()).prop_map(|(field, value)| json!({"term": {format!("{field}.keyword"): value}})),
        2 => (field(), prop::collection::vec(literal(), 0..3)).prop_map(|(field, values)| json!({"terms": {field: values}})),
        3 => (field(), text(), any::<bool>()).prop_map(|(field, text, and)| {
            json!({"match": {field: {"query": text, "operator": if and { "and" } else { "or" }}}})
        }),
        2 => (field(), text()).prop_map(|(field, text)| json!({"match_phrase": {field: text}})),
        2 => word().prop_map(|word| json!({"query_string": {"query": word}})),
        3 => range,
        1 => (0_i64..40).prop_map(|from| json!({"range": {"_offset": {"gte": from}}})),
        1 => (field(), any::<bool>()).prop_map(|(field, inner)| json!({"exists": {"field": if inner { "o".to_owned() } else { field }}})),
        2 => (field(), prop::sample::select(vec!["e", "er", "Er", "gre", "4"])).prop_map(|(field, text)| json!({"prefix": {field: text}})),
        1 => (field(), prop::sample::select(vec!["", "Err", "red-", "4"])).prop_map(|(field, text)| json!({"prefix": {format!("{field}.keyword"): text}})),
        1 => (0_u32..4).prop_map(|trace| json!({"term": {"_headers.trace": format!("t-{trace}")}})),
        1 => (0_u32..30).prop_map(|key| json!({"term": {"_key": format!("k{key}")}})),
    ];
    one.prop_recursive(3, 24, 4, |inner| {
        let clauses = || prop::collection::vec(inner.clone(), 0..3);
        (clauses(), clauses(), clauses(), clauses(), prop::option::of(0_u64..3)).prop_map(
            |(must, filter, should, not, least)| {
                let mut body = json!({"must": must, "filter": filter, "should": should, "must_not": not});
                if let Some(least) = least {
                    body["minimum_should_match"] = json!(least);
                }
                if body.as_object().unwrap().values().all(|clauses| clauses == &json!([])) {
                    return json!({"match_all": {}});
                }
                json!({"bool": body})
            },
        )
    })
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a record is sorted by: like the index, numbers after truth values, texts after numbers.
fn sort_value(record: &Record, path: &str, greatest: bool) -> Option<(u8, f64, String)> {
    let rank = |leaf: &Value| match leaf {
        Value::Bool(value) => (2, f64::from(u8::from(*value)), String::new()),
        Value::Number(number) => (3, number.as_f64().unwrap(), String::new()),
        leaf => (5, 0.0, leaf.as_str().unwrap().to_owned()),
    };
    let mut found: Vec<_> = naive::at(record, path).iter().map(rank).collect();
    found.sort_by(|one, two| one.partial_cmp(two).unwrap());
    if greatest { found.pop() } else { found.into_iter().next() }
}

fn order(one: &Record, two: &Record, path: &str, descending: bool) -> Ordering {
    let value = |record| sort_value(record, path, descending);
    let order = match (value(one), value(two)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(two)) if descending => two.partial_cmp(&one).unwrap(),
        (Some(one), Some(two)) => one.partial_cmp(&two).unwrap(),
    };
    order.then(one.offset.cmp(&two.offset))
}

async fn pages(search: &Search, query: &Value, path: &str, descending: bool, size: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let order = if descending { "desc" } else { "asc" };
        let mut body = json!({"query": query, "size": size, "sort": [{path: {"order": order}}]});
        if !after.is_null() {
            body["search_after"] = after;
        }
        let answer = search.search("t", body, Wait::default()).await.unwrap();
        let hits = answer["hits"]["hits"].as_array().unwrap();
        found.extend(hits.iter().map(|hit| hit["fields"]["_offset"][0].as_i64().unwrap()));
        match hits.last() {
            Some(last) if hits.len() == size => after = last["sort"].clone(),
            _ => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_found_is_what_a_scan_finds(
        documents in prop::collection::vec(document(), 1..30),
        cuts in prop::collection::btree_set(1_usize..30, 0..3),
        start in 0_i64..6,
        queries in prop::collection::vec(query(), 1..12),
        sort in (field(), any::<bool>(), 1_usize..7),
    ) {
        let log = Log { cuts: cuts.into_iter().collect(), start, ..log(&documents) };
        let search = Fake::new(1, [("t", vec![log.clone()])]).search();
        runtime().block_on(async {
            for query in &queries {
                let mut wanted: Vec<&Record> =
                    log.records.iter().filter(|record| record.offset.0 >= start && naive::matches(record, query)).collect();
                let offsets_wanted: Vec<i64> = wanted.iter().map(|record| record.offset.0).collect();
                prop_assert_eq!(&offsets(&search, query.clone()).await, &offsets_wanted, "{}", query);
                let count = search.count("t", json!({"query": query}), Wait::default()).await.unwrap();
                prop_assert_eq!(&count["count"], &json!(wanted.len()));
                let (path, descending, size) = &sort;
                wanted.sort_by(|one, two| order(one, two, path, *descending));
                let wanted: Vec<i64> = wanted.iter().map(|record| record.offset.0).collect();
                prop_assert_eq!(pages(&search, query, path, *descending, *size).await, wanted, "{} by {}", query, path);
            }
            Ok(())
        })?;
    }
}
