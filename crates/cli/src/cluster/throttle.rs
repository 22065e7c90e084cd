//! Holding what replicas copy to a rate while they move (KIP-73): set before a move begins, taken away when it is over.
//!
//! All of it is configuration that the cluster keeps: the rate of each broker that a move concerns, and the replicas in the
//! lists of their topics. So any later command can take it away, Kafka's own tool too, and the other way round.

use std::collections::BTreeSet;

use serde::Serialize;

use super::moving;
use crate::brokers::Brokers;
use crate::error::CliError;
use crate::positions::Place;
use crate::{Cell, Column, Context};

mod copying;
mod lists;
mod rate;
mod rates;

pub(super) use copying::Copying;
pub(super) use rate::Rate;

/// What a broker sends as a leader, and what it takes as a follower.
const RATE_KEYS: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// Commands that remove a throttle: when everything has moved, and at once.
const FOLLOW: &str = "eddy cluster reassign --execute --wait";
const UNTHROTTLE: &str = "eddy cluster reassign --unthrottle --execute";
const FOLLOW_DOES: &str = "wait for the rest, and remove the throttle";
const UNTHROTTLE_DOES: &str = "remove the throttle at once";

/// A throttle that was set.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Rate,
    brokers: BTreeSet<i32>,
}

/// Says with an error that moves under way may have a throttle.
pub(super) fn may_stay(error: CliError) -> CliError {
    let error = error.fact("a throttle that it has stays");
    error.fix(FOLLOW, FOLLOW_DOES).fix(UNTHROTTLE, UNTHROTTLE_DOES)
}

/// Holds these moves to a rate on every broker that they concern; `None` when nothing is copied.
///
/// # Errors
/// What could not be set. What was set is taken away again, as far as that can be done.
pub(super) async fn set(
    context: &Context,
    rate: Rate,
    moves: &[Copying],
) -> Result<Option<Throttle>, CliError> {
    let brokers = context.brokers().await?;
    let concerned = copying::brokers_of(moves);
    if concerned.is_empty() {
        context.note("nothing is copied: there is nothing to throttle");
        return Ok(None);
    }
    let alive = alive(brokers).await?;
    for broker in concerned.difference(&alive) {
        context.note(format_args!("broker {broker} is not there, and gets no throttle"));
    }
    let throttle = Throttle { rate, brokers: &concerned & &alive };
    if let Err(error) = throttle.apply(context, moves).await {
        let error = error.during("cannot set the throttle");
        let places = moves.iter().map(|one| one.place.clone()).collect();
        return Err(match lift(context, &places, Some(&throttle)).await {
            Ok(()) => error,
            Err(_) => throttle.stays(error),
        });
    }
    context.note(format_args!("copying is held to {rate} on {}", throttle.names()));
    Ok(Some(throttle))
}

impl Throttle {
    async fn apply(&self, context: &Context, moves: &[Copying]) -> Result<(), CliError> {
        let brokers = context.brokers().await?;
        for &broker in &self.brokers {
            rates::set(context, broker, self.rate).await?;
        }
        let listed = lists::of_topics(brokers, topics(moves)).await?;
        lists::change(brokers, &lists::additions(moves, &listed)).await
    }

    fn names(&self) -> String {
        names(&self.brokers)
    }

    /// Says with an error that this is still set.
    pub(super) fn stays(&self, error: CliError) -> CliError {
        error
            .fact(format!("the throttle of {} stays on {}", self.rate, self.names()))
            .fix(FOLLOW, FOLLOW_DOES)
            .fix(UNTHROTTLE, UNTHROTTLE_DOES)
    }

    /// Says that it is still set, and how to end that.
    pub(super) fn note(&self, context: &Context) {
        context.note(format_args!("the throttle stays until it is removed: {}", FOLLOW));
    }
}

