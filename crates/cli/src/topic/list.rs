//! `eddy topic ls`.

use serde::Serialize;

use crate::error::CliError;
use crate::{Cell, Column, Context, Topic};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// List the brokers' own topics too
    #[arg(short, long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    id: String,
    partitions: usize,
    replicas: usize,
    is_internal: bool,
    /// Partitions with fewer replicas in sync than they have.
    under_replicated: usize,
    /// Partitions without a leader.
    leaderless: usize,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("NAME", |row| Cell::text(row.name.clone())),
    Column::new("PARTITIONS", |row| Cell::Count(row.partitions as i64)),
    Column::new("REPLICAS", |row| Cell::Count(row.replicas as i64)),
    Column::new("STATE", |row| Cell::text(row.state())),
    Column::wide("ID", |row| Cell::text(row.id.clone())),
    Column::wide("INTERNAL", |row| Cell::text(if row.is_internal { "yes" } else { "no" })),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let cluster = context.brokers().await?.cluster(None).await?;
    let topics = cluster.topics.iter().filter(|topic| arguments.all || !topic.is_internal);
    let rows: Vec<Row> = topics.map(Row::new).collect();
    context.printer.rows(COLUMNS, &rows)
}

impl Row {
    fn new(topic: &Topic) -> Row {
        Row {
            name: topic.name.clone(),
            id: topic.id.to_string(),
            partitions: topic.partitions.len(),
            replicas: topic.replication_factor(),
            is_internal: topic.is_internal,
            under_replicated: topic
                .partitions
                .iter()
                .filter(|one| one.isr.len() < one.replicas.len())
                .count(),
            leaderless: topic.partitions.iter().filter(|one| one.leader.0 < 0).count(),
        }
    }

    fn state(&self) -> String {
        match (self.leaderless, self.under_replicated) {
            (0, 0) => "ok".to_owned(),
            (0, behind) => format!("{behind} under-replicated"),
            (gone, _) => format!("{gone} without leader"),
        }
    }
}
