//! Fetch sessions (KIP-227): a client names its partitions once and then only what changes.
//!
//! The gateway locks the cache for [`SessionCache::begin`], reads what the plan says without the lock, and locks again
//! for [`SessionCache::finish`], which picks what the answer has to show. Two requests on one session at a time are
//! told apart by the session epoch: the later one moves it on, and the earlier one's answer is refused, as Kafka does.

mod cache;
mod request;
mod session;

pub use cache::{SessionAnswer, SessionCache, SessionLimits};
pub use request::{
    FetchContext, FetchPartition, PartitionKey, ReadResult, SessionError, SessionRequest, TopicKey,
};

#[cfg(test)]
mod tests;
