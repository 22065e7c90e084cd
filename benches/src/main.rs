//! Load for a Kafka broker, whoever made it, and how it fared.
//!
//! Each command warms up, measures until its time is over or it is interrupted (SIGINT), and prints a line: a JSON object with `--json`. CPU time of this process and of the broker (`--pid`)
//! are given apart, in cores. `compare.py` runs the commands against this broker and Apache Kafka in turn.

mod catch_up;
mod cpu;
mod fill;
mod groups;
mod produce;
mod report;
mod target;
mod verify;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::report::Report;
use crate::target::Target;

#[derive(Debug, Parser)]
#[command(about = "Load for a Kafka broker")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Address of the broker, as host:port
    #[arg(long, global = true, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Process id of the broker, for its CPU time; those of a cluster separated by commas
    #[arg(long, global = true, value_delimiter = ',')]
    pid: Vec<u32>,
    /// Topic, created when it is missing
    #[arg(long, global = true, default_value = "bench")]
    topic: String,
    /// Partitions of a topic that is created
    #[arg(long, global = true, default_value_t = 16)]
    partitions: i32,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Each client on its own connection sends a record and waits for its acknowledgement
    ClosedLoop(ClosedLoop),
    /// Each producer keeps batches in flight
    Pipelined(Pipelined),
    /// Records are sent at a fixed rate, whatever the answers do; latency counts from when each was due
    OpenLoop(OpenLoop),
    /// One consumer reads a topic of one partition from its start, as fast as it can
    CatchUp(CatchUp),
    /// Members of consumer groups join one after the other; tells when all groups are stable
    Members(Members),
    /// Offsets are committed at a fixed rate
    Commits(Commits),
    /// Records with keys are written into a topic of one partition, most of them replaced by newer ones: work for compaction
    Fill(Fill),
    /// Creates the topic and waits for its leaders
    Create,
}

/// How long, and for which acknowledgement.
#[derive(Clone, Copy, Debug, Args)]
struct Course {
    /// all or 1
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: eddy_client::Acks,
    /// Seconds that count
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Seconds before them that do not
    #[arg(long, default_value = "3", value_parser = seconds)]
    warm_up: Duration,
    /// Values are lines of JSON, as logs have them, in place of noise
    #[arg(long, conflicts_with = "verify")]
    lines: bool,
}

#[derive(Debug, Args)]
struct ClosedLoop {
    /// Clients, each with its own connection
    #[arg(long, default_value_t = 128)]
    clients: usize,
    /// Bytes of a record
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Read the topic, which must be new, and compare it with what was acknowledged
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    course: Course,
}

#[derive(Debug, Args)]
struct Pipelined {
    /// Producers, each with its own connection
    #[arg(long, default_value_t = 4)]
    producers: usize,
    /// Bytes of a record
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Bytes of the records of a batch
    #[arg(long, default_value_t = 16384)]
    batch: usize,
    /// Batches of a producer in flight
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    #[command(flatten)]
    course: Course,
}

#[derive(Debug, Args)]
struct OpenLoop {
    /// Records a second, of all clients
    #[arg(long, default_value_t = 5000.0)]
    rate: f64,
    /// Clients, each with its own connection
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Bytes of a record
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    #[command(flatten)]
    course: Course,
}

#[derive(Debug, Args)]
struct CatchUp {
    /// MiB that are produced first into a topic that is missing
    #[arg(long, default_value_t = 1024)]
    mebibytes: usize,
    /// Bytes of a record
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Bytes of a batch
    #[arg(long, default_value_t = 16384)]
    batch: usize,
    /// Bytes of one fetch, at most
    #[arg(long, default_value_t = 1 << 20)]
    fetch: i32,
    /// Times that the topic is read; the first one does not count
    #[arg(long, default_value_t = 4)]
    times: usize,
    /// Decode every record, as an application would
    #[arg(long)]
    decode: bool,
}

#[derive(Debug, Args)]
struct Fill {
    /// MiB to be written
    #[arg(long, default_value_t = 1024)]
    mebibytes: usize,
    /// Of a hundred records so many have a newer one of the same key
    #[arg(long, default_value_t = 90)]
    dead: u8,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 200)]
    bytes: usize,
}

#[derive(Debug, Args)]
struct Members {
    /// Members, each with its own connection
    #[arg(long, default_value_t = 1000)]
    members: usize,
    /// Groups they are of
    #[arg(long, default_value_t = 50)]
    groups: usize,
    /// Seconds over which they join
    #[arg(long, default_value = "10", value_parser = seconds)]
    over: Duration,
}

#[derive(Debug, Args)]
struct Commits {
    /// Commits in a second
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Clients, each with a connection and a group of its own
    #[arg(long, default_value_t = 20)]
    clients: usize,
    /// Seconds
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let target = Target::resolve(&arguments).await?;
    let report: Option<Report> = match &arguments.command {
        Command::ClosedLoop(load) => Some(produce::closed_loop(&target, load).await?),
        Command::Pipelined(load) => Some(produce::pipelined(&target, load).await?),
        Command::OpenLoop(load) => Some(produce::open_loop(&target, load).await?),
        Command::CatchUp(load) => Some(catch_up::run(&target, load).await?),
        Command::Commits(load) => Some(groups::commits(&target, load).await?),
        Command::Members(load) => {
            groups::members(&target, load).await?;
            None
        }
        Command::Fill(load) => {
            fill::run(&target, load).await?;
            None
        }
        Command::Create => {
            target.topic().await?;
            None
        }
    };
    match report {
        Some(report) if arguments.json => println!("{}", report.json()),
        Some(report) => println!("{report}"),
        None => {}
    }
    Ok(())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn acks(text: &str) -> Result<eddy_client::Acks, String> {
    match text {
        "all" | "-1" => Ok(eddy_client::Acks::All),
        "1" => Ok(eddy_client::Acks::Leader),
        _ => Err("neither all nor 1".to_owned()),
    }
}
