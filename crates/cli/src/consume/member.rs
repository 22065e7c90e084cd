//! Consuming as a member of a classic group: this process gets a share of the partitions, goes on where the group stopped, and commits
//! what it has printed.
//!
//! The protocol is `range`, and the leader's part of it is played too, so that Java's and other consumers can be in the same group.

mod assignor;
mod membership;
mod offsets;
mod words;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use eddy_types::ErrorCode;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::Source;
use super::fetch::{self, Chunk, Event, Events};
use super::range::{Range, Span};
use crate::error::CliError;
use crate::positions::Place;
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

/// What became of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The offset of the partition that comes next; none when there was no chunk.
    pub next: Option<i64>,
    /// Whether there shall be more.
    pub more: bool,
    /// When the next one shall come.
    pub resume: Option<Instant>,
}

/// Reads as a member of `group` until there shall be no more, the range is read, or `stop` comes. `take` gets every chunk, and none when
/// no more are at hand. `range` counts where the group has no offset yet, and for the end.
pub(crate) async fn consume(
    source: &Source,
    group: &str,
    range: Range,
    stop: impl Future<Output = ()>,
    mut take: impl FnMut(Option<&Chunk>) -> Result<Taken, CliError>,
) -> Result<(), CliError> {
    let mut membership = Membership::new(&source.brokers, group);
    tokio::pin!(stop);
    loop {
        let given = membership.join(&source.topics).await?;
        let places: Vec<Place> =
            source.places.iter().filter(|place| given.contains(place)).cloned().collect();
        source.note(format!("group {group}: reading {} of {} partitions", places.len(), source.places.len()));
        let spans = spans(source, &membership, &places, range).await?;
        match read(source, &mut membership, (spans, range.until.is_some()), stop.as_mut(), &mut take).await? {
            Stop::Done => return membership.leave().await,
            Stop::Rebalance => {}
            Stop::Lost => membership.forget(),
        }
    }
}

/// Where the group stopped, and where it has not begun the start of the range.
async fn spans(
    source: &Source,
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
    source: &Source,
    membership: &mut Membership<'_>,
    (spans, has_end): (BTreeMap<Place, Span>, bool),
    mut stop: Pin<&mut impl Future<Output = ()>>,
    take: &mut impl FnMut(Option<&Chunk>) -> Result<Taken, CliError>,
) -> Result<Stop, CliError> {
    // A member without partitions waits until it is given some, unless it was to stop at the end.
    let is_idle = spans.is_empty() && !has_end;
    let mut events = fetch::start(source.brokers.clone(), source.targets(&spans), source.options());
    // Where this member begins is committed as well: who gets the partition next must not begin at an end that has moved on.
    let positions = spans.iter().map(|(place, span)| (place.clone(), span.from)).collect();
    let mut progress = Progress { positions, is_new: !spans.is_empty() };
    progress.commit(membership).await?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    let mut commit = interval_at(Instant::now() + COMMIT_INTERVAL, COMMIT_INTERVAL);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resume: Option<Instant> = None;
    let stop = loop {
        tokio::select! {
            () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => resume = None,
            event = next(&mut events, is_idle), if resume.is_none() => match event.transpose()? {
                None => break Stop::Done,
                Some(Event::Note(note)) => source.note(note),
                Some(Event::Chunk(chunk)) => {
                    let taken = take(Some(&chunk))?;
                    progress.note(&chunk, taken.next);
                    if !taken.more {
                        break Stop::Done;
                    }
                    resume = taken.resume;
                    if events.is_empty() {
                        take(None)?;
                    }
                }
            },
            _ = heartbeat.tick() => match membership.heartbeat().await? {
                ErrorCode::None => {}
                ErrorCode::RebalanceInProgress => break Stop::Rebalance,
                _ => return Ok(Stop::Lost),
            },
            _ = commit.tick() => progress.commit(membership).await?,
            () = &mut stop => break Stop::Done,
        }
    };
    take(None)?;
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
    fn note(&mut self, chunk: &Chunk, next: Option<i64>) {
        if let Some(next) = next {
            let place = Place { topic: chunk.topic.to_string(), partition: chunk.partition };
            self.positions.insert(place, next);
            self.is_new = true;
        }
    }

    async fn commit(&mut self, membership: &Membership<'_>) -> Result<(), CliError> {
        if std::mem::take(&mut self.is_new) {
            membership.commit(&self.positions).await?;
        }
        Ok(())
    }
}
