//! `eddy produce`.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::ValueEnum;
use eddy_batch::{BatchBuilder, Compression, Header};
use eddy_client::{Acks, PartitionName};
use eddy_types::Millis;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};
use crate::jsonl::Draft;
use crate::moment::now_ms;
use crate::{Cell, Column, Context, Topic, select};

mod input;
mod lane;
mod partitioner;

use input::{Form, Pieces};
use lane::{Load, Options, Outcome, Written};
use partitioner::Partitioner;

/// Batches that wait for their lane besides those under way.
const LANE_LOADS_MAX: usize = 2;
/// Memory of the batches on their way, in KiB.
const MEMORY_KIB: usize = 64 << 10;
/// Bytes in batches that are not full, over all partitions: beyond, all are sent.
const UNSENT_BYTES_MAX: usize = 32 << 20;
/// Before progress is shown.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_long_help = input::HELP)]
pub struct Arguments {
    /// Topic; with --jsonl it may be left to the records
    #[arg(value_name = "TOPIC", required_unless_present = "jsonl")]
    topic: Option<String>,
    /// Values to write in place of an input
    #[arg(value_name = "VALUE", conflicts_with_all = ["input", "format", "jsonl"])]
    values: Vec<String>,
    /// Read from a file instead of stdin
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Format of the input [default: '%v\n', a value a line]
    #[arg(short, long, value_name = "FORMAT", conflicts_with_all = ["jsonl", "key_separator"])]
    format: Option<Pieces>,
    /// Lines are KEY, this text, VALUE
    #[arg(short = 'K', long, value_name = "TEXT", conflicts_with = "jsonl")]
    key_separator: Option<String>,
    /// Input is what consume --jsonl prints; records keep partition and timestamp
    #[arg(long)]
    jsonl: bool,
    /// Key of records that bring none
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,
    /// A header of every record
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<Header>,
    /// Write to this partition
    #[arg(short, long, value_name = "P", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Choose partitions by key, whatever partition records name
    #[arg(long, conflicts_with = "partition")]
    repartition: bool,
    /// An empty value is null, a tombstone
    #[arg(short = 'Z', long)]
    tombstones: bool,
    /// Codec of batches
    #[arg(short = 'z', long, value_name = "CODEC", value_enum, default_value_t)]
    compression: Codec,
    /// Whose acknowledgement to wait for; with all, nothing is written twice
    #[arg(long, value_name = "WHO", value_enum, default_value_t)]
    acks: AcksOf,
    /// Bytes of a batch before compression
    #[arg(long, value_name = "N", default_value_t = 512 << 10, value_parser = clap::value_parser!(u32).range(1..=(64 << 20)))]
    batch_bytes: u32,
    /// How long a batch that is not full waits for more
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = crate::global::duration)]
    linger: Duration,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum AcksOf {
    /// All replicas in sync
    #[default]
    All,
    /// The leader alone
    #[value(alias = "1")]
    Leader,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    records: i64,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
    /// Of the batches, as they were sent.
    bytes: u64,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.topic.clone())),
    Column::new("P", |row| Cell::count(row.partition)),
    Column::new("RECORDS", |row| Cell::Count(row.records)),
    Column::new("FIRST", |row| row.first_offset.map_or(Cell::None, Cell::Count)),
    Column::new("LAST", |row| row.last_offset.map_or(Cell::None, Cell::Count)),
    Column::new("SIZE", |row| Cell::Bytes(row.bytes)),
];

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    context.changes()?;
    let brokers = context.brokers().await?;
    let identity = match arguments.acks {
        AcksOf::All => {
            Some(brokers.retry(To::Any, async |connection| connection.producer_identity().await).await?)
        }
        AcksOf::Leader => None,
    };
    let acks = if identity.is_some() { Acks::All } else { Acks::Leader };
    let options = Options { acks, identity, patience: context.global.timeout };
    let mut producer = Producer::new(brokers.clone(), &arguments, options);
    if let Some(topic) = &arguments.topic {
        // A wrong name shows before anything is typed.
        producer.open(topic).await?;
    }
    let failed = produce(context, &arguments, &mut producer).await.err();
    let (rows, lane_failed) = producer.finish().await;
    context.printer.rows(COLUMNS, &rows)?;
    match lane_failed.or(failed) {
        Some(error) => {
            let records: i64 = rows.iter().map(|row| row.records).sum();
            Err(error.fact(format!("{records} records were written before")))
        }
        None => Ok(()),
    }
}

