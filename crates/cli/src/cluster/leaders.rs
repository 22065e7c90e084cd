//! `eddy cluster leaders`.

use std::collections::BTreeMap;

use clap::ValueEnum;
use eddy_client::accepted;
use eddy_client::messages::elect_leaders_request::TopicPartitions;
use eddy_client::messages::{ApiKey, ElectLeadersRequest};
use eddy_types::ErrorCode;
use serde::Serialize;

use crate::brokers::{Brokers, Cluster, To, topic_name};
use crate::error::CliError;
use crate::positions::Place;
use crate::selection::Selection;
use crate::{Cell, Column, Context};

/// Time a broker may take over a request, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Partitions to elect leaders of: TOPIC, or TOPIC:0,3-5; all without
    #[arg(value_name = "TOPIC[:P]", requires = "elect")]
    wanted: Vec<Selection>,
    /// Elect leaders
    #[arg(long, value_enum)]
    elect: Option<Election>,
    /// Do not ask before an unclean election, which may lose acknowledged records
    #[arg(short, long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Election {
    /// The first replica, if it is in sync
    Preferred,
    /// Any replica that is alive, where there is no leader: may lose acknowledged records
    Unclean,
}

#[derive(Debug, Serialize)]
struct Spread {
    broker: i32,
    leads: usize,
    /// Partitions whose first replica it is.
    preferred: usize,
    /// Those of them that another broker leads.
    elsewhere: usize,
}

const SPREAD: &[Column<Spread>] = &[
    Column::new("BROKER", |row| Cell::count(row.broker)),
    Column::new("LEADS", |row| Cell::Count(row.leads as i64)),
    Column::new("PREFERRED", |row| Cell::Count(row.preferred as i64)),
    Column::new("LED ELSEWHERE", |row| Cell::Count(row.elsewhere as i64)),
];

#[derive(Debug, Serialize)]
struct Elected {
    #[serde(flatten)]
    place: Place,
    outcome: &'static str,
}

const ELECTED: &[Column<Elected>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let Some(election) = arguments.elect else { return context.printer.rows(SPREAD, &spread(&cluster)) };
    context.changes()?;
    if election == Election::Unclean {
        let what = "elect replicas that may lack acknowledged records, which are then lost";
        context.confirm(what, "unclean", arguments.yes)?;
    }
    let places = places(&cluster, &arguments.wanted)?;
    let (rows, failed) = elect(brokers, election, places).await?;
    if !rows.is_empty() || failed.is_empty() {
        context.printer.rows(ELECTED, &rows)?;
    }
    let mut failed = failed.into_iter();
    match failed.next() {
        None => Ok(()),
        Some(first) => Err(failed.take(10).fold(first, |error, other| error.fact(other.message()))),
    }
}

fn spread(cluster: &Cluster) -> Vec<Spread> {
    let empty = |broker| Spread { broker, leads: 0, preferred: 0, elsewhere: 0 };
    let mut by_id: BTreeMap<i32, Spread> =
        cluster.nodes.iter().map(|node| (node.id.0, empty(node.id.0))).collect();
    for partition in cluster.topics.iter().flat_map(|topic| &topic.partitions) {
        if partition.leader.0 >= 0 {
            by_id.entry(partition.leader.0).or_insert_with(|| empty(partition.leader.0)).leads += 1;
        }
        if let Some(first) = partition.replicas.first() {
            let row = by_id.entry(first.0).or_insert_with(|| empty(first.0));
            row.preferred += 1;
            row.elsewhere += usize::from(partition.leader != *first);
        }
    }
    by_id.into_values().collect()
}

fn places(cluster: &Cluster, wanted: &[Selection]) -> Result<Vec<Place>, CliError> {
    for selection in wanted {
        cluster.topic(&selection.topic)?;
    }
    let all = cluster.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|one| Place { topic: topic.name.clone(), partition: one.index })
    });
    Ok(all.filter(|place| wanted.is_empty() || wanted.iter().any(|selection| selection.has(place))).collect())
}

/// Elects. That there is nothing to do for a partition is no failure.
async fn elect(
    brokers: &Brokers,
    election: Election,
    places: Vec<Place>,
) -> Result<(Vec<Elected>, Vec<CliError>), CliError> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for place in places {
        topics.entry(place.topic).or_default().push(place.partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        TopicPartitions::default().with_topic(topic_name(&name)).with_partitions(partitions)
    });
    let request = ElectLeadersRequest::default()
        .with_election_type(i8::from(election == Election::Unclean))
        .with_topic_partitions(Some(topics.collect()))
        .with_timeout_ms(TIMEOUT_MS);
    let answer = brokers
        .retry(To::Controller, async |connection| {
            let answer = connection.send(&request).await?;
            accepted(ApiKey::ElectLeaders, answer.error_code, "the election", None)?;
            Ok(answer)
        })
        .await?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for topic in &answer.replica_election_results {
        for one in &topic.partition_result {
            let place = Place { topic: topic.topic.to_string(), partition: one.partition_id };
            match ErrorCode::from_code(one.error_code) {
                Some(ErrorCode::None) => rows.push(Elected { place, outcome: "elected" }),
                Some(ErrorCode::ElectionNotNeeded) => {}
                _ => {
                    let what = format!("no election for {place}");
                    failed.push(CliError::refused(what, one.error_code, one.error_message.as_deref()));
                }
            }
        }
    }
    rows.sort_by(|a, b| a.place.cmp(&b.place));
    Ok((rows, failed))
}
