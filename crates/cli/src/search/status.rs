//! How far the indexes of topics are.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Exit};
use crate::http::{Http, HttpAddress};
use crate::{Context, Printer, moment};

/// The key that makes a topic searchable.
pub(crate) const SEARCH_ENABLE: &str = "search.enable";
/// Time between two looks at the progress.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// How long a look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Time without a word of the whole of a topic's index before it is given up: brokers hear of a change a moment later, and another
/// leader takes its time.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);

/// The index of a topic.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TopicIndex {
    /// Its name.
    pub(crate) topic: String,
    /// Its id.
    pub(crate) topic_id: String,
    /// Partitions of which a broker told.
    pub(crate) partitions: Vec<PartitionIndex>,
    /// The others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) partial: Vec<Missing>,
}

/// A partition of whose index nothing is known.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Missing {
    topic: String,
    /// Its number.
    partition: i32,
    /// The broker that leads it, if any does.
    node: Option<i32>,
    /// Why nothing is known.
    reason: String,
}

/// The index of a partition.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct PartitionIndex {
    /// Its number.
    pub(crate) partition: i32,
    /// The broker that leads it.
    pub(crate) node: i32,
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
    partial: Vec<Missing>,
}

impl Missing {
    fn text(&self) -> String {
        let Missing { partition, reason, .. } = self;
        match self.node {
            Some(node) => format!("no word of partition {partition} from broker {node}: {reason}"),
            None => format!("no word of partition {partition}: {reason}"),
        }
    }
}

impl TopicIndex {
    fn sum(&self, of: impl Fn(&PartitionIndex) -> i64) -> i64 {
        self.partitions.iter().map(of).fold(0, i64::saturating_add)
    }

    fn lag(&self) -> i64 {
        self.sum(|partition| partition.lag_records)
    }

    /// Whether all of it is known.
    fn is_whole(&self) -> bool {
        self.partial.is_empty() && !self.partitions.is_empty()
    }

    /// One line for people, and one more when something is missing.
    pub(crate) fn text(&self, printer: &Printer) -> String {
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
        if let Some(missing) = self.partial.first() {
            let (known, all) = (self.partitions.len(), self.partitions.len() + self.partial.len());
            // Writing to a string does not fail.
            write!(out, " · {known} of {all} partitions\n! {}", missing.text()).ok();
        }
        out
    }
}

/// What the brokers say of the indexes of some topics, those that answer `within` a time.
pub(crate) async fn ask(
    http: &mut Http,
    topics: &[&str],
    within: Duration,
) -> Result<Vec<TopicIndex>, CliError> {
    let parameters = [("topics", topics.join(",")), ("timeout", format!("{}ms", within.as_millis()))];
    let answer = http.get("/v1/search/status", &parameters).await?;
    let Statuses { mut topics, partial } = serde_json::from_value(answer).map_err(|error| {
        CliError::new(Exit::Failed, format!("the broker's answer is not understood: {error}"))
    })?;
    for missing in partial {
        if let Some(index) = topics.iter_mut().find(|index| index.topic == missing.topic) {
            index.partial.push(missing);
        }
    }
    Ok(topics)
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
    let within = LOOK_WITHIN.min(context.global.timeout / 2);
    let mut last_whole = Instant::now();
    loop {
        let found = ask(&mut http, &[topic], within).await?;
        let index = found.into_iter().find(|index| index.topic == topic).unwrap_or_default();
        if index.is_whole() {
            last_whole = Instant::now();
            let (lag, records) = (index.lag(), index.sum(|one| i64::try_from(one.records).unwrap_or(0)));
            let number = |number: i64| u64::try_from(number).unwrap_or(0);
            bar.set_length(number(records.saturating_add(lag)));
            bar.set_position(number(records));
            if lag == 0 {
                bar.finish_and_clear();
                context.note(format!("{topic}: {} records are searchable", context.printer.count(records)));
                return Ok(());
            }
        } else if last_whole.elapsed() > GIVE_UP_AFTER {
            bar.finish_and_clear();
            let none = || "the broker that was asked does not know that it is indexed".to_owned();
            let why = index.partial.first().map_or_else(none, Missing::text);
            let text = format!("how far the index of topic {topic} is cannot be told: {why}");
            return Err(CliError::new(Exit::Failed, text).fix("eddy doctor", "see which brokers are missing"));
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
        let mut index = TopicIndex {
            partitions: vec![one(0, 0, "following"), one(1, 250, "paused")],
            ..TopicIndex::default()
        };
        let printer = Printer::plain(Format::Table, true);
        expect!["index: 100,000 records · 1.9 MiB · lag 250 records, 2.5 s · following, paused"]
            .assert_eq(&index.text(&printer));
        let reason = "the connection is broken".to_owned();
        index.partial.push(Missing { topic: String::new(), partition: 2, node: Some(7), reason });
        expect![[r#"
            index: 100,000 records · 1.9 MiB · lag 250 records, 2.5 s · following, paused · 2 of 3 partitions
            ! no word of partition 2 from broker 7: the connection is broken"#]]
        .assert_eq(&index.text(&printer));
    }
}
