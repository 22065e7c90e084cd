//! What is written from now on.

use std::collections::BTreeMap;
use std::io::Stdout;

use super::answer::{Answer, Hit, Through};
use super::ask::Question;
use super::show::Show;
use super::{FOLLOW_PAUSE, PAGE};
use crate::Context;
use crate::error::CliError;
use crate::http::Http;

/// Prints the newest records, oldest first, then every one that becomes searchable, until the user interrupts. Goes by the
/// offsets up to which each partition was searched, so that nothing is left out or printed twice whatever its timestamp is.
pub(super) async fn run(
    context: &Context,
    http: &mut Http,
    question: &Question,
    limit: u64,
    show: &mut Show<Stdout>,
) -> Result<(), CliError> {
    let first = question.ask(http, None, limit.min(PAGE)).await?;
    first.warn(context);
    for hit in first.hits.iter().rev() {
        show.hit(hit)?;
    }
    show.flush()?;
    let mut through = first.searched_through;
    // Whoever waits once need not wait each time.
    let question = Question { newest_first: false, wait: false, ..question.clone() };
    loop {
        tokio::time::sleep(FOLLOW_PAUSE).await;
        let now = question.ask(http, None, 0).await?.searched_through;
        for (topic, ends) in &now {
            let from = through.get(topic);
            if from != Some(ends) {
                let question = Question {
                    query: beyond(&question.query, from, ends),
                    topics: topic.clone(),
                    ..question.clone()
                };
                new(http, &question, topic, ends, show).await?;
            }
        }
        show.flush()?;
        merge(&mut through, now);
    }
}

/// Prints what is below `ends`; what is beyond by now comes in the next round.
async fn new(
    http: &mut Http,
    question: &Question,
    topic: &str,
    ends: &BTreeMap<i32, i64>,
    show: &mut Show<Stdout>,
) -> Result<(), CliError> {
    let is_due =
        |hit: &&Hit| hit.topic == topic && ends.get(&hit.partition).is_some_and(|end| hit.offset < *end);
    let mut after = None;
    loop {
        let Answer { hits, next, .. } = question.ask(http, after.as_deref(), PAGE).await?;
        for hit in hits.iter().filter(is_due) {
            show.hit(hit)?;
        }
        if next.is_none() || hits.is_empty() {
            return Ok(());
        }
        after = next;
    }
}

/// The query, for the offsets from those in `from` to those in `ends`, where there are any.
fn beyond(query: &str, from: Option<&BTreeMap<i32, i64>>, ends: &BTreeMap<i32, i64>) -> String {
    let new = ends.iter().filter_map(|(partition, end)| {
        let from = from.and_then(|from| from.get(partition)).copied().unwrap_or(0);
        (from < *end).then(|| format!("(_partition:{partition} AND _offset:>={from})"))
    });
    let new = new.collect::<Vec<_>>().join(" OR ");
    if query.trim().is_empty() { format!("({new})") } else { format!("({query}) AND ({new})") }
}

/// A partition that nobody answers for now stays where it was.
fn merge(through: &mut Through, now: Through) {
    for (topic, ends) in now {
        through.entry(topic).or_default().extend(ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_partitions_with_something_new_are_asked_for() {
        let from = BTreeMap::from([(0, 5), (1, 7)]);
        let ends = BTreeMap::from([(0, 9), (1, 7), (2, 1)]);
        assert_eq!(
            beyond("a OR b", Some(&from), &ends),
            "(a OR b) AND ((_partition:0 AND _offset:>=5) OR (_partition:2 AND _offset:>=0))"
        );
        assert_eq!(beyond("", None, &BTreeMap::from([(0, 1)])), "((_partition:0 AND _offset:>=0))");
    }

    #[test]
    fn a_partition_without_an_answer_keeps_its_place() {
        let mut through = Through::from([("a".to_owned(), BTreeMap::from([(0, 5), (1, 7)]))]);
        merge(&mut through, Through::from([("a".to_owned(), BTreeMap::from([(0, 6)]))]));
        assert_eq!(through["a"], BTreeMap::from([(0, 6), (1, 7)]));
    }
}
