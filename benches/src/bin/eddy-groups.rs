//! Consumer groups of one broker: many members that join, and many commits.
//!
//! `eddy-groups members` tells when all groups are stable, `eddy-groups commits` what commits at a fixed rate take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use eddy_client::messages::join_group_request::JoinGroupRequestProtocol;
use eddy_client::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use eddy_client::messages::sync_group_request::SyncGroupRequestAssignment;
use eddy_client::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest,
    SyncGroupRequest,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{Connection, ConnectionOptions};
use eddy_types::ErrorCode;
use hdrhistogram::Histogram;

#[derive(Debug, Parser)]
#[command(about = "Consumer groups under load")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Address of the broker, as host:port
    #[arg(long, global = true, default_value = "127.0.0.1:9092")]
    bootstrap: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Members of consumer groups join one after the other; tells when all groups are stable
    Members(Members),
    /// Offsets are committed at a fixed rate
    Commits(Commits),
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
    /// Topic whose offsets are committed; it must be there
    #[arg(long, default_value = "bench")]
    topic: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut found = tokio::net::lookup_host(&arguments.bootstrap).await.context("looking up --bootstrap")?;
    let address = found.next().context("--bootstrap has no address")?;
    match &arguments.command {
        Command::Members(load) => members(address, load).await,
        Command::Commits(load) => commits(address, load).await,
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

async fn connect(address: SocketAddr, in_flight_max: usize) -> anyhow::Result<Connection> {
    let options = ConnectionOptions { in_flight_max, ..ConnectionOptions::default() };
    Ok(Connection::open(address, options).await?)
}

/// A histogram of microseconds up to a minute, to three digits.
fn latency_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

const HEARTBEAT: Duration = Duration::from_millis(500);
const SESSION_MS: i32 = 30_000;
const REBALANCE_MS: i32 = 60_000;
/// From this version on a topic is named by its id.
const COMMIT_BY_NAME_MAX: i16 = 9;

/// Members of one group, as they see it.
#[derive(Default)]
struct Group {
    /// Members with an assignment of the newest generation.
    settled: AtomicUsize,
    generation: AtomicI32,
    /// How many members the leader was told of.
    told: AtomicUsize,
    /// Microseconds from the start to when a member last got its assignment.
    last_settled: AtomicU64,
}

/// Members join one after the other; prints when the last group was stable.
async fn members(address: SocketAddr, load: &Members) -> anyhow::Result<()> {
    let per_group = load.members / load.groups.max(1);
    ensure!(per_group > 0, "more groups than members");
    let count = per_group * load.groups;
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(connect(address, 2).await?);
    }
    find_coordinators(&connections[0], load.groups).await?;
    let groups: Vec<Arc<Group>> = (0..load.groups).map(|_| Arc::default()).collect();
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let index = number % load.groups;
        let group = Arc::clone(&groups[index]);
        let starts = load.over.mul_f64(number as f64 / count as f64);
        tasks.spawn(async move {
            tokio::time::sleep(starts).await;
            member(&connection, &group_id(index), &group, began).await
        });
    }
    let is_stable = |group: &Arc<Group>| {
        group.told.load(Ordering::Acquire) == per_group && group.settled.load(Ordering::Acquire) == per_group
    };
    while !groups.iter().all(is_stable) {
        ensure!(began.elapsed() < load.over + Duration::from_secs(120), "not stable after two minutes");
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(panic)) => return Err(panic.into()),
                _ => bail!("a member ended"),
            },
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    let last = groups.iter().map(|group| group.last_settled.load(Ordering::Acquire)).max().unwrap_or(0);
    let seconds = last as f64 / 1e6;
    let generations: i32 = groups.iter().map(|group| group.generation.load(Ordering::Acquire)).sum();
    println!(
        "{count} members of {} groups joined over {:.1} s; all stable after {seconds:.2} s, {:.1} generations a group",
        load.groups,
        load.over.as_secs_f64(),
        f64::from(generations) / load.groups as f64,
    );
    Ok(())
}

