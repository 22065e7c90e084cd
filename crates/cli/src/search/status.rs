//! How far a broker's index is.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Exit};
use crate::http::{Http, HttpAddress};
use crate::{Context, Printer, moment};

/// The key that makes a topic searchable.
pub(crate) const SEARCH_ENABLE: &str = "search.enable";
/// Time between two looks at the progress.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Looks without a word of a topic's index before it is given up: the broker hears of a change a moment later.
const LOOKS_WITHOUT_MAX: u32 = 50;

/// The index of a topic, as far as the broker that was asked has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TopicIndex {
    /// Its name.
    pub(crate) topic: String,
    /// Its id.
    pub(crate) topic_id: String,
    /// Partitions that this broker indexes.
    pub(crate) partitions: Vec<PartitionIndex>,
}

/// The index of a partition.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct PartitionIndex {
    /// Its number.
    pub(crate) partition: i32,
    /// Such as `following`.
    pub(crate) state: String,
    /// The first offset that is not searched yet.
    pub(crate) searched_through: i64,
    /// The end of what is committed.
    pub(crate) high_watermark: i64,
    /// Records that are not searched yet.
    pub(crate) lag_records: i64,
    /// Age of the oldest of them.
    pub(crate) lag_seconds: f64,
    /// Size on disk.
    pub(crate) bytes: u64,
    /// Records that can be found.
    pub(crate) records: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Statuses {
    topics: Vec<TopicIndex>,
}

impl TopicIndex {
    fn sum(&self, of: impl Fn(&PartitionIndex) -> i64) -> i64 {
        self.partitions.iter().map(of).fold(0, i64::saturating_add)
    }

    fn lag(&self) -> i64 {
        self.sum(|partition| partition.lag_records)
    }

    /// One line for people. `partitions` is how many the topic has.
    pub(crate) fn text(&self, printer: &Printer, partitions: usize) -> String {
        let bytes: u64 = self.partitions.iter().map(|partition| partition.bytes).sum();
        let seconds = self.partitions.iter().map(|partition| partition.lag_seconds).fold(0.0, f64::max);
        let records = self.sum(|partition| i64::try_from(partition.records).unwrap_or(i64::MAX));
        let mut states: Vec<&str> =
            self.partitions.iter().map(|partition| partition.state.as_str()).collect();
        states.sort_unstable();
        states.dedup();
        let unit = if printer.is_human() { "" } else { " bytes" };
        let mut out = format!(
            "index: {} records · {}{unit} · lag {} records, {} · {}",
            printer.count(records),
            printer.bytes(bytes),
            printer.count(self.lag()),
            moment::span((seconds * 1000.0) as i64),
            states.join(", ")
        );
        if self.partitions.len() < partitions {
            // Writing to a string does not fail.
            write!(
                out,
                " · {} of {partitions} partitions, the others are indexed elsewhere",
                self.partitions.len()
            )
            .ok();
        }
        out
    }
}

/// What the broker says of the index of some topics.
pub(crate) async fn ask(http: &mut Http, topics: &[&str]) -> Result<Vec<TopicIndex>, CliError> {
    let answer = http.get("/v1/search/status", &[("topics", topics.join(","))]).await?;
    let statuses: Statuses = serde_json::from_value(answer).map_err(|error| {
        CliError::new(Exit::Failed, format!("the broker's answer is not understood: {error}"))
    })?;
    Ok(statuses.topics)
}

/// Shows on a terminal how an index gets all that is there, and returns when it has; without a terminal only if the user waits
/// for it.
///
/// # Errors
/// With `wait`, if the broker does not tell.
pub(crate) async fn back_fill(
    context: &Context,
    http: &HttpAddress,
    topic: &str,
    wait: bool,
) -> Result<(), CliError> {
    let is_shown = !context.global.quiet && std::io::stderr().is_terminal();
    if !wait && !is_shown {
        return Ok(());
    }
    match watch(context, http, topic, is_shown).await {
        Err(error) if wait => Err(error),
        Err(error) => {
            context.note(format!("the index is built in the background; no progress: {}", error.message()));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn watch(context: &Context, http: &HttpAddress, topic: &str, is_shown: bool) -> Result<(), CliError> {
    let mut http = Http::connect(context, http).await?;
    let bar = if is_shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template(
        "indexing {msg}  {wide_bar} {human_pos} of {human_len} records  {per_sec}  {eta}",
    ) {
        bar.set_style(style);
    }
    bar.set_message(topic.to_owned());
    let mut without = 0;
    loop {
        let found = ask(&mut http, &[topic]).await?;
        match found.iter().find(|index| index.topic == topic && !index.partitions.is_empty()) {
            Some(index) => {
                let (lag, records) = (index.lag(), index.sum(|one| i64::try_from(one.records).unwrap_or(0)));
                let number = |number: i64| u64::try_from(number).unwrap_or(0);
                bar.set_length(number(records.saturating_add(lag)));
                bar.set_position(number(records));
                if lag == 0 {
                    bar.finish_and_clear();
                    context
                        .note(format!("{topic}: {} records are searchable", context.printer.count(records)));
                    return Ok(());
                }
            }
            None if without < LOOKS_WITHOUT_MAX => without += 1,
            None => {
                bar.finish_and_clear();
                let text = format!("the broker that was asked does not index topic {topic}");
                return Err(
                    CliError::new(Exit::Failed, text).fix("--http HOST:PORT", "ask the broker that leads it")
                );
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Format;

    #[test]
    fn an_index_is_told_in_one_line() {
        let one = |partition, lag_records, state: &str| PartitionIndex {
            partition,
            state: state.to_owned(),
            lag_records,
            lag_seconds: lag_records as f64 / 100.0,
            bytes: 1_000_000,
            records: 50_000,
            ..PartitionIndex::default()
        };
        let index = TopicIndex {
            partitions: vec![one(0, 0, "following"), one(1, 250, "paused")],
            ..TopicIndex::default()
        };
        expect!["index: 100,000 records · 1.9 MiB · lag 250 records, 2.5 s · following, paused"]
            .assert_eq(&index.text(&Printer::plain(Format::Table, true), 2));
        assert!(
            index
                .text(&Printer::plain(Format::Table, false), 3)
                .ends_with(" · 2 of 3 partitions, the others are indexed elsewhere")
        );
    }
}
