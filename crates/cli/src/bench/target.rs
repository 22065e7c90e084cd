//! The topic that is under load.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use crate::brokers::Brokers;
use crate::error::{CliError, Exit};
use crate::positions::{Place, Wanted, positions};
use crate::topic::create_missing;
use crate::{Context, Topic, select};

/// Partitions of a topic that is created, unless a number is given.
const PARTITIONS_DEFAULT: i32 = 16;
/// Between two looks whether all leaders answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The topic to write to, created when it is missing, and where its partitions end.
pub(super) async fn topic(
    context: &Context,
    name: &str,
    partitions: Option<i32>,
) -> Result<(Topic, BTreeMap<Place, i64>), CliError> {
    let brokers = context.brokers().await?;
    create_missing(brokers, name, partitions.unwrap_or(PARTITIONS_DEFAULT)).await?;
    let deadline = brokers.deadline();
    loop {
        let topic = select::topic(brokers, name).await?;
        let ends = offsets(brokers, std::slice::from_ref(&topic), Wanted::Latest).await?;
        if ends.len() == topic.partitions.len() {
            let count = topic.partitions.len();
            if partitions.is_some_and(|wanted| usize::try_from(wanted) != Ok(count)) {
                context.note(format!("topic {name} is there already, with {count} partitions"));
            }
            return Ok((topic, ends));
        }
        // Metadata of a new topic may be ahead of its leaders.
        if Instant::now() >= deadline {
            let missing = topic.partitions.len() - ends.len();
            return Err(CliError::new(
                Exit::Unreachable,
                format!("partitions of {name} without a leader: {missing}"),
            )
            .fix(format!("eddy topic describe {name}"), "see which brokers they are on"));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// An offset of each partition; those that nobody answers for are left out.
pub(super) async fn offsets(
    brokers: &Brokers,
    topics: &[Topic],
    wanted: Wanted,
) -> Result<BTreeMap<Place, i64>, CliError> {
    let places: Vec<Place> = topics.iter().flat_map(Place::all_of).collect();
    let found = positions(brokers, &places, wanted).await?;
    Ok(found.into_iter().filter_map(|(place, offset)| Some((place, offset?))).collect())
}
