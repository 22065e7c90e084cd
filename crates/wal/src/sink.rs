//! Who learns what has become durable.

use eddy_types::{LocalPartition, Offset};

use crate::{Lsn, WalError};

/// Receives the outcome of each group, on the log's thread or on that of [`Wal::commit_in_place`](crate::Wal::commit_in_place).
pub trait Sink: Send + Sync + 'static {
    /// One group is on disk: its `fdatasync` returned, and every entry below `upto` is durable.
    ///
    /// `ends` has each partition to which the group appended once, with its end after the group: the end of its last
    /// append, lowered by truncations that follow it in the group. A truncation in a *later* group is not yet seen: a
    /// partition that has submitted one at position `t` must take no end from a call whose `upto` is `t` or lower.
    ///
    /// Called in order, before those are woken who wait for an entry, and must be short: the next group waits.
    fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn);

    /// A write or a sync failed, and nothing more becomes durable. The process must stop: what the cache holds may never
    /// reach the disk though a second sync would succeed, so that only a restart finds out what is there.
    ///
    /// Called once at most. The default logs and aborts.
    fn failed(&self, error: WalError) {
        tracing::error!(%error, "write-ahead log failed, stopping the process");
        std::process::abort();
    }
}
