//! `eddy cluster partitions`.

use serde::Serialize;

use super::moving::{self, Moving};
use crate::brokers::Cluster;
use crate::error::CliError;
use crate::positions::Place;
use crate::selection::Selection;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Topics, or TOPIC:0,3-5 for some of their partitions; all without
    #[arg(value_name = "TOPIC[:P]")]
    wanted: Vec<Selection>,
    /// Only those with a replica on this broker
    #[arg(long, value_name = "ID")]
    broker: Option<i32>,
    /// Only those without a leader
    #[arg(long)]
    leaderless: bool,
    /// Only those with a replica out of sync
    #[arg(long)]
    under_replicated: bool,
    /// Only those whose replicas are moving
    #[arg(long)]
    moving: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    place: Place,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    /// Replicas that a reassignment adds.
    adding: Vec<i32>,
    /// Replicas that a reassignment removes.
    removing: Vec<i32>,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("LEADER", |row| row.leader.map_or(Cell::None, Cell::count)),
    Column::new("EPOCH", |row| Cell::count(row.leader_epoch)),
    Column::new("REPLICAS", |row| Cell::list(&row.replicas)),
    Column::new("ISR", |row| Cell::list(&row.isr)),
    Column::new("ADDING", |row| Cell::list(&row.adding)),
    Column::new("REMOVING", |row| Cell::list(&row.removing)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    for selection in &arguments.wanted {
        cluster.topic(&selection.topic)?;
    }
    let moving = moving::list(brokers).await?;
    context.printer.rows(COLUMNS, &rows(&cluster, &moving, arguments))
}

fn rows(cluster: &Cluster, moving: &[Moving], arguments: &Arguments) -> Vec<Row> {
    let mut rows = Vec::new();
    for topic in &cluster.topics {
        for partition in &topic.partitions {
            let place = Place { topic: topic.name.clone(), partition: partition.index };
            let change = moving.iter().find(|one| one.place == place);
            let row = Row {
                leader: Some(partition.leader.0).filter(|leader| *leader >= 0),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas.iter().map(|id| id.0).collect(),
                isr: partition.isr.iter().map(|id| id.0).collect(),
                adding: change.map(|change| change.adding.clone()).unwrap_or_default(),
                removing: change.map(|change| change.removing.clone()).unwrap_or_default(),
                place,
            };
            if arguments.wants(&row) {
                rows.push(row);
            }
        }
    }
    rows
}

impl Arguments {
    fn wants(&self, row: &Row) -> bool {
        let is_named =
            self.wanted.is_empty() || self.wanted.iter().any(|selection| selection.has(&row.place));
        is_named
            && self.broker.is_none_or(|broker| row.replicas.contains(&broker))
            && (!self.leaderless || row.leader.is_none())
            && (!self.under_replicated || row.isr.len() < row.replicas.len())
            && !(self.moving && row.adding.is_empty() && row.removing.is_empty())
    }
}
