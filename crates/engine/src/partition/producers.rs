//! The producers' windows of a log that was cut.
//!
//! A window keeps the last batches of its producer only: what it was at an earlier offset cannot be told from what it is now. So
//! it is built again as a replay builds it, from a point at which it is known and the headers of the batches from there
//! to the cut. Such points are the checkpoint's marks at which nothing was on its way to the disk, and the start of the
//! log, where no producer is known. The same log gives the same windows, so the result is what the replica would hold had
//! it never seen what is cut off; after a restart the replay comes to it in the same way.

use std::sync::Arc;

use eddy_batch::batches;
use eddy_core::{ProducerLimits, ProducerSnapshot, ProducerWindows};
use eddy_log::{Log, LogError, ReadOutcome};
use eddy_types::{Millis, Offset};

use super::Partition;
use crate::error::ReadError;
use crate::read::read_error;

/// How often a segment may go while it is read.
const TRIES: u32 = 10;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Offsets at which the windows are known: one that a clean truncation never goes below, and the newest.
#[derive(Clone, Debug, Default)]
pub(crate) struct SafePoints {
    committed: Option<SafePoint>,
    newest: Option<SafePoint>,
}

#[derive(Clone, Debug)]
struct SafePoint {
    offset: Offset,
    producers: Arc<[ProducerSnapshot]>,
}

impl SafePoints {
    pub(crate) fn add(&mut self, offset: Offset, producers: Arc<[ProducerSnapshot]>, high_watermark: Offset) {
        if self.newest.as_ref().is_some_and(|newest| newest.offset <= high_watermark) {
            self.committed = self.newest.take();
        }
        self.newest = Some(SafePoint { offset, producers });
    }

    pub(crate) fn truncate(&mut self, to: Offset) {
        self.newest.take_if(|point| point.offset > to);
        self.committed.take_if(|point| point.offset > to);
    }

    pub(crate) fn clear(&mut self) {
        *self = SafePoints::default();
    }

    /// The last one at or below `to`.
    fn below(&self, to: Offset) -> Option<SafePoint> {
        let points = [&self.newest, &self.committed];
        points.into_iter().flatten().find(|point| point.offset <= to).cloned()
    }

    /// Windows at `to`, which is at most the end of `log`. Blocks.
    pub(crate) fn producers_at(
        &self,
        log: &Log,
        to: Offset,
        now: Millis,
        limits: ProducerLimits,
    ) -> Result<ProducerWindows, ReadError> {
        let (from, known) = match self.below(to).filter(|point| point.offset >= log.start_offset()) {
            Some(point) => (point.offset, point.producers.to_vec()),
            None => (log.start_offset(), Vec::new()),
        };
        let mut windows = ProducerWindows::restore(now, limits, known);
        scan_producers(log, from, to, now, &mut windows)?;
        Ok(windows)
    }
}

/// Replays the headers of the batches from `from` to `to` into `windows`. Blocks.
fn scan_producers(
    log: &Log,
    from: Offset,
    to: Offset,
    now: Millis,
    windows: &mut ProducerWindows,
) -> Result<(), ReadError> {
    let mut at = from;
    let mut tries = TRIES;
    while at < to {
        let read = log.read(at, to, READ_BYTES, true).and_then(|found| match found {
            ReadOutcome::Ready(fetched) => Ok(fetched),
            ReadOutcome::Disk(disk) => disk.run(),
        });
        let fetched = match read {
            Ok(fetched) => fetched,
            // Compaction or retention was at work there.
            Err(eddy_log::ReadError::Log(LogError::Moved { .. })) if tries > 0 => {
                tries -= 1;
                at = at.max(log.start_offset());
                continue;
            }
            Err(error) => return Err(read_error(at, error)),
        };
        if fetched.end_offset <= at {
            // Nothing but a gap up to the end.
            return Ok(());
        }
        for batch in fetched.slices.into_iter().flat_map(batches).map_while(Result::ok) {
            let end = batch.header.last_offset().next();
            // A batch that reaches above goes with the cut as a whole.
            if batch.header.base_offset >= from && end <= to {
                windows.replay(now, &batch.facts(), batch.header.base_offset);
            }
        }
        at = fetched.end_offset;
    }
    Ok(())
}

impl Partition {
    /// The windows as they were when the log ended at `to`.
    pub(super) async fn producers_at(self: &Arc<Self>, to: Offset) -> Result<ProducerWindows, ReadError> {
        let points = self.state.lock().safe_points.clone();
        let (this, limits) = (Arc::clone(self), self.shared.producer_limits);
        tokio::task::spawn_blocking(move || {
            points.producers_at(&this.log, to, this.shared.clock.steady(), limits)
        })
        .await
        // The blocking thread panicked, which its hook has reported.
        .unwrap_or(Err(ReadError::PartitionGone))
    }
}
