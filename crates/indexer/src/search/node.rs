//! What a search needs of its broker: topics, views, records, and the other brokers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_batch::{BatchError, DecompressLimit, Record, batches};
use eddy_engine::{PartitionKey, ReadRequest};
use eddy_peer::{Peers, Service};
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, TopicId};

use super::error::SearchError;
use crate::{IndexStatus, Indexer, NotIndexed, View};

/// A topic, for searching.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: Arc<str>,
    pub(crate) id: TopicId,
    pub(crate) indexed: bool,
    /// By partition.
    pub(crate) leaders: Vec<Option<BrokerId>>,
}

pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A broker, as its searches see it.
pub(crate) trait Node: Send + Sync + 'static {
    fn me(&self) -> BrokerId;
    fn now(&self) -> Millis;
    /// The topics that `wanted` says yes to, by name.
    fn topics(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Target>;
    /// May block.
    fn view(&self, topic: TopicId, partition: i32) -> Result<View, NotIndexed>;
    fn high_watermark(&self, topic: TopicId, partition: i32) -> Option<Offset>;
    /// Waits until everything below `offset` is indexed; gives the first offset that is not.
    fn wait_through(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        deadline: Instant,
    ) -> Later<'_, Offset>;
    fn status(&self, topic: TopicId, partition: i32) -> Option<IndexStatus>;
    /// Batches of the log from the one that has `offset` on, of about `bytes` bytes.
    fn read(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        bytes: usize,
    ) -> Later<'_, Result<Vec<Bytes>, String>>;
    /// Asks another broker.
    fn ask(&self, broker: BrokerId, request: Bytes, within: Duration) -> Later<'_, Result<Bytes, String>>;
}

/// The broker of this process.
pub(crate) struct Broker {
    pub(crate) indexer: Arc<Indexer>,
    pub(crate) peers: Option<Peers>,
}

impl Node for Broker {
    fn me(&self) -> BrokerId {
        self.indexer.engine().me()
    }

    fn now(&self) -> Millis {
        self.indexer.engine().now()
    }

    fn topics(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Target> {
        let image = self.indexer.engine().image();
        let target = |topic: &Arc<eddy_metadata::Topic>| Target {
            topic: Arc::clone(&topic.name),
            id: topic.id,
            indexed: topic.config.search_enable,
            leaders: topic.partitions.iter().map(|partition| partition.leader).collect(),
        };
        let mut targets: Vec<Target> =
            image.topics().filter(|topic| wanted(&topic.name)).map(target).collect();
        targets.sort_by(|one, two| one.topic.cmp(&two.topic));
        targets
    }

    fn view(&self, topic: TopicId, partition: i32) -> Result<View, NotIndexed> {
        self.indexer.view(topic, partition)
    }

    fn high_watermark(&self, topic: TopicId, index: i32) -> Option<Offset> {
        let open = self.indexer.engine().partitions().get_open(PartitionKey { topic, index })?;
        Some(open.offsets().high_watermark)
    }

    fn wait_through(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        deadline: Instant,
    ) -> Later<'_, Offset> {
        Box::pin(self.indexer.wait_through(topic, partition, offset, deadline.into()))
    }

    fn status(&self, topic: TopicId, partition: i32) -> Option<IndexStatus> {
        self.indexer.status(topic, partition)
    }

    fn read(
        &self,
        topic: TopicId,
        index: i32,
        offset: Offset,
        bytes: usize,
    ) -> Later<'_, Result<Vec<Bytes>, String>> {
        Box::pin(async move {
            let engine = self.indexer.engine();
            let key = PartitionKey { topic, index };
            let partition =
                engine.partitions().get(&engine.image(), key).await.map_err(|error| error.to_string())?;
            let request = ReadRequest {
                offset,
                leader_epoch: LeaderEpoch::NONE,
                last_fetched_epoch: LeaderEpoch::NONE,
                max_bytes: bytes,
                at_least_one: true,
                committed_only: false,
            };
            Ok(partition.peek(request).await.map_err(|error| error.to_string())?.slices)
        })
    }

    fn ask(&self, broker: BrokerId, request: Bytes, within: Duration) -> Later<'_, Result<Bytes, String>> {
        Box::pin(async move {
            let Some(peers) = &self.peers else { return Err("this broker has no others".to_owned()) };
            peers.call(broker, Service::Search, request, within).await.map_err(|error| error.to_string())
        })
    }
}

/// The records at `offsets`, which ascend, of one partition; `None` for those that are gone. At most `bytes_max` bytes of them.
///
/// # Errors
/// The log cannot be read, or the records are too many bytes.
pub(crate) async fn records(
    node: &dyn Node,
    topic: TopicId,
    partition: i32,
    offsets: &[i64],
    bytes_left: &mut usize,
) -> Result<Vec<Option<Record>>, SearchError> {
    const READ_BYTES: usize = 64 << 10;
    let unreadable = |error: BatchError| SearchError::Unavailable { reason: error.to_string() };
    let too_large = || SearchError::TooExpensive {
        message: "the records found are too large for one answer; ask for fewer with size".to_owned(),
    };
    let mut found: Vec<Option<Record>> = Vec::with_capacity(offsets.len());
    while let Some(&next) = offsets.get(found.len()) {
        let slices = match node.read(topic, partition, Offset(next), READ_BYTES).await {
            Ok(slices) => slices,
            // What lies below the log's start by now is gone; what follows may be there.
            Err(_) if found.len() + 1 < offsets.len() => {
                found.push(None);
                continue;
            }
            Err(reason) => return Err(SearchError::Unavailable { reason }),
        };
        let before = found.len();
        for batch in slices.into_iter().flat_map(batches) {
            // A range that ends within a batch is read again from there.
            let Ok(batch) = batch else { break };
            if batch.header.attributes.is_control() {
                continue;
            }
            let records = batch.records(&DecompressLimit::default()).map_err(unreadable)?;
            for record in records {
                let record = record.map_err(unreadable)?;
                while offsets.get(found.len()).is_some_and(|wanted| *wanted < record.offset.0) {
                    found.push(None);
                }
                if offsets.get(found.len()) == Some(&record.offset.0) {
                    let bytes = record.value.as_ref().map_or(0, Bytes::len)
                        + record.key.as_ref().map_or(0, Bytes::len);
                    *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(too_large)?;
                    found.push(Some(record));
                }
            }
        }
        if found.len() == before {
            found.push(None);
        }
    }
    Ok(found)
}