async fn produce(
    context: &Context,
    arguments: &Arguments,
    producer: &mut Producer<'_>,
) -> Result<(), CliError> {
    if !arguments.values.is_empty() {
        for value in &arguments.values {
            producer.add(Draft { value: Some(Bytes::from(value.clone())), ..Draft::default() }).await?;
        }
        return producer.flush().await;
    }
    let mut groups = input::start(source(context, arguments)?, form(arguments));
    let progress = Progress::new(context);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        let group = tokio::select! {
            group = groups.recv() => group,
            () = tokio::time::sleep(arguments.linger), if producer.unsent_bytes > 0 => {
                producer.flush().await?;
                continue;
            }
            _ = producer.ended_early() => return Ok(()),
            _ = &mut interrupt => None,
        };
        let Some(group) = group.transpose()? else { break };
        for draft in group {
            producer.add(draft).await?;
        }
        progress.show(producer);
    }
    progress.bar.finish_and_clear();
    producer.flush().await
}

fn source(context: &Context, arguments: &Arguments) -> Result<Box<dyn Read + Send>, CliError> {
    let Some(path) = &arguments.input else {
        if io::stdin().is_terminal() {
            context.note("one record a line; Ctrl-D ends");
        }
        return Ok(Box::new(io::stdin()));
    };
    (context.host.open)(path).map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        CliError::new(exit, format!("cannot read {}: {error}", path.display()))
    })
}

fn form(arguments: &Arguments) -> Form {
    if arguments.jsonl {
        return Form::Jsonl;
    }
    let lines = || Pieces::lines(arguments.key_separator.as_deref());
    Form::Pieces(arguments.format.clone().unwrap_or_else(lines))
}

/// `NAME=VALUE`; without a value it is null.
fn header(text: &str) -> Result<Header, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(Bytes::copy_from_slice(value.as_bytes()))),
        None => (text, None),
    };
    Ok(Header { key: Bytes::copy_from_slice(name.as_bytes()), value })
}

/// How far it is, on a terminal, when it takes long.
struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    fn new(context: &Context) -> Progress {
        let is_wanted = !context.global.quiet && io::stderr().is_terminal() && !io::stdin().is_terminal();
        let bar = if is_wanted { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {human_pos} records  {per_sec}  {msg}  {elapsed}")
        {
            bar.set_style(style);
        }
        Progress { bar, started: Instant::now() }
    }

    fn show(&self, producer: &Producer<'_>) {
        if self.started.elapsed() >= PROGRESS_AFTER {
            self.bar.set_position(producer.records);
            self.bar.set_message(indicatif::HumanBytes(producer.bytes).to_string());
        }
    }
}

/// Gives records to the lanes of their partitions.
struct Producer<'a> {
    brokers: Arc<Brokers>,
    arguments: &'a Arguments,
    options: Options,
    topics: HashMap<Arc<str>, Open>,
    lanes: JoinSet<Outcome>,
    outcomes: Vec<Outcome>,
    memory: Arc<Semaphore>,
    unsent_bytes: usize,
    records: u64,
    bytes: u64,
}

/// A topic that is written to.
struct Open {
    topic: Topic,
    partitioner: Partitioner,
    /// By partition; there is one as soon as a record goes there.
    lanes: Vec<Option<Feed>>,
}

struct Feed {
    builder: BatchBuilder,
    loads: mpsc::Sender<Load>,
}

