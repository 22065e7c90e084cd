//! One partition on disk: tail cache, segments, indexes, reads, retention, compaction.
//!
//! A [`Log`] takes batches at its end, in memory, and serves reads at once. What the write-ahead log has made safe is later
//! moved into segments by one flusher thread ([`Log::flush`]), synced ([`Log::sync`]) and recorded in a
//! [`LogCheckpoint`], with which a log opens again without looking at its batches.
//!
//! Files, all in Kafka's formats, one directory a partition: `<base offset>.log` with the batches one after the other as
//! they were appended, nothing between them; `.index` and `.timeindex`; `leader-epoch-checkpoint` ([`epoch_checkpoint`]).
//!
//! Segments that a checkpoint counts on may be compacted ([`Log::clean`]): others with the same base offsets take their place.
//!
//! It never decides what is committed or durable, never decodes a record but to look up a timestamp or to compact, and does
//! not know the write-ahead log.

mod budget;
mod clean;
mod config;
mod cut;
mod deleted;
mod epoch_checkpoint;
mod epochs;
mod error;
mod file_cache;
mod flush;
mod index;
mod log;
mod open;
mod open_scan;
mod read;
mod retention;
mod scan;
mod segment;
mod sync;
mod tail;
mod time;

pub use budget::TailBudget;
pub use clean::{CleanError, CleanRequest, Cleanable, Cleaned, ProducerEnd};
pub use config::{Compaction, LogConfig};
pub use error::{Damage, LogError, ReadError};
pub use file_cache::FileCache;
pub use log::{Log, LogCheckpoint};
pub use read::{DiskRead, FetchedBytes, ReadOutcome};
pub use retention::{DeletedSegments, Retention, RetentionReason};
pub use tail::TailBatch;
pub use time::Found;
