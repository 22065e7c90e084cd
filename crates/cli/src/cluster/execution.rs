//! Carrying out a plan: showing it, or making its moves, held to a rate if that is wanted, and waiting for them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::moving;
use super::plan::Move;
use super::throttle::{self, Copying, Rate, Throttle};
use crate::error::CliError;
use crate::positions::Place;
use crate::{Cell, Column, Context};

/// How a plan is carried out.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Execution {
    /// Do it, in place of saying what would be done
    #[arg(long)]
    pub(super) execute: bool,
    /// Wait until everything has moved, as long as --timeout allows, and remove the throttle
    #[arg(long, requires = "execute")]
    pub(super) wait: bool,
    /// Hold what each broker copies to a rate, such as 10MiB/s or 50000000
    #[arg(long, value_name = "RATE")]
    pub(super) throttle: Option<Rate>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) from: Vec<i32>,
    pub(super) to: Vec<i32>,
    pub(super) outcome: &'static str,
}

pub(super) const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("FROM", |row| Cell::list(&row.from)),
    Column::new("TO", |row| Cell::list(&row.to)),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
];

/// Shows moves, or makes them and shows that.
pub(super) async fn carry_out(context: &Context, moves: Vec<Move>, how: Execution) -> Result<(), CliError> {
    if how.execute && !moves.is_empty() {
        make(context, &moves, how).await?;
    }
    let outcome = match (how.execute, how.wait) {
        (false, _) => "would move",
        (true, false) => "moves",
        (true, true) => "moved",
    };
    let row = |one: Move| Row { place: one.place, from: one.from, to: one.to, outcome };
    let rows: Vec<Row> = moves.into_iter().map(row).collect();
    context.printer.rows(COLUMNS, &rows)?;
    if !how.execute && !rows.is_empty() {
        context.note("nothing was changed; --execute does it");
    }
    Ok(())
}

/// Makes moves, and waits for them if that is wanted.
pub(super) async fn make(context: &Context, moves: &[Move], how: Execution) -> Result<(), CliError> {
    context.changes()?;
    let brokers = context.brokers().await?;
    let throttle = match how.throttle {
        Some(rate) => {
            let moving = moving::list(brokers).await?;
            let copying: Vec<Copying> = moves.iter().map(|one| Copying::of_move(one, &moving)).collect();
            throttle::set(context, rate, &copying).await?
        }
        None => None,
    };
    let wanted: Vec<_> = moves.iter().map(|one| (one.place.clone(), Some(one.to.clone()))).collect();
    let places: BTreeSet<Place> = moves.iter().map(|one| one.place.clone()).collect();
    match (moving::alter(brokers, &wanted).await, throttle) {
        (started, None) => {
            started?;
            if how.wait { moving::wait(context, &places).await } else { Ok(()) }
        }
        (Ok(()), Some(throttle)) if how.wait => wait(context, &places, &throttle).await,
        (Ok(()), Some(throttle)) => {
            throttle.note(context);
            Ok(())
        }
        // What was not refused moves all the same, and its throttle stays.
        (Err(error), Some(throttle)) => match throttle::lift(context, &places, Some(&throttle)).await {
            Ok(()) => Err(error),
            Err(_) => Err(throttle.stays(error)),
        },
    }
}

async fn wait(context: &Context, places: &BTreeSet<Place>, throttle: &Throttle) -> Result<(), CliError> {
    moving::wait(context, places).await.map_err(|error| throttle.stays(error))?;
    let lifted = throttle::lift(context, places, Some(throttle)).await;
    lifted.map_err(|error| throttle.stays(error.during("everything has moved")))
}
