//! Segments written again without what is not needed any more.

use eddy_batch::{Batch, BatchError, BatchHeader};

use super::batch_scan::BatchScan;
use super::filter::{Filter, Left, emptied};
use super::output::Output;
use super::plan::Plan;
use super::swap::Group;
use super::{CleanError, CleanRequest, Cleaned, Dirty, Pacer};
use crate::log::Log;

/// Writes group after group, from the log's first on.
pub(super) struct Rewrite<'a> {
    log: &'a Log,
    plan: &'a Plan,
    request: &'a CleanRequest<'a>,
    dirty: Dirty,
    pacer: Pacer<'a>,
}

/// A group as it was written.
#[derive(Default)]
struct Written {
    bytes_read: u64,
    records_dropped: u64,
    is_changed: bool,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(
        log: &'a Log,
        plan: &'a Plan,
        request: &'a CleanRequest<'a>,
        dirty: Dirty,
        pacer: Pacer<'a>,
    ) -> Self {
        Rewrite { log, plan, request, dirty, pacer }
    }

    /// Replaces a group by one segment, unless nothing would change.
    pub(super) fn group(&mut self, group: Group, cleaned: &mut Cleaned) -> Result<(), CleanError> {
        let outcome = self.write_and_swap(&group, cleaned);
        if outcome.is_err() {
            self.log.discard(group.base());
        }
        outcome
    }

    fn write_and_swap(&mut self, group: &Group, cleaned: &mut Cleaned) -> Result<(), CleanError> {
        let log = self.log;
        let interval = self.plan.config.index_interval_bytes;
        let mut output = Output::create(log.files.disk().as_ref(), &log.dir, group.base(), interval)?;
        let written = self.write(group, &mut output)?;
        cleaned.bytes_read += written.bytes_read;
        if !written.is_changed || output.bytes() == 0 {
            log.discard(group.base());
            return Ok(());
        }
        let new = output.finish(group.end)?;
        log.swap(group, &new, self.plan.cuts)?;
        let bytes = new.extent().bytes;
        cleaned.bytes_written += bytes;
        cleaned.bytes_freed += written.bytes_read.saturating_sub(bytes);
        cleaned.records_dropped += written.records_dropped;
        cleaned.segments_before += group.segments.len();
        cleaned.segments_after += 1;
        Ok(())
    }

    fn write(&mut self, group: &Group, output: &mut Output<'_>) -> Result<Written, CleanError> {
        let mut written = Written { is_changed: group.segments.len() > 1, ..Written::default() };
        let last_segment = group.segments.len() - 1;
        for (number, segment) in group.segments.iter().enumerate() {
            let mut batches = BatchScan::new(&self.log.files, segment)?;
            while let Some(batch) = batches.next()? {
                let before = output.bytes();
                let is_last = number == last_segment && batches.at_end();
                let left = self.left_of(&batch, is_last).map_err(|error| batches.damaged(error))?;
                match left {
                    Left::AsIs => output.append(&batch.header, &batch.bytes)?,
                    Left::Changed { batch, dropped } => {
                        let header = BatchHeader::parse(&batch).map_err(|error| batches.damaged(error))?;
                        output.append(&header, &batch)?;
                        written.records_dropped += dropped;
                        written.is_changed = true;
                    }
                    Left::Nothing => {
                        written.records_dropped += u64::try_from(batch.header.records_count).unwrap_or(0);
                        written.is_changed = true;
                    }
                }
                written.bytes_read += batch.bytes.len() as u64;
                self.pacer.moved(batch.bytes.len() as u64 + output.bytes() - before)?;
            }
        }
        Ok(written)
    }

    /// What is left of the next batch. The last one of a segment stays even without records, so that a segment is never empty and
    /// its end is found in it; so does the last one of a producer, for its sequence.
    fn left_of(&mut self, batch: &Batch, is_last: bool) -> Result<Left, BatchError> {
        let header = &batch.header;
        let stays = is_last || self.is_last_of_producer(header);
        let marks_nothing = self.dirty.transactions.marks_nothing(header);
        let filter = Filter {
            map: &self.dirty.map,
            map_end: self.dirty.end,
            now: self.request.now,
            delete_retention: self.plan.compaction.delete_retention_ms,
        };
        if header.attributes.is_control() {
            let is_done = marks_nothing && header.base_offset < filter.map_end;
            return if is_done { filter.idle_marker(batch, stays) } else { Ok(Left::AsIs) };
        }
        if header.base_offset < filter.map_end && self.dirty.transactions.is_aborted(header) {
            return emptied(header, stays);
        }
        filter.records(batch, stays)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let Some(end) = self.request.producers.get(&header.producer_id) else { return false };
        match end.last_offset {
            Some(last) => header.last_offset() == last,
            None => header.attributes.is_control() && header.producer_epoch == end.epoch,
        }
    }
}
