//! `eddy group ls`.

use serde::Serialize;

use super::ask;
use super::model::{Group, Kind, Listed};
use crate::error::CliError;
use crate::moment::{now_ms, span};
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show how far behind each group is; asks about every partition
    #[arg(short, long)]
    lag: bool,
    /// Only groups in this state, such as Stable or Empty
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    listed: Listed,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<Lag>,
}

/// How far behind a group is, in all its partitions.
#[derive(Debug, Serialize)]
struct Lag {
    lag: i64,
    lag_ms: Option<i64>,
    members: usize,
}

/// How many columns stand before those of the lag.
const WITHOUT_LAG: usize = 5;

const COLUMNS: &[Column<Row>] = &[
    Column::new("GROUP", |row| Cell::text(row.listed.group.clone())),
    Column::new("KIND", |row| Cell::text(row.listed.kind.name())),
    Column::new("STATE", |row| Cell::text(row.listed.state.clone())),
    Column::new("COORDINATOR", |row| Cell::count(row.listed.coordinator)),
    Column::wide("PROTOCOL", |row| Cell::text(row.listed.protocol_type.clone())),
    Column::new("MEMBERS", |row| row.lag.as_ref().map_or(Cell::None, |lag| Cell::Count(lag.members as i64))),
    Column::new("LAG", |row| row.lag.as_ref().map_or(Cell::None, |lag| Cell::Count(lag.lag))),
    Column::new("LAG TIME", |row| {
        row.lag.as_ref().and_then(|lag| lag.lag_ms).map_or(Cell::None, |ms| Cell::text(span(ms)))
    }),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let ask::Groups { mut listed, missing } = ask::list(brokers).await?;
    if let Some(state) = &arguments.state {
        listed.retain(|group| group.state.eq_ignore_ascii_case(state));
    }
    let mut rows = Vec::with_capacity(listed.len());
    for listed in listed {
        // Share and streams groups keep their progress elsewhere.
        let has_lag = arguments.lag && matches!(listed.kind, Kind::Classic | Kind::Consumer);
        let lag = match has_lag {
            true => Some(Lag::of(&ask::describe(brokers, &listed.group, now_ms()).await?)),
            false => None,
        };
        rows.push(Row { listed, lag });
    }
    let shown = if arguments.lag { COLUMNS.len() } else { WITHOUT_LAG };
    context.printer.rows(COLUMNS.get(..shown).unwrap_or(COLUMNS), &rows)?;
    missing.map_or(Ok(()), |error| Err(error.during("some groups may be missing")))
}

impl Lag {
    fn of(group: &Group) -> Lag {
        Lag { lag: group.total_lag(), lag_ms: group.worst_lag_ms(), members: group.members.len() }
    }
}
