//! What a search needs of its broker: topics, views, records, and the other brokers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_engine::{PartitionKey, ReadError, ReadRequest};
use eddy_peer::{Peers, Service};
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, TopicId};

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
    /// Batches of the log from the one that has `offset` on, of about `bytes` bytes; none if it lies outside the log by now.
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
            match partition.peek(request).await {
                Ok(read) => Ok(read.slices),
                Err(ReadError::OutOfRange { .. }) => Ok(Vec::new()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn ask(&self, broker: BrokerId, request: Bytes, within: Duration) -> Later<'_, Result<Bytes, String>> {
        Box::pin(async move {
            let Some(peers) = &self.peers else { return Err("this broker has no others".to_owned()) };
            peers.call(broker, Service::Search, request, within).await.map_err(|error| error.to_string())
        })
    }
}
