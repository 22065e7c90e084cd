//! `eddy produce`.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use eddy_batch::{Compression, Header};
use eddy_client::{Acks, PartitionName};
use serde::Serialize;

use crate::brokers::To;
use crate::error::{CliError, Exit};
use crate::jsonl::Draft;
use crate::{Cell, Column, Context};

mod input;
mod lane;
mod partitioner;
mod producer;
mod progress;

use input::{Form, Pieces};
use lane::{Options, Written};
use producer::Producer;
use progress::Progress;

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

/// Codec of batches.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Codec {
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
    progress.end();
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

impl Row {
    fn new(partition: &PartitionName, written: Written) -> Row {
        Row {
            topic: partition.topic.to_string(),
            partition: partition.index,
            records: written.records,
            first_offset: written.first,
            last_offset: written.last,
            bytes: written.bytes,
        }
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
