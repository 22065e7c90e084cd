//! `eddy bench consume`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eddy_batch::{BatchError, batches};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::counts::Tally;
use super::course::{self, Clients, Course};
use super::options::{Times, rate};
use super::report::Report;
use super::{FETCH_PATIENCE, failed};
use crate::brokers::Brokers;
use crate::consume::fetch::{self, Chunk, Event};
use crate::consume::member::{self, Taken};
use crate::consume::range::{From, Range, Until};
use crate::consume::{Source, records};
use crate::error::CliError;
use crate::{Context, Topic, select};

const HELP: &str = "\
Reads what is there from the start to the end, unless told otherwise. Latencies are those of fetches that brought something, from the
request to the whole answer; with --tail they include how long the broker waited for records.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Arguments {
    /// Topics, globs too
    #[arg(value_name = "TOPIC", default_value = "bench")]
    topics: Vec<String>,
    /// Consumers, each with connections of its own; each reads everything, or its share of the group
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Read as members of a group, go on where it stopped, and commit
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// Records a second of all consumers, at most
    #[arg(short, long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Begin at the end, and read what comes
    #[arg(long)]
    tail: bool,
    /// Begin again at the start whenever the end is reached
    #[arg(long, conflicts_with_all = ["tail", "group"])]
    repeat: bool,
    /// Check and decode every record, as applications do; otherwise only batches are counted
    #[arg(long)]
    decode: bool,
    #[command(flatten)]
    times: Times,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    if arguments.group.is_some() {
        // Offsets of the group change.
        context.changes()?;
    }
    let mut times = arguments.times;
    times.has_end |= !arguments.tail && !arguments.repeat;
    let topics = select::topics(context.brokers().await?, &arguments.topics).await?;
    let shared = Arc::new(Shared {
        course: Course::new(&times),
        tally: Tally::default(),
        decode: arguments.decode,
        repeat: arguments.repeat,
        range: Range {
            from: if arguments.tail { From::End(0) } else { From::Start(0) },
            until: (!arguments.tail).then_some(Until::End),
        },
        record_seconds: arguments.rate.map(|rate| f64::from(arguments.clients) / rate),
        left: times.number.map(AtomicU64::new),
    });
    let local = LocalSet::new();
    let mut consumers = Vec::new();
    for number in 0..arguments.clients {
        consumers.push(Consumer::connect(context, &topics, number, &shared).await?);
    }
    shared.course.start();
    let mut clients = Clients::new();
    for (consumer, source) in consumers {
        match arguments.group.clone() {
            // What a member says to its group is not for other threads.
            Some(group) => clients.spawn_local_on(consumer.run_in_group(source, group), &local),
            None => clients.spawn(consumer.run(source)),
        };
    }
    let so_far = || shared.tally.so_far();
    let run = course::run(context, &times, &shared.course, &mut clients, so_far);
    let outcome = local.run_until(run).await?;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let partitions = topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut report = Report::new("consume", names.join(","), partitions, &shared.tally, &outcome);
    let plural = if arguments.clients == 1 { "" } else { "s" };
    let group = arguments.group.map(|group| format!(" of group {group}")).unwrap_or_default();
    report.title = format!("{} consumer{plural}{group}", arguments.clients);
    report.print(context, outcome)
}

/// What the consumers of a run share.
struct Shared {
    course: Course,
    tally: Tally,
    decode: bool,
    repeat: bool,
    range: Range,
    /// Seconds that a consumer may take for a record, at a rate.
    record_seconds: Option<f64>,
    /// Records that are still to be read.
    left: Option<AtomicU64>,
}

struct Consumer {
    number: u32,
    shared: Arc<Shared>,
    /// When it got something for the first time.
    began: Option<Instant>,
    records: u64,
}

impl Consumer {
    async fn connect(
        context: &Context,
        topics: &[Topic],
        number: u32,
        shared: &Arc<Shared>,
    ) -> Result<(Consumer, Source), CliError> {
        let global = &context.global;
        let brokers = Brokers::connect(context.bootstrap()?, global.timeout, global.verbose).await?;
        let mut source = Source::whole(context, Arc::new(brokers), topics.to_vec());
        source.patience = FETCH_PATIENCE.min(global.timeout);
        let consumer = Consumer { number, shared: shared.clone(), began: None, records: 0 };
        Ok((consumer, source))
    }

    async fn run(mut self, source: Source) -> Result<(), CliError> {
        let shared = self.shared.clone();
        loop {
            let spans = source.spans(shared.range).await?;
            if spans.values().all(|span| span.until.is_some_and(|until| span.from >= until)) {
                return Err(CliError::not_found("there is nothing to read")
                    .fix("eddy bench produce", "write something first")
                    .fix("--tail", "read what comes"));
            }
            let targets = source.targets(&spans);
            let mut events = fetch::start(source.brokers.clone(), targets, source.options());
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = shared.course.over() => return Ok(()),
                };
                let Some(event) = event.transpose()? else { break };
                let Event::Chunk(chunk) = event else { continue };
                let taken = self.take(&chunk)?;
                if !taken.more {
                    return Ok(());
                }
                if let Some(resume) = taken.resume {
                    tokio::select! {
                        () = tokio::time::sleep_until(resume) => {}
                        () = shared.course.over() => return Ok(()),
                    }
                }
            }
            if !shared.repeat {
                return Ok(());
            }
        }
    }

    async fn run_in_group(mut self, source: Source, group: String) -> Result<(), CliError> {
        let shared = self.shared.clone();
        let take = |chunk: Option<&Chunk>| match chunk {
            Some(chunk) => self.take(chunk),
            None => Ok(Taken { next: None, more: true, resume: None }),
        };
        member::consume(&source, &group, shared.range, shared.course.over(), take).await
    }

    /// Counts a chunk.
    fn take(&mut self, chunk: &Chunk) -> Result<Taken, CliError> {
        let shared = &self.shared;
        let records = if shared.decode { decoded(chunk)? } else { counted(chunk)? };
        self.records += records;
        let began = *self.began.get_or_insert_with(Instant::now);
        if shared.course.is_measuring() {
            shared.tally.count(self.number, |counts| {
                counts.records += records;
                counts.bytes += chunk.batches.len() as u64;
                if let Some(took) = chunk.took {
                    counts.requests += 1;
                    counts.latency(took, 1);
                }
            });
        }
        let left = shared.left.as_ref();
        let is_enough = left.is_some_and(|left| {
            let take = |left: u64| Some(left.saturating_sub(records));
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok_and(|left| left <= records)
        });
        let resume = shared.record_seconds.map(|seconds| {
            let due = Duration::try_from_secs_f64(self.records as f64 * seconds);
            began + due.unwrap_or(Duration::MAX / 4)
        });
        Ok(Taken { next: Some(chunk.end()), more: !is_enough, resume })
    }
}

/// Records by the headers of batches.
fn counted(chunk: &Chunk) -> Result<u64, CliError> {
    let mut records = 0;
    for batch in batches(chunk.batches.clone()) {
        match batch {
            Ok(batch) => records += u64::try_from(batch.header.records_count).unwrap_or(0),
            // A fetch may end within a batch.
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => {
                let (topic, partition) = (&chunk.topic, chunk.partition);
                return Err(failed(format!("cannot read a batch of {topic}-{partition}: {error}")));
            }
        }
    }
    Ok(records)
}

fn decoded(chunk: &Chunk) -> Result<u64, CliError> {
    let mut count = 0;
    records(chunk, |_| {
        count += 1;
        Ok(true)
    })?;
    Ok(count)
}
