//! Group-commit write-ahead log: queue, commit, recover, trim; profiles and pressure.
//!
//! One log per data directory. Many threads [`submit`](Wal::submit) entries; one thread writes them in groups, one write
//! and one `fdatasync` per group (a lone appender writes [its own](Wal::commit_in_place)), and tells a [`Sink`] what has become durable. While one group syncs, the next one
//! forms: no timer is on the way, so that an idle broker commits at once and a busy one in large groups.
//!
//! The order of calls of `submit` is the order on disk and the order of replay. What goes into an entry is the log's
//! affair: here a batch is bytes. The format is described in `docs/adr/0002-wal-format.md`.
//!
//! ```text
//! let recovered = Wal::recover(disk, dir, config, checkpoint, &mut |lsn, entry| replay(lsn, entry))?;
//! let wal = recovered.start(sink)?;
//! let mut room = wal.admit(1, batch.len(), deadline).await?;
//! let lsn = wal.submit(Entry::Append { .. }, Some(room));   // under the partition's lock
//! wal.until_durable(lsn).await?;                            // or wait for Sink::durable
//! ```

mod admission;
mod commit;
mod config;
mod ends;
mod entry;
mod error;
mod files;
mod generation;
mod group;
mod log_end;
mod pressure;
mod queue;
mod recovery;
mod scan;
mod seat;
mod sink;
mod stats;
#[cfg(test)]
mod tests;
mod wal;

pub use admission::{Cause, Full, Room};
pub use config::{Limits, ParseProfileError, Profile, WalConfig};
pub use entry::{Entry, Lsn};
pub use error::{ReplayError, Stopped, WalError};
pub use pressure::Pressure;
pub use recovery::Recovered;
pub use sink::Sink;
pub use stats::{HistogramSnapshot, Stats};
pub use wal::Wal;
