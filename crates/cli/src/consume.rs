//! `eddy consume` and `eddy tail`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::brokers::Brokers;
use crate::error::CliError;
use crate::positions::{Place, Wanted};
use crate::record::Record;
use crate::{Context, Format, Printer, Topic, select};

mod decode;
pub(crate) mod fetch;
mod filter;
pub(crate) mod member;
pub(crate) mod range;
mod sink;
pub(crate) mod tail;
mod template;

pub(crate) use decode::records;
use fetch::{Chunk, Event, Options, Target};
use filter::Filter;
use member::Taken;
use range::{Range, Until};
use sink::Sink;
use template::Template;

#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{}\n\n{}", range::HELP, template::HELP))]
pub struct Arguments {
    /// Topics, globs too
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin and stop: start, end, N, +N, -N, @TIME, each with :STOP (see below)
    #[arg(short = 'O', long, value_name = "RANGE", default_value = "start", allow_hyphen_values = true)]
    offset: Range,
    /// Stop at the end as it is now
    #[arg(short = 'e', long)]
    until_end: bool,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    /// Share the partitions with a group, go on where it stopped, and commit what was printed
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partitions")]
    group: Option<String>,
    #[command(flatten)]
    what: What,
}

/// Which records, and how they are printed: what consume and tail share.
#[derive(Debug, clap::Args)]
struct What {
    /// Only these partitions
    #[arg(short, long, value_name = "P,…", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Format string, such as '%k %v\n' (see consume --help)
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Template>,
    /// One JSON object a record, which produce --jsonl reads back without loss
    #[arg(long, conflicts_with = "format")]
    jsonl: bool,
    /// Leave out records of open and aborted transactions
    #[arg(long)]
    committed: bool,
    #[command(flatten)]
    filter: filter::Globs,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let mut range = arguments.offset;
    if arguments.until_end {
        range.until = range.until.or(Some(Until::End));
    }
    let source = Source::new(context, &arguments.topics, &arguments.what).await?;
    let mut sink = Sink::stdout(arguments.what.printer(context), arguments.what.format.as_ref());
    let limit = arguments.number.unwrap_or(u64::MAX);
    let mut each = |record: Option<&Record>| {
        match record {
            Some(record) => sink.record(record)?,
            None => sink.flush()?,
        }
        Ok(sink.count() < limit)
    };
    match &arguments.group {
        Some(group) => {
            // Offsets of the group change.
            context.changes()?;
            let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
            member::consume(&source, group, range, stop, source.printing(&mut each)).await?;
        }
        None => source.follow(source.spans(range).await?, each).await?,
    }
    sink.end()
}

impl What {
    fn printer(&self, context: &Context) -> Printer {
        if self.jsonl { context.printer.with_format(Format::Jsonl) } else { context.printer }
    }
}

/// The partitions that are read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) brokers: Arc<Brokers>,
    /// How long trouble may last before it is an error.
    pub(crate) patience: Duration,
    quiet: bool,
    topics: Vec<Topic>,
    places: Vec<Place>,
    filter: Filter,
    committed: bool,
}

impl Source {
    async fn new(context: &Context, names: &[String], what: &What) -> Result<Source, CliError> {
        let filter = Filter::new(&what.filter)?;
        let brokers = context.brokers().await?;
        let topics = select::topics(brokers, names).await?;
        let places = places(&topics, &what.partitions)?;
        let source = Source::whole(context, brokers.clone(), topics);
        Ok(Source { places, filter, committed: what.committed, ..source })
    }

    /// All of some topics, over connections of the caller's choice.
    pub(crate) fn whole(context: &Context, brokers: Arc<Brokers>, topics: Vec<Topic>) -> Source {
        Source {
            brokers,
            patience: context.global.timeout,
            quiet: context.global.quiet,
            places: topics.iter().flat_map(Place::all_of).collect(),
            topics,
            filter: Filter::default(),
            committed: false,
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options { committed: self.committed, patience: self.patience }
    }

    fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Takes chunks by their records that pass the filter; see [`member::consume`].
    fn printing(
        &self,
        each: &mut impl FnMut(Option<&Record>) -> Result<bool, CliError>,
    ) -> impl FnMut(Option<&Chunk>) -> Result<Taken, CliError> {
        |chunk| {
            let Some(chunk) = chunk else {
                return Ok(Taken { next: None, more: each(None)?, resume: None });
            };
            let mut last = None;
            let more = records(chunk, |record| {
                last = Some(record.offset);
                if self.filter.passes(&record) { each(Some(&record)) } else { Ok(true) }
            })?;
            // When that was enough, what follows the last record is still to be read.
            let next = if more { chunk.end() } else { last.map_or(chunk.from, |last| last + 1) };
            Ok(Taken { next: Some(next), more, resume: None })
        }
    }

    pub(crate) async fn spans(&self, range: Range) -> Result<BTreeMap<Place, range::Span>, CliError> {
        self.spans_of(&self.places, range).await
    }

    async fn spans_of(
        &self,
        places: &[Place],
        range: Range,
    ) -> Result<BTreeMap<Place, range::Span>, CliError> {
        let end = if self.committed { Wanted::LastStable } else { Wanted::Latest };
        range::resolve(&self.brokers, places, range, end).await
    }

    /// Calls `each` with every record that passes the filter, and with none when no more are at hand, until it returns false, the spans
    /// are read, or the user interrupts.
    async fn follow(
        &self,
        spans: BTreeMap<Place, range::Span>,
        mut each: impl FnMut(Option<&Record>) -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        let mut events = fetch::start(self.brokers.clone(), self.targets(&spans), self.options());
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = &mut interrupt => None,
            };
            match event.transpose()? {
                None => return Ok(()),
                Some(Event::Note(note)) => self.note(note),
                Some(Event::Chunk(chunk)) => {
                    let more = records(&chunk, |record| {
                        if self.filter.passes(&record) { each(Some(&record)) } else { Ok(true) }
                    })?;
                    if !more {
                        return Ok(());
                    }
                }
            }
            if events.is_empty() {
                each(None)?;
            }
        }
    }

    pub(crate) fn targets(&self, spans: &BTreeMap<Place, range::Span>) -> Vec<Target> {
        let mut targets = Vec::new();
        for topic in &self.topics {
            let name: Arc<str> = topic.name.as_str().into();
            for (place, span) in spans.iter().filter(|(place, _)| place.topic == topic.name) {
                targets.push(Target {
                    topic: name.clone(),
                    topic_id: topic.id,
                    partition: place.partition,
                    from: span.from,
                    until: span.until,
                });
            }
        }
        targets
    }
}

fn places(topics: &[Topic], partitions: &[i32]) -> Result<Vec<Place>, CliError> {
    let mut places = Vec::new();
    for topic in topics {
        for wanted in partitions {
            if !topic.partitions.iter().any(|partition| partition.index == *wanted) {
                return Err(CliError::not_found(format!("no such partition: {}-{wanted}", topic.name)));
            }
        }
        for partition in &topic.partitions {
            if partitions.is_empty() || partitions.contains(&partition.index) {
                places.push(Place { topic: topic.name.clone(), partition: partition.index });
            }
        }
    }
    Ok(places)
}