/// Takes away what holds these partitions back, as far as they move no longer: their replicas in the lists of topics, and the rates
/// of brokers that no other move with a throttle concerns. Of brokers it leaves alone those that no list has named, but for those of
/// `throttle`.
pub(super) async fn lift(
    context: &Context,
    places: &BTreeSet<Place>,
    throttle: Option<&Throttle>,
) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let still: Vec<Copying> = moving::list(brokers).await?.iter().map(Copying::from).collect();
    let asked: BTreeSet<&str> =
        places.iter().map(|place| place.topic.as_str()).chain(topics(&still)).collect();
    let listed = lists::of_topics(brokers, asked).await?;
    let moving: BTreeSet<&Place> = still.iter().map(|one| &one.place).collect();
    let is_over = |topic: &str, partition| {
        let place = Place { topic: topic.to_owned(), partition };
        places.contains(&place) && !moving.contains(&place)
    };
    let edits = lists::removals(&listed, &still, is_over);
    lists::change(brokers, &edits).await?;
    let kept = copying::brokers_of(still.iter().filter(|one| lists::is_listed(one, &listed)));
    let mut named = lists::brokers_of(&edits);
    named.extend(throttle.iter().flat_map(|throttle| &throttle.brokers));
    let waits = &named & &kept;
    if !waits.is_empty() {
        context.note(format_args!("the throttle stays on {}, where more moves", names(&waits)));
    }
    remove_rates(context, &(&named - &kept)).await
}

async fn remove_rates(context: &Context, named: &BTreeSet<i32>) -> Result<(), CliError> {
    if named.is_empty() {
        return Ok(());
    }
    let brokers = context.brokers().await?;
    let alive = alive(brokers).await?;
    let (there, gone) = (named & &alive, named - &alive);
    for &broker in &there {
        rates::unset(brokers, broker).await?;
    }
    if !there.is_empty() {
        context.note(format_args!("the throttle is removed from {}", names(&there)));
    }
    if !gone.is_empty() {
        context.note(format_args!(
            "{} cannot be asked, and may keep a throttle; when it is back: {UNTHROTTLE}",
            names(&gone)
        ));
    }
    Ok(())
}

/// Something that throttles replication.
#[derive(Debug, Serialize)]
struct Row {
    of: String,
    key: String,
    value: String,
    outcome: &'static str,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("OF", |row| Cell::text(row.of.clone())),
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("VALUE", |row| Cell::text(row.value.clone())),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
];

/// Takes away every throttle of replication, whoever has set it; or shows what there is.
pub(super) async fn remove_all(context: &Context, execute: bool) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let outcome = if execute { "removed" } else { "would be removed" };
    let listed = lists::of_topics(brokers, cluster.topics.iter().map(|topic| topic.name.as_str())).await?;
    let edits = lists::all_removals(&listed);
    let mut rows = Vec::new();
    let mut named = BTreeSet::new();
    for node in &cluster.nodes {
        for rate in rates::of(brokers, node.id.0).await? {
            named.insert(node.id.0);
            let value = rate.value.unwrap_or_default();
            rows.push(Row { of: format!("broker {}", node.id), key: rate.key, value, outcome });
        }
    }
    for edit in &edits {
        let (of, key, value) = (format!("topic {}", edit.topic), edit.key.to_owned(), edit.items.join(","));
        rows.push(Row { of, key, value, outcome });
    }
    if execute {
        context.changes()?;
        lists::change(brokers, &edits).await?;
        for broker in named {
            rates::unset(brokers, broker).await?;
        }
    }
    context.printer.rows(COLUMNS, &rows)?;
    if !execute && !rows.is_empty() {
        context.note("nothing was changed; --execute does it");
    }
    Ok(())
}

/// Says when topics throttle what does not move any more.
pub(super) async fn note_left_over(context: &Context, moving: &[moving::Moving]) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let listed = lists::of_topics(brokers, cluster.topics.iter().map(|topic| topic.name.as_str())).await?;
    let still: Vec<Copying> = moving.iter().map(Copying::from).collect();
    let edits = lists::removals(&listed, &still, |_, _| true);
    let left: BTreeSet<&str> = edits.iter().map(|edit| edit.topic.as_str()).collect();
    if !left.is_empty() {
        let left = left.into_iter().collect::<Vec<_>>().join(", ");
        context.note(format_args!("a throttle is left of moves that are over, of {left}: {}", FOLLOW));
    }
    Ok(())
}

fn topics(moves: &[Copying]) -> BTreeSet<&str> {
    moves.iter().map(|one| one.place.topic.as_str()).collect()
}

async fn alive(brokers: &Brokers) -> Result<BTreeSet<i32>, CliError> {
    let cluster = brokers.cluster(Some(&[])).await?;
    Ok(cluster.nodes.iter().map(|node| node.id.0).collect())
}

fn names(brokers: &BTreeSet<i32>) -> String {
    let ids: Vec<String> = brokers.iter().map(i32::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "broker" } else { "brokers" }, ids.join(","))
}
