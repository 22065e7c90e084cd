//! `eddy cluster reassign`.

use serde::Serialize;

use super::moving::{self, Moving};
use super::plan::{self, Move};
use crate::error::CliError;
use crate::positions::Place;
use crate::selection::Selection;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Partitions to move: TOPIC, or TOPIC:0,3-5. Without --to, --balance or --cancel, what moves now is shown
    #[arg(value_name = "TOPIC[:P]")]
    wanted: Vec<Selection>,
    /// Brokers that shall hold the partitions, the preferred leader first
    #[arg(long, value_name = "ID,…", value_delimiter = ',', requires = "wanted", conflicts_with_all = ["balance", "cancel"])]
    to: Vec<i32>,
    /// Spread all replicas evenly over the brokers
    #[arg(long, conflicts_with_all = ["wanted", "cancel"])]
    balance: bool,
    /// End moves that are under way, all of them or those of the partitions
    #[arg(long)]
    cancel: bool,
    /// Do it, in place of saying what would be done
    #[arg(long)]
    execute: bool,
    /// Wait until everything has moved, as long as --timeout allows
    #[arg(long, requires = "execute")]
    wait: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    place: Place,
    from: Vec<i32>,
    to: Vec<i32>,
    outcome: &'static str,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("FROM", |row| Cell::list(&row.from)),
    Column::new("TO", |row| Cell::list(&row.to)),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
];

const MOVING: &[Column<Moving>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("REPLICAS", |row| Cell::list(&row.replicas)),
    Column::new("ADDING", |row| Cell::list(&row.adding)),
    Column::new("REMOVING", |row| Cell::list(&row.removing)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    if arguments.cancel {
        return cancel(context, arguments).await;
    }
    if !arguments.balance && arguments.to.is_empty() {
        let named = |one: &Moving| is_wanted(&arguments.wanted, &one.place);
        let moving = moving::list(context.brokers().await?).await?;
        let moving: Vec<Moving> = moving.into_iter().filter(named).collect();
        return context.printer.rows(MOVING, &moving);
    }
    let cluster = context.brokers().await?.cluster(None).await?;
    let moves = if arguments.balance {
        plan::balance(&cluster)
    } else {
        let mut moves = Vec::new();
        for selection in &arguments.wanted {
            for partition in &cluster.topic(&selection.topic)?.partitions {
                let place = Place { topic: selection.topic.clone(), partition: partition.index };
                let from: Vec<i32> = partition.replicas.iter().map(|id| id.0).collect();
                if selection.has(&place) && from != arguments.to {
                    moves.push(Move { place, from, to: arguments.to.clone() });
                }
            }
        }
        moves
    };
    carry_out(context, moves, arguments.execute, arguments.wait).await
}

/// Shows moves, or makes them and shows that.
pub(super) async fn carry_out(
    context: &Context,
    moves: Vec<Move>,
    execute: bool,
    wait: bool,
) -> Result<(), CliError> {
    if execute && !moves.is_empty() {
        context.changes()?;
        let wanted: Vec<_> = moves.iter().map(|one| (one.place.clone(), Some(one.to.clone()))).collect();
        moving::alter(context.brokers().await?, &wanted).await?;
        if wait {
            let places: Vec<Place> = moves.iter().map(|one| one.place.clone()).collect();
            moving::wait(context, &places).await?;
        }
    }
    let outcome = match (execute, wait) {
        (false, _) => "would move",
        (true, false) => "moves",
        (true, true) => "moved",
    };
    let row = |one: Move| Row { place: one.place, from: one.from, to: one.to, outcome };
    let rows: Vec<Row> = moves.into_iter().map(row).collect();
    context.printer.rows(COLUMNS, &rows)?;
    if !execute && !rows.is_empty() {
        context.note("nothing was changed; --execute does it");
    }
    Ok(())
}

async fn cancel(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let mut moving = moving::list(brokers).await?;
    moving.retain(|one| is_wanted(&arguments.wanted, &one.place));
    if arguments.execute && !moving.is_empty() {
        context.changes()?;
        let wanted: Vec<_> = moving.iter().map(|one| (one.place.clone(), None)).collect();
        moving::alter(brokers, &wanted).await?;
    }
    let outcome = if arguments.execute { "cancelled" } else { "would be cancelled" };
    let row = |one: Moving| {
        let to = one.replicas.iter().copied().filter(|id| !one.adding.contains(id)).collect();
        Row { place: one.place, from: one.replicas, to, outcome }
    };
    context.printer.rows(COLUMNS, &moving.into_iter().map(row).collect::<Vec<Row>>())
}

fn is_wanted(wanted: &[Selection], place: &Place) -> bool {
    wanted.is_empty() || wanted.iter().any(|selection| selection.has(place))
}
