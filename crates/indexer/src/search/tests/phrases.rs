//! Phrases: what need not be counted is passed over, and the best are the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::{Fake, Log, log, places};
use super::property::runtime;
use crate::search::{Search, Wait};

/// Words that follow each other all the time: a segment has several blocks of each.
fn words(count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["a", "b", "c"]);
    prop::collection::vec(word, count).prop_map(|words| words.join(" "))
}

fn partition() -> impl Strategy<Value = Log> {
    let texts = prop::collection::vec(words(0..7), 1..600);
    (texts, prop::collection::vec(0_usize..600, 0..4), 0_i64..20).prop_map(|(texts, mut cuts, start)| {
        cuts.sort_unstable();
        cuts.retain(|cut| *cut < texts.len());
        let start = start.min(texts.len() as i64);
        let values: Vec<Value> = texts.into_iter().map(|text| json!({"m": text})).collect();
        Log { cuts, start, ..log(&values) }
    })
}

/// Hits with their scores, and the total.
async fn found(search: &Search, phrase: &str, size: usize, track: &Value) -> (Vec<(String, Value)>, Value) {
    let body = json!({"query": {"match_phrase": {"m": phrase}}, "size": size, "track_total_hits": track});
    let answer = search.search("t", body, Wait::default()).await.unwrap();
    let scores = answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_score"].clone());
    (places(&answer).into_iter().zip(scores).collect(), answer["hits"]["total"].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn the_best_are_the_same_whatever_is_counted(
        logs in prop::collection::vec(partition(), 1..3),
        phrase in words(2..5),
        size in 1_usize..9,
        enough in 0_u64..60,
    ) {
        runtime().block_on(async {
            let search = Fake::new(1, [("t", logs)]).search();
            let (hits, total) = found(&search, &phrase, size, &json!(true)).await;
            let all = total["value"].as_u64().unwrap();
            let (some, counted) = found(&search, &phrase, size, &json!(enough)).await;
            prop_assert_eq!(&some, &hits);
            let expected = if all > enough { json!({"value": enough, "relation": "gte"}) } else { total };
            prop_assert_eq!(counted, expected);
            prop_assert_eq!(found(&search, &phrase, size, &json!(false)).await, (hits, Value::Null));
            Ok(())
        })?;
    }
}