impl<'a> Producer<'a> {
    fn new(brokers: Arc<Brokers>, arguments: &'a Arguments, options: Options) -> Producer<'a> {
        Producer {
            brokers,
            arguments,
            options,
            topics: HashMap::new(),
            lanes: JoinSet::new(),
            outcomes: Vec::new(),
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
            unsent_bytes: 0,
            records: 0,
            bytes: 0,
        }
    }

    async fn open(&mut self, name: &str) -> Result<(), CliError> {
        if self.topics.contains_key(name) {
            return Ok(());
        }
        let topic = select::topic(&self.brokers, name).await.map_err(|error| {
            if error.exit() == Exit::NotFound {
                error.fix(format!("eddy topic create {name}"), "create it")
            } else {
                error
            }
        })?;
        let led = std::iter::zip(0.., &topic.partitions).filter(|(_, partition)| partition.leader.0 >= 0);
        let led = led.map(|(index, _)| index).collect();
        let count = topic.partitions.len();
        let partitioner = Partitioner::new(count, led, now_ms() as usize);
        let lanes = std::iter::repeat_with(|| None).take(count).collect();
        self.topics.insert(name.into(), Open { topic, partitioner, lanes });
        Ok(())
    }

    async fn add(&mut self, mut draft: Draft) -> Result<(), CliError> {
        let arguments = self.arguments;
        let name = match (&arguments.topic, draft.topic.take()) {
            (Some(topic), _) => topic.as_str().into(),
            (None, Some(topic)) => topic,
            (None, None) => return Err(CliError::usage("a record names no topic, and the command neither")),
        };
        self.open(&name).await?;
        if draft.key.is_none() {
            draft.key = arguments.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes()));
        }
        if arguments.tombstones && draft.value.as_ref().is_some_and(Bytes::is_empty) {
            draft.value = None;
        }
        draft.headers.extend(arguments.header.iter().cloned());
        let Some(open) = self.topics.get_mut(&name) else { return Ok(()) };
        let index = open.choose(arguments, &draft)?;
        let feed = match open.lanes.get_mut(index) {
            Some(Some(feed)) => feed,
            Some(place) => {
                let partition = open.topic.partition(i32::try_from(index).unwrap_or(i32::MAX));
                let feed = start_lane(&mut self.lanes, &self.brokers, partition, self.options, arguments);
                place.insert(feed)
            }
            None => return Ok(()),
        };
        let before = feed.builder.bytes();
        let timestamp = Millis(draft.timestamp.unwrap_or_else(now_ms));
        feed.builder.append_with_headers(
            timestamp,
            draft.key.as_deref(),
            draft.value.as_deref(),
            &draft.headers,
        );
        let added = feed.builder.bytes() - before;
        self.unsent_bytes += added;
        self.records += 1;
        self.bytes += added as u64;
        if feed.builder.bytes() >= arguments.batch_bytes as usize {
            if draft.key.is_none() {
                open.partitioner.turn();
            }
            self.unsent_bytes = self.unsent_bytes.saturating_sub(feed.builder.bytes());
            send(feed, &self.memory, arguments).await?;
        }
        if self.unsent_bytes > UNSENT_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    /// Sends all batches that have records.
    async fn flush(&mut self) -> Result<(), CliError> {
        for open in self.topics.values_mut() {
            for feed in open.lanes.iter_mut().flatten().filter(|feed| !feed.builder.is_empty()) {
                send(feed, &self.memory, self.arguments).await?;
            }
            open.partitioner.turn();
        }
        self.unsent_bytes = 0;
        Ok(())
    }

    /// Waits for a lane that ends while there is more to write: it failed.
    async fn ended_early(&mut self) {
        match self.lanes.join_next().await {
            Some(Ok(outcome)) => self.outcomes.push(outcome),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// Waits for all acknowledgements.
    async fn finish(mut self) -> (Vec<Row>, Option<CliError>) {
        self.topics.clear();
        while let Some(outcome) = self.lanes.join_next().await {
            self.outcomes.extend(outcome);
        }
        let mut failed = None;
        let mut rows = Vec::new();
        for Outcome { partition, written, error } in self.outcomes {
            failed = failed.or(error);
            rows.extend((written.records > 0).then(|| row(&partition, written)));
        }
        rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        (rows, failed)
    }
}

impl Open {
    fn choose(&self, arguments: &Arguments, draft: &Draft) -> Result<usize, CliError> {
        let named = arguments.partition.or(draft.partition.filter(|_| !arguments.repartition));
        match (named, &draft.key) {
            (Some(named), _) => {
                let index = usize::try_from(named).ok().filter(|index| *index < self.topic.partitions.len());
                index.ok_or_else(|| {
                    CliError::not_found(format!("no such partition: {}-{named}", self.topic.name))
                        .fix("--repartition", "choose partitions by key instead")
                })
            }
            (None, Some(key)) => Ok(self.partitioner.of_key(key)),
            (None, None) => Ok(self.partitioner.of_nothing()),
        }
    }
}

fn start_lane(
    lanes: &mut JoinSet<Outcome>,
    brokers: &Arc<Brokers>,
    partition: PartitionName,
    options: Options,
    arguments: &Arguments,
) -> Feed {
    let (sender, loads) = mpsc::channel(LANE_LOADS_MAX);
    lanes.spawn(lane::run(brokers.clone(), partition, options, loads));
    Feed { builder: BatchBuilder::new(arguments.compression.into()), loads: sender }
}

async fn send(feed: &mut Feed, memory: &Arc<Semaphore>, arguments: &Arguments) -> Result<(), CliError> {
    let builder = std::mem::replace(&mut feed.builder, BatchBuilder::new(arguments.compression.into()));
    let kib = (builder.bytes() / 1024 + 1).min(MEMORY_KIB) as u32;
    let stopped = || CliError::new(Exit::Failed, "writing has stopped");
    let room = memory.clone().acquire_many_owned(kib).await.map_err(|_| stopped())?;
    // A lane that failed says why itself.
    feed.loads.send(Load { builder, room }).await.map_err(|_| stopped())
}

fn row(partition: &PartitionName, written: Written) -> Row {
    Row {
        topic: partition.topic.to_string(),
        partition: partition.index,
        records: written.records,
        first_offset: written.first,
        last_offset: written.last,
        bytes: written.bytes,
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Compression {
        match codec {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        }
    }
}
