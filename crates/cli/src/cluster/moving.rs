//! Replicas under way: which ones move, starting, ending and waiting for moves (KIP-455).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eddy_client::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use eddy_client::messages::{
    self, AlterPartitionReassignmentsRequest, ApiKey, ListPartitionReassignmentsRequest,
};
use eddy_client::{accepted, messages::BrokerId as WireBroker};
use serde::Serialize;
use tokio::time::Instant;

use crate::Context;
use crate::brokers::{Brokers, To, topic_name};
use crate::error::{CliError, Exit};
use crate::positions::Place;
use crate::words::plural;

/// Time a broker may take over a request, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;
/// Partitions of one request.
const PARTITIONS_MAX: usize = 500;
/// Time between two looks while waiting.
const PAUSE: Duration = Duration::from_millis(500);

/// A partition whose replicas change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moving {
    #[serde(flatten)]
    pub(super) place: Place,
    /// Replicas at present, those to come included.
    pub(super) replicas: Vec<i32>,
    pub(super) adding: Vec<i32>,
    pub(super) removing: Vec<i32>,
}

/// Everything that moves at the moment, in order. Nothing from brokers that cannot tell.
pub(super) async fn list(brokers: &Brokers) -> Result<Vec<Moving>, CliError> {
    let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(TIMEOUT_MS).with_topics(None);
    let answer = brokers
        .retry(To::Controller, async |connection| {
            if connection.versions().served(ApiKey::ListPartitionReassignments as i16).is_none() {
                return Ok(None);
            }
            let answer = connection.send(&request).await?;
            let words = answer.error_message.as_deref();
            accepted(ApiKey::ListPartitionReassignments, answer.error_code, "reassignments", words)?;
            Ok(Some(answer))
        })
        .await?;
    let ids = |ids: &[WireBroker]| ids.iter().map(|id| id.0).collect();
    let mut found = Vec::new();
    for topic in answer.iter().flat_map(|answer| &answer.topics) {
        for one in &topic.partitions {
            found.push(Moving {
                place: Place { topic: topic.name.to_string(), partition: one.partition_index },
                replicas: ids(&one.replicas),
                adding: ids(&one.adding_replicas),
                removing: ids(&one.removing_replicas),
            });
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(found)
}

/// Asks for new replicas of partitions; `None` ends what is under way there.
///
/// # Errors
/// The first refusal, with the others as facts. The rest moves all the same.
pub(super) async fn alter(brokers: &Brokers, wanted: &[(Place, Option<Vec<i32>>)]) -> Result<(), CliError> {
    let mut failed = Vec::new();
    for chunk in wanted.chunks(PARTITIONS_MAX) {
        let request = request(chunk);
        let answer = brokers
            .retry(To::Controller, async |connection| {
                let answer = connection.send(&request).await?;
                let words = answer.error_message.as_deref();
                accepted(ApiKey::AlterPartitionReassignments, answer.error_code, "the reassignment", words)?;
                Ok(answer)
            })
            .await?;
        for topic in &answer.responses {
            for one in topic.partitions.iter().filter(|one| one.error_code != 0) {
                let what = format!("cannot move {}-{}", &*topic.name, one.partition_index);
                failed.push(CliError::refused(what, one.error_code, one.error_message.as_deref()));
            }
        }
    }
    let mut failed = failed.into_iter();
    match failed.next() {
        None => Ok(()),
        Some(first) => Err(failed.take(10).fold(first, |error, other| error.fact(other.message()))),
    }
}

fn request(wanted: &[(Place, Option<Vec<i32>>)]) -> AlterPartitionReassignmentsRequest {
    let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
    for (place, replicas) in wanted {
        let replicas = replicas.as_ref().map(|ids| ids.iter().map(|&id| WireBroker(id)).collect());
        let partition =
            ReassignablePartition::default().with_partition_index(place.partition).with_replicas(replicas);
        topics.entry(&place.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions)
    });
    messages::AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topics(topics.collect())
}

/// Waits until none of these partitions moves any more, as long as --timeout allows.
///
/// # Errors
/// They still move when the time is up or the user interrupts: that ends the waiting, not the moves.
pub(super) async fn wait(context: &Context, places: &BTreeSet<Place>) -> Result<(), CliError> {
    let goes_on = |message: String| {
        CliError::new(Exit::Unhealthy, message)
            .fact("the move goes on without this command")
            .fix("eddy cluster reassign", "see what moves")
    };
    tokio::select! {
        // First, so that an interrupt is heard before anything is said.
        biased;
        _ = tokio::signal::ctrl_c() => Err(goes_on("interrupted while partitions move".to_owned())),
        left = until_ended(context, places) => match left? {
            0 => Ok(()),
            left => Err(goes_on(format!("{} still moving", plural(left, "partition")))),
        },
    }
}

/// How many still move when the time is up.
async fn until_ended(context: &Context, places: &BTreeSet<Place>) -> Result<usize, CliError> {
    let brokers = context.brokers().await?;
    let deadline = Instant::now() + context.global.timeout;
    let mut last = usize::MAX;
    loop {
        let left = list(brokers).await?.iter().filter(|one| places.contains(&one.place)).count();
        if left > 0 && left != last {
            context.note(format_args!("{} still moving", plural(left, "partition")));
            last = left;
        }
        if left == 0 || Instant::now() + PAUSE >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
