//! Reads a fetch's partitions until there is enough to answer.

use std::sync::Arc;
use std::time::Duration;

use eddy_core::{FetchContext, FetchPartition as Planned, TopicKey};
use eddy_engine::{FetchWaiter, Partition, PartitionError, PartitionKey, ReadRequest};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, LeaderEpoch, TopicId};
use tokio::time::Instant;

use super::nearest;
use super::read::Read;
use crate::call::Call;
use crate::error::KafkaCode;
use crate::resolve;

/// Time between two looks at partitions that move without there being enough: a fetch that wants a megabyte of a busy
/// partition would otherwise read it at every group commit.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// What a request asks for beyond its partitions.
pub(super) struct Wants {
    pub(super) max_bytes: usize,
    pub(super) min_bytes: usize,
    pub(super) committed_only: bool,
    /// A follower asks; followers have a connection of their own kind.
    pub(super) as_follower: bool,
    /// The rack of a consumer that any replica may serve.
    pub(super) rack: Option<Box<str>>,
    /// Someone who compares replicas asks: this broker's, whoever leads.
    pub(super) to_compare: bool,
    pub(super) deadline: Instant,
}

impl Wants {
    fn are_met(&self, reads: &[Read]) -> bool {
        let bytes: usize = reads.iter().map(|read| read.bytes).sum();
        reads.is_empty()
            || bytes >= self.min_bytes
            || reads.iter().any(Read::answers_at_once)
            || Instant::now() >= self.deadline
    }
}

/// Reads the plan; parks and reads again until lets it answer.
pub(super) async fn read_until_enough(call: &Call, context: &FetchContext, wants: &Wants) -> Vec<Read> {
    let (reads, mut partitions) = read_all(call, context, wants).await;
    if wants.are_met(&reads) {
        return reads;
    }
    drop(reads);
    let mut woken_at = None::<Instant>;
    loop {
        // A waiter for each look: partitions that did not move still hold the one before, and forget it as it is gone.
        let waiter = FetchWaiter::new();
        for partition in &partitions {
            partition.watch(&waiter);
        }
        // Read after the registration, so that no move is missed.
        let (reads, found) = read_all(call, context, wants).await;
        if wants.are_met(&reads) || tokio::time::timeout_at(wants.deadline, waiter.moved()).await.is_err() {
            return reads;
        }
        partitions = found;
        if let Some(before) = woken_at {
            tokio::time::sleep_until((before + LOOK_INTERVAL).min(wants.deadline)).await;
        }
        woken_at = Some(Instant::now());
    }
}

async fn read_all(call: &Call, context: &FetchContext, wants: &Wants) -> (Vec<Read>, Vec<Arc<Partition>>) {
    let image = call.image();
    let mut reads = Vec::with_capacity(context.plan.len());
    let mut partitions = Vec::with_capacity(context.plan.len());
    let mut left = wants.max_bytes;
    let mut nothing_yet = true;
    for planned in &context.plan {
        let read = match find(call, &image, planned, wants).await {
            Ok(_) if wants.as_follower => Read::failed(call, planned, ErrorCode::NotLeaderOrFollower),
            Ok(partition) => {
                let read = match send_on(call, &image, &partition, planned, wants) {
                    Some(read) => read,
                    None => read_one(call, &partition, planned, left, nothing_yet, wants).await,
                };
                partitions.push(partition);
                read
            }
            Err(failed) => *failed,
        };
        left = left.saturating_sub(read.bytes);
        nothing_yet &= read.bytes == 0;
        reads.push(read);
    }
    (reads, partitions)
}

async fn find(
    call: &Call,
    image: &Image,
    planned: &Planned,
    wants: &Wants,
) -> Result<Arc<Partition>, Box<Read>> {
    let (by_id, id, name) = match &planned.key.topic {
        TopicKey::Id(id) => (true, *id, ""),
        TopicKey::Name(name) => (false, TopicId::ZERO, &**name),
    };
    let topic = resolve::topic(image, by_id, id, name)
        .map_err(|code| Box::new(Read::unknown(call, planned, code)))?;
    let key = PartitionKey { topic: topic.id, index: planned.key.partition };
    let engine = &call.ctx.engine;
    let found = if wants.to_compare || wants.rack.is_some() {
        engine.replica(image, key).await
    } else {
        engine.partition(image, key).await
    };
    found.map_err(|error| {
        let code = error.kafka_code();
        Box::new(match error {
            PartitionError::Unknown => Read::unknown(call, planned, code),
            PartitionError::NotLeader { .. } | PartitionError::Offline(_) => {
                Read::failed(call, planned, code)
            }
        })
    })
}

/// The answer to a consumer that has a replica nearer to it.
fn send_on(
    call: &Call,
    image: &Image,
    partition: &Partition,
    planned: &Planned,
    wants: &Wants,
) -> Option<Read> {
    let rack = wants.rack.as_deref()?;
    let other = nearest::preferred(call, image, partition, rack, planned.fetch_offset)?;
    Some(match partition.checked_offsets(planned.leader_epoch) {
        Ok(offsets) => Read::elsewhere(planned, offsets, other, wants.committed_only),
        Err(error) => Read::failed(call, planned, error.kafka_code()),
    })
}

async fn read_one(
    call: &Call,
    partition: &Arc<Partition>,
    planned: &Planned,
    left: usize,
    nothing_yet: bool,
    wants: &Wants,
) -> Read {
    let request = ReadRequest {
        offset: planned.fetch_offset,
        leader_epoch: planned.leader_epoch,
        last_fetched_epoch: planned.last_fetched_epoch.max(LeaderEpoch::NONE),
        max_bytes: usize::try_from(planned.max_bytes).unwrap_or(0).min(left),
        // the first batch of the first partition that has one goes out whatever its size.
        at_least_one: nothing_yet,
        committed_only: wants.committed_only,
    };
    match partition.read(request).await {
        Ok(read) => Read::found(planned, read, wants.committed_only),
        Err(error) => Read::failed(call, planned, error.kafka_code()),
    }
}
