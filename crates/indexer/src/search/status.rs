//! How indexes stand, over all brokers that lead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_types::BrokerId;
use serde::{Deserialize, Serialize};

use super::answer::seconds;
use super::api::Missing;
use super::error::SearchError;
use super::gather::{Reply, check_count, numbered};
use super::message::{Shard, Standing, Told, What};
use super::{Inner, Search};
use crate::IndexStatus;

/// How the indexes of topics stand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IndexesStatus {
    /// The indexed topics, by name.
    pub topics: Vec<TopicStatus>,
    /// The partitions of which nothing is known at the moment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<Missing>,
}

/// How the index of a topic stands.
#[derive(Clone, Debug, Serialize)]
pub struct TopicStatus {
    /// Its name.
    pub topic: String,
    /// Its id.
    pub topic_id: String,
    /// Those of its partitions that are known, in order.
    pub partitions: Vec<PartitionStatus>,
}

/// How the index of a partition stands on the broker that leads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its number.
    pub partition: i32,
    /// The broker.
    pub node: i32,
    /// See [`crate::IndexState`].
    pub state: String,
    /// The first offset that is not indexed yet.
    pub searched_through: i64,
    /// The log's high watermark.
    pub high_watermark: i64,
    /// Offsets from the one to the other.
    pub lag_records: u64,
    /// Age of the oldest record that is not indexed yet.
    pub lag_seconds: f64,
    /// Size of the index on disk.
    pub bytes: u64,
    /// Records in the index.
    pub records: u64,
    /// Splits it consists of.
    pub splits: usize,
}

/// What the brokers said of some partitions, by their numbers in the question.
pub(super) struct Standings {
    pub(super) known: BTreeMap<u32, PartitionStatus>,
    pub(super) missing: BTreeMap<u32, Missing>,
}

impl Search {
    /// Tells how the indexes of topics stand, of all that are indexed without `targets`. A topic that is named and not indexed is left
    /// out: whoever has just switched its index on may be ahead of this broker. `timeout` is how long the slowest broker may take; zero
    /// is the default of the limits.
    ///
    /// # Errors
    /// No topic of that name, or too many.
    pub async fn status(
        &self,
        targets: Option<&str>,
        timeout: Duration,
    ) -> Result<IndexesStatus, SearchError> {
        let inner = &self.inner;
        let mut found = match targets {
            Some(targets) => inner.named(targets)?,
            None => inner.node.topics(&|_| true),
        };
        found.retain(|target| target.indexed);
        check_count(&found)?;
        let mut standings = inner.standings(numbered(&found), timeout).await;
        let mut topics: Vec<TopicStatus> = Vec::with_capacity(found.len());
        for (shard, _) in numbered(&found) {
            if topics.last().is_none_or(|last| last.topic != *shard.topic) {
                topics.push(TopicStatus {
                    topic: shard.topic.to_string(),
                    topic_id: shard.id.to_string(),
                    partitions: Vec::new(),
                });
            }
            if let (Some(topic), Some(known)) = (topics.last_mut(), standings.known.remove(&shard.number)) {
                topic.partitions.push(known);
            }
        }
        Ok(IndexesStatus { topics, partial: standings.missing.into_values().collect() })
    }
}

impl Inner {
    /// Asks the brokers that lead some partitions how their indexes stand.
    pub(super) async fn standings(
        self: &Arc<Self>,
        shards: Vec<(Shard, Option<BrokerId>)>,
        timeout: Duration,
    ) -> Standings {
        let timeout = if timeout.is_zero() { self.limits.timeout_default } else { timeout };
        let deadline = Instant::now() + timeout.min(self.limits.timeout_max);
        let mut standings = Standings { known: BTreeMap::new(), missing: BTreeMap::new() };
        for reply in self.ask_all(shards, || What::Status, deadline).await {
            standings.take(reply);
        }
        standings
    }

    /// How the indexes of these partitions stand here, of those that are indexed here.
    pub(super) fn standings_here(&self, shards: &[Shard]) -> Vec<Standing> {
        let me = self.node.me();
        let standing = |shard: &Shard| {
            let status = self.node.status(shard.id, shard.partition)?;
            Some(Standing { shard: shard.number, status: PartitionStatus::new(shard.partition, me, &status) })
        };
        shards.iter().filter_map(standing).collect()
    }
}

impl Standings {
    fn take(&mut self, reply: Reply) {
        let (told, reason) = match reply.told {
            Ok(Told::Status(told)) => (told, "it does not index the partition yet".to_owned()),
            Ok(Told::Refused(error)) => (Vec::new(), error.to_string()),
            Ok(_) => (Vec::new(), "its answer is about something else".to_owned()),
            Err(reason) => (Vec::new(), reason),
        };
        self.known.extend(told.into_iter().map(|standing| (standing.shard, standing.status)));
        for shard in reply.shards {
            if !self.known.contains_key(&shard.number) {
                let missing = Missing {
                    topic: shard.topic.to_string(),
                    partition: shard.partition,
                    node: reply.node.map(|node| node.0),
                    reason: reason.clone(),
                };
                self.missing.insert(shard.number, missing);
            }
        }
    }
}

impl PartitionStatus {
    fn new(partition: i32, node: BrokerId, status: &IndexStatus) -> PartitionStatus {
        PartitionStatus {
            partition,
            node: node.0,
            state: status.state.name().to_owned(),
            searched_through: status.searched_through.0,
            high_watermark: status.high_watermark.0,
            lag_records: status.lag_records,
            lag_seconds: seconds(status.lag),
            bytes: status.bytes,
            records: status.records,
            splits: status.splits,
        }
    }
}
