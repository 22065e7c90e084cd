//! Consuming as a member of a classic group: this process gets a share of the partitions, goes on where the group stopped, and commits
//! what it has printed.
//!
//! The protocol is `range`, and the leader's part of it is played too, so that Java's and other consumers can be in the same group.

mod assignor;
mod membership;
mod offsets;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use eddy_client::batches_end;
use eddy_types::{ErrorCode, Offset};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::fetch::{self, Event, Events, Options};
use super::range::{Range, Span};
use super::{Source, records};
use crate::error::CliError;
use crate::positions::Place;
use crate::record::Record;
use membership::Membership;

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Why a member stops reading what it was given.
enum Stop {
    /// All is read, or the user has enough.
    Done,
    /// The group gives the partitions out again.
    Rebalance,
    /// The group has given up on this member.
    Lost,
}

/// Reads as a member of `group` until `each` returns false, the range is read, or the user interrupts. `range` counts where the group has
/// no offset yet, and for the end.
pub(super) async fn consume(
    source: &Source<'_>,
    group: &str,
    range: Range,
    mut each: impl FnMut(Option<&Record>) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    let brokers = source.context.brokers().await?;
    let mut membership = Membership::new(brokers, group, source.context.global.timeout);
    loop {
        let given = membership.join(&source.topics).await?;
        let places: Vec<Place> =
            source.places.iter().filter(|place| given.contains(place)).cloned().collect();
        source.context.note(format!(
            "group {group}: reading {} of {} partitions",
            places.len(),
            source.places.len()
        ));
        let spans = spans(source, &membership, &places, range).await?;
        match read(source, &mut membership, (spans, range.until.is_some()), &mut each).await? {
            Stop::Done => return membership.leave().await,
            Stop::Rebalance => {}
            Stop::Lost => membership.forget(),
        }
    }
}

/// Where the group stopped, and where it has not begun the start of the range.
async fn spans(
    source: &Source<'_>,
    membership: &Membership<'_>,
    places: &[Place],
    range: Range,
) -> Result<BTreeMap<Place, Span>, CliError> {
    let mut spans = source.spans_of(places, range).await?;
    for (place, committed) in membership.committed(places).await? {
        if let Some(span) = spans.get_mut(&place) {
            span.from = committed;
        }
    }
    Ok(spans)
}

async fn read(
    source: &Source<'_>,
    membership: &mut Membership<'_>,
    (spans, has_end): (BTreeMap<Place, Span>, bool),
    each: &mut impl FnMut(Option<&Record>) -> Result<bool, CliError>,
) -> Result<Stop, CliError> {
    let options = Options { committed: source.committed, patience: source.context.global.timeout };
    // A member without partitions waits until it is given some, unless it was to stop at the end.
    let is_idle = spans.is_empty() && !has_end;
    let mut events = fetch::start(source.context.brokers().await?.clone(), source.targets(&spans), options);
    // Where this member begins is committed as well: who gets the partition next must not begin at an end that has moved on.
    let positions = spans.iter().map(|(place, span)| (place.clone(), span.from)).collect();
    let mut progress = Progress { positions, is_new: !spans.is_empty() };
    progress.commit(membership).await?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    let mut commit = interval_at(Instant::now() + COMMIT_INTERVAL, COMMIT_INTERVAL);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    let stop = loop {
        tokio::select! {
            event = next(&mut events, is_idle) => match event.transpose()? {
                None => break Stop::Done,
                Some(Event::Note(note)) => source.context.note(note),
                Some(Event::Chunk(chunk)) => {
                    if !progress.take(source, &chunk, each)? {
                        break Stop::Done;
                    }
                    if events.is_empty() {
                        each(None)?;
                    }
                }
            },
            _ = heartbeat.tick() => match membership.heartbeat().await? {
                ErrorCode::None => {}
                ErrorCode::RebalanceInProgress => break Stop::Rebalance,
                _ => return Ok(Stop::Lost),
            },
            _ = commit.tick() => progress.commit(membership).await?,
            _ = &mut interrupt => break Stop::Done,
        }
    };
    each(None)?;
    progress.commit(membership).await?;
    Ok(stop)
}

async fn next(events: &mut Events, is_idle: bool) -> Option<Result<Event, CliError>> {
    if is_idle { std::future::pending().await } else { events.recv().await }
}

/// What was printed and not yet committed.
struct Progress {
    /// The offsets that come next.
    positions: BTreeMap<Place, i64>,
    is_new: bool,
}

impl Progress {
    /// Prints a chunk; false when that is enough.
    fn take(
        &mut self,
        source: &Source<'_>,
        chunk: &fetch::Chunk,
        each: &mut impl FnMut(Option<&Record>) -> Result<bool, CliError>,
    ) -> Result<bool, CliError> {
        let mut last = None;
        let more = records(chunk, |record| {
            last = Some(record.offset);
            if source.filter.passes(&record) { each(Some(&record)) } else { Ok(true) }
        })?;
        let end = batches_end(Offset(chunk.from), chunk.batches.clone()).0;
        let end = chunk.until.map_or(end, |until| end.min(until));
        // When that was enough, what follows the last record is still to be read.
        let next = if more { end } else { last.map_or(chunk.from, |last| last + 1) };
        let place = Place { topic: chunk.topic.to_string(), partition: chunk.partition };
        self.positions.insert(place, next);
        self.is_new = true;
        Ok(more)
    }

    async fn commit(&mut self, membership: &Membership<'_>) -> Result<(), CliError> {
        if std::mem::take(&mut self.is_new) {
            membership.commit(&self.positions).await?;
        }
        Ok(())
    }
}