fn code(number: i16) -> ErrorCode {
    ErrorCode::from_code(number).unwrap_or(ErrorCode::UnknownServerError)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn group_id(index: usize) -> String {
    format!("bench-{}-{index}", std::process::id())
}

async fn find_coordinators(connection: &Connection, groups: usize) -> anyhow::Result<()> {
    let keys = (0..groups).map(|index| text(&group_id(index))).collect();
    let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
    for coordinator in connection.send(&request).await?.coordinators {
        ensure!(coordinator.error_code == 0, "no coordinator: {}", coordinator.error_code);
    }
    Ok(())
}

/// One member: joins, asks for its assignment, sends heartbeats, and joins again when it is told to.
async fn member(connection: &Connection, id: &str, group: &Group, began: Instant) -> anyhow::Result<()> {
    let group_id = GroupId(text(id));
    let mut member_id = StrBytes::default();
    loop {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(&[0; 8]));
        let join = JoinGroupRequest::default()
            .with_group_id(group_id.clone())
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(member_id.clone())
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let joined = connection.send(&join).await?;
        member_id = joined.member_id;
        match code(joined.error_code) {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress => continue,
            other => bail!("JoinGroup: {other}"),
        }
        let generation = joined.generation_id;
        if group.generation.fetch_max(generation, Ordering::AcqRel) < generation {
            group.settled.store(0, Ordering::Release);
        }
        if !joined.members.is_empty() {
            group.told.store(joined.members.len(), Ordering::Release);
        }
        let assignments = joined.members.iter().map(|member| {
            SyncGroupRequestAssignment::default()
                .with_member_id(member.member_id.clone())
                .with_assignment(Bytes::new())
        });
        let sync = SyncGroupRequest::default()
            .with_group_id(group_id.clone())
            .with_generation_id(generation)
            .with_member_id(member_id.clone())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(assignments.collect());
        match code(connection.send(&sync).await?.error_code) {
            ErrorCode::None => {}
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => continue,
            other => bail!("SyncGroup: {other}"),
        }
        if group.generation.load(Ordering::Acquire) == generation {
            group.settled.fetch_add(1, Ordering::AcqRel);
            group.last_settled.fetch_max(u64::try_from(began.elapsed().as_micros())?, Ordering::AcqRel);
        }
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let heartbeat = HeartbeatRequest::default()
                .with_group_id(group_id.clone())
                .with_generation_id(generation)
                .with_member_id(member_id.clone());
            match code(connection.send(&heartbeat).await?.error_code) {
                ErrorCode::None => {}
                ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => break,
                other => bail!("Heartbeat: {other}"),
            }
        }
    }
}

/// Offsets committed at a fixed rate, an open loop: a commit is due whether the one before it is answered or not.
async fn commits(address: SocketAddr, load: &Commits) -> anyhow::Result<()> {
    let first = connect(address, 1).await?;
    let topic = first.topic(&load.topic).await?;
    let name = topic.name.clone();
    let partitions = i32::try_from(topic.leaders.len())?;
    find_coordinators(&first, load.clients).await?;
    let began = tokio::time::Instant::now();
    let every = Duration::from_secs_f64(load.clients as f64 / load.rate);
    let mut tasks = Vec::new();
    for client in 0..load.clients {
        let connection = Arc::new(connect(address, 512).await?);
        let (name, seconds) = (name.clone(), load.seconds);
        let starts = began + every.mul_f64(client as f64 / load.clients as f64);
        tasks.push(tokio::spawn(async move {
            let mut latency = latency_histogram()?;
            let mut waiting = tokio::task::JoinSet::new();
            let mut due = starts;
            for offset in 0.. {
                tokio::time::sleep_until(due).await;
                if began.elapsed() > seconds {
                    break;
                }
                let commit = commit(client, &name, offset, partitions);
                let connection = Arc::clone(&connection);
                // From when it was due: a late start counts.
                waiting.spawn(async move {
                    let answer = connection.start_up_to(COMMIT_BY_NAME_MAX, &commit).await?.answer().await?;
                    let code = answer
                        .topics
                        .first()
                        .and_then(|topic| topic.partitions.first())
                        .map(|one| one.error_code);
                    ensure!(code == Some(0), "OffsetCommit: {code:?}");
                    Ok(u64::try_from(due.elapsed().as_micros())?)
                });
                while let Some(done) = waiting.try_join_next() {
                    latency.saturating_record(done??);
                }
                due += every;
            }
            while let Some(done) = waiting.join_next().await {
                latency.saturating_record(done??);
            }
            anyhow::Ok(latency)
        }));
    }
    let mut latency = latency_histogram()?;
    for task in tasks {
        latency.add(task.await??)?;
    }
    let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{:.0} commits/s; p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        latency.len() as f64 / began.elapsed().as_secs_f64(),
        ms(0.5),
        ms(0.99),
        ms(1.0),
    );
    Ok(())
}

/// A commit of one partition by a consumer without a group membership.
fn commit(client: usize, topic: &StrBytes, offset: i64, partitions: i32) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(i32::try_from(offset).unwrap_or(0) % partitions)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(StrBytes::default()));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(eddy_client::messages::TopicName(topic.clone()))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&group_id(client))))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}
