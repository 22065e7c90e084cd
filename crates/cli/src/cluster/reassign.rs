//! `eddy cluster reassign`.

use std::collections::BTreeSet;

use super::execution::{COLUMNS, Execution, Row, carry_out};
use super::moving::{self, Moving};
use super::plan::{self, Move};
use super::throttle::{self, Copying};
use crate::error::CliError;
use crate::positions::Place;
use crate::selection::Selection;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Partitions to move: TOPIC, or TOPIC:0,3-5. Without --to, --balance or --cancel it is about what moves now: shows it, or with
    /// --execute gives it a --throttle, or waits for its end and removes the throttle
    #[arg(value_name = "TOPIC[:P]")]
    wanted: Vec<Selection>,
    /// Brokers that shall hold the partitions, the preferred leader first
    #[arg(long, value_name = "ID,…", value_delimiter = ',', requires = "wanted", conflicts_with_all = ["balance", "cancel"])]
    to: Vec<i32>,
    /// Spread all replicas evenly over the brokers
    #[arg(long, conflicts_with_all = ["wanted", "cancel"])]
    balance: bool,
    /// End moves that are under way, all of them or those of the partitions, and remove their throttle
    #[arg(long, conflicts_with = "throttle")]
    cancel: bool,
    /// Remove every throttle of replication, whoever has set it
    #[arg(long, conflicts_with_all = ["wanted", "balance", "cancel", "wait", "throttle"])]
    unthrottle: bool,
    #[command(flatten)]
    how: Execution,
}

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
    if arguments.unthrottle {
        return throttle::remove_all(context, arguments.how.execute).await;
    }
    if !arguments.balance && arguments.to.is_empty() {
        return under_way(context, arguments).await;
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
    carry_out(context, moves, arguments.how).await
}

/// What moves now: shows it, gives it a throttle, waits for its end.
async fn under_way(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let Execution { execute, wait, throttle: rate } = arguments.how;
    let brokers = context.brokers().await?;
    let all = moving::list(brokers).await?;
    let mut moving = all.clone();
    moving.retain(|one| is_wanted(&arguments.wanted, &one.place));
    context.printer.rows(MOVING, &moving)?;
    if !execute {
        if rate.is_some() && !moving.is_empty() {
            context.note("nothing was changed; --execute does it");
        }
        return throttle::note_left_over(context, &all).await;
    }
    if !wait && rate.is_none() {
        return Ok(());
    }
    context.changes()?;
    let throttle = match rate {
        Some(rate) => {
            let copying: Vec<Copying> = moving.iter().map(Copying::from).collect();
            throttle::set(context, rate, &copying).await?
        }
        None => None,
    };
    if !wait {
        throttle.iter().for_each(|throttle| throttle.note(context));
        return Ok(());
    }
    let places: BTreeSet<Place> = moving.into_iter().map(|one| one.place).collect();
    let waited = moving::wait(context, &places).await;
    waited.map_err(|error| match &throttle {
        Some(throttle) => throttle.stays(error),
        None => throttle::may_stay(error),
    })?;
    // Of moves that had ended before, too.
    let mut over = BTreeSet::new();
    for topic in brokers.cluster(None).await?.topics {
        let place = |partition| Place { topic: topic.name.clone(), partition };
        over.extend(topic.partitions.iter().map(|partition| place(partition.index)));
    }
    over.retain(|place| is_wanted(&arguments.wanted, place));
    throttle::lift(context, &over, throttle.as_ref()).await
}

async fn cancel(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let mut moving = moving::list(brokers).await?;
    moving.retain(|one| is_wanted(&arguments.wanted, &one.place));
    if arguments.how.execute && !moving.is_empty() {
        context.changes()?;
        let wanted: Vec<_> = moving.iter().map(|one| (one.place.clone(), None)).collect();
        moving::alter(brokers, &wanted).await?;
        let places = moving.iter().map(|one| one.place.clone()).collect();
        throttle::lift(context, &places, None).await?;
    }
    let outcome = if arguments.how.execute { "cancelled" } else { "would be cancelled" };
    let row = |one: Moving| {
        let to = one.replicas.iter().copied().filter(|id| !one.adding.contains(id)).collect();
        Row { place: one.place, from: one.replicas, to, outcome }
    };
    context.printer.rows(COLUMNS, &moving.into_iter().map(row).collect::<Vec<Row>>())
}

fn is_wanted(wanted: &[Selection], place: &Place) -> bool {
    wanted.is_empty() || wanted.iter().any(|selection| selection.has(place))
}
