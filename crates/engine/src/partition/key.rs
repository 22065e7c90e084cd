//! What partitions and batches are called on their way in.

use bytes::Bytes;
use eddy_types::{BatchFacts, TopicId};

/// Identity of a partition: its topic's id, not its name, so that a topic made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// Id of the topic.
    pub topic: TopicId,
    /// Index of the partition in the topic.
    pub index: i32,
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// A validated batch on its way into the log.
#[derive(Debug)]
pub struct NewBatch {
    /// What validation found in it.
    pub facts: BatchFacts,
    /// The batch; stamped in place when nobody else holds its bytes, copied once otherwise.
    pub bytes: Bytes,
    /// Bytes of memory that holding `bytes` keeps alive.
    pub charge: usize,
}
