//! Reads: whole batches from memory at once, or from one segment in a step of its own that may block.

use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::{BatchError, BatchHeader, HEADER_BYTES};
use eddy_disk::Access;
use eddy_types::Offset;

use crate::error::{Damage, LogError, ReadError};
use crate::file_cache::FileCache;
use crate::log::{Log, State};
use crate::scan::{Reader, next_offset};
use crate::segment::Segment;

/// Batches that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchedBytes {
    /// Whole batches, in order; a slice holds one or more.
    pub slices: Vec<Bytes>,
    /// Bytes of all slices.
    pub bytes: usize,
    /// Offset after the last batch, where the next read begins; the offset asked for when there is no batch.
    pub end_offset: Offset,
}

/// What a read found.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The answer: from memory, or nothing because there is nothing to read.
    Ready(FetchedBytes),
    /// The batches are in a segment.
    Disk(DiskRead),
}

/// A read of one range of one segment, planned and not yet made.
pub struct DiskRead {
    files: Arc<FileCache>,
    segment: Arc<Segment>,
    /// Where the next batch is when the offset lies in a gap at the segment's end: in the segment behind it, or, should that
    /// hold nothing but what was cut off, in memory.
    next_segment: Option<Arc<Segment>>,
    next_cached: Option<(Bytes, Offset)>,
    from: Offset,
    /// Batches that begin here or above are not read.
    limit: Offset,
    /// Batches that end above are not in the segments, or not any more.
    flushed_end: Offset,
    max_bytes: usize,
    at_least_one: bool,
    index_interval: u32,
}

impl Log {
    /// Reads whole batches from the one that holds `from`, or else the next one, up to those that begin
    /// below `limit`: at most `max_bytes`, but at least one batch with `at_least_one`. Nothing when `from` is at or
    /// above `limit`. What comes back may be less than there is: the next read goes on at its end. Never blocks.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when `from` is below the start or above the end.
    pub fn read(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadOutcome, ReadError> {
        let state = self.state.lock();
        if from < state.start || from > state.end {
            return Err(ReadError::OutOfRange { start: state.start, end: state.end });
        }
        let limit = limit.min(state.end);
        let cached = state.tail.first_offset().is_some_and(|first| from >= first);
        if from >= limit || cached || from >= state.flushed_end {
            return Ok(ReadOutcome::Ready(state.read_tail(from, limit, max_bytes, at_least_one)));
        }
        let Some((segment, next)) = state.segment_at(from) else {
            if state.missing.is_empty() {
                // All that was flushed is a gap.
                return Ok(ReadOutcome::Ready(state.read_tail(from, limit, max_bytes, at_least_one)));
            }
            return Err(self.lost(from).into());
        };
        let next_cached =
            state.tail.starting_at(from).next().filter(|batch| {
                batch.base_offset < limit && (at_least_one || batch.bytes.len() <= max_bytes)
            });
        Ok(ReadOutcome::Disk(DiskRead {
            files: Arc::clone(&self.files),
            segment: Arc::clone(segment),
            next_segment: next.cloned(),
            next_cached: next_cached.map(|batch| (batch.bytes.clone(), batch.end_offset)),
            from,
            limit,
            flushed_end: state.flushed_end,
            max_bytes,
            at_least_one,
            index_interval: state.config.index_interval_bytes,
        }))
    }

    /// A reader has come to the segments and will soon want what is flushed next: the next flush leaves that in the page cache.
    pub fn expect_reads(&self) {
        self.state.lock().read_behind = true;
    }

    pub(crate) fn lost(&self, offset: Offset) -> LogError {
        LogError::Damaged { path: self.dir.to_path_buf(), position: 0, damage: Damage::Missing(offset) }
    }
}

impl State {
    fn read_tail(&self, from: Offset, limit: Offset, max_bytes: usize, at_least_one: bool) -> FetchedBytes {
        let mut fetched = FetchedBytes { end_offset: from, ..FetchedBytes::default() };
        if from >= limit {
            return fetched;
        }
        for batch in self.tail.starting_at(from).take_while(|batch| batch.base_offset < limit) {
            let first = at_least_one && fetched.slices.is_empty();
            if !first && fetched.bytes + batch.bytes.len() > max_bytes {
                break;
            }
            fetched.bytes += batch.bytes.len();
            fetched.end_offset = batch.end_offset;
            fetched.slices.push(batch.bytes.clone());
        }
        fetched
    }
}

impl DiskRead {
    /// Reads if the page cache holds all that is needed; `None` when the disk must be waited for. Never blocks.
    #[must_use]
    pub fn try_cached(&self) -> Option<Result<FetchedBytes, ReadError>> {
        self.segment.extent().facts?;
        match self.read(&self.segment, Access::Cached) {
            Ok(Some(fetched)) => Some(Ok(fetched)),
            Err(LogError::Moved { base }) if self.segment.successor().is_none() => {
                Some(Err(LogError::Moved { base }.into()))
            }
            // A segment that was replaced has a successor, which the blocking read finds. Damage may be that of an index, which the blocking read repairs.
            Ok(None) | Err(_) => None,
        }
    }

    /// Reads. Blocks: not for a runtime thread.
    ///
    /// # Errors
    /// [`ReadError::Log`] when the disk refuses or the segment is damaged, or was cut meanwhile.
    pub fn run(self) -> Result<FetchedBytes, ReadError> {
        for segment in std::iter::once(&self.segment).chain(&self.next_segment) {
            if let Some(fetched) = self.read_surely(segment)? {
                return Ok(fetched);
            }
        }
        Ok(match self.next_cached {
            Some((batch, end_offset)) => FetchedBytes { bytes: batch.len(), slices: vec![batch], end_offset },
            None => FetchedBytes { end_offset: self.from, ..FetchedBytes::default() },
        })
    }

    /// Reads from what has taken the segment's place, should compaction have replaced it.
    fn read_surely(&self, segment: &Arc<Segment>) -> Result<Option<FetchedBytes>, LogError> {
        let mut segment = Arc::clone(segment);
        loop {
            let outcome = self.read(&segment, Access::Blocking);
            match segment.successor() {
                Some(successor) if matches!(outcome, Err(LogError::Moved { .. })) => segment = successor,
                _ => return outcome,
            }
        }
    }

    /// `None` when the segment has no batch from the offset asked for on.
    fn read(&self, segment: &Segment, access: Access) -> Result<Option<FetchedBytes>, LogError> {
        let bytes = segment.extent().bytes;
        let located = match access {
            Access::Blocking => segment.locate_surely(&self.files, self.index_interval, self.from)?,
            Access::Cached => segment.locate(&self.files, access, self.from)?,
        };
        let Some(position) = located.filter(|position| *position < bytes) else { return Ok(None) };
        let log = segment.log_reader(&self.files, access)?;
        self.read_range(&log, position, bytes).map_err(|error| segment.moved_or(error, bytes))
    }

    /// Reads batches from `position`, where one begins, to at most `end`. `None` when the log was cut below it.
    fn read_range(
        &self,
        log: &Reader<'_>,
        position: u64,
        end: u64,
    ) -> Result<Option<FetchedBytes>, LogError> {
        let wanted = (end - position).min(self.max_bytes.max(HEADER_BYTES) as u64);
        let contents = log.read_up_to(wanted as usize, position)?;
        let first = BatchHeader::parse(&contents).map_err(|error| log.damaged(position, error))?;
        if first.last_offset() >= self.flushed_end {
            return Ok(None);
        }
        let too_large = first.total_bytes() > self.max_bytes;
        if first.base_offset >= self.limit || (too_large && !self.at_least_one) {
            return Ok(Some(FetchedBytes { end_offset: self.from, ..FetchedBytes::default() }));
        }
        let fetched = if too_large {
            read_one(log, &first, position, end)
        } else {
            self.whole_batches(log, contents, position)
        };
        fetched.map(Some)
    }

    /// Cuts what was read to the whole batches that were asked for.
    fn whole_batches(
        &self,
        log: &Reader<'_>,
        mut contents: Vec<u8>,
        position: u64,
    ) -> Result<FetchedBytes, LogError> {
        let mut bytes = 0;
        let mut end_offset = Offset(i64::MIN);
        while let Some(rest) = contents.get(bytes..).filter(|rest| rest.len() >= HEADER_BYTES) {
            let at = position + bytes as u64;
            let header = BatchHeader::parse(rest).map_err(|error| log.damaged(at, error))?;
            if header.total_bytes() > rest.len() || !self.wants(&header) {
                break;
            }
            end_offset = next_offset(&header, end_offset).map_err(|damage| log.damaged(at, damage))?;
            bytes += header.total_bytes();
        }
        contents.truncate(bytes);
        // What is given away is counted by its size: it must not keep much more alive.
        if contents.capacity() > bytes * 2 {
            contents.shrink_to_fit();
        }
        Ok(FetchedBytes { slices: vec![contents.into()], bytes, end_offset })
    }

    fn wants(&self, header: &BatchHeader) -> bool {
        header.base_offset < self.limit && header.last_offset() < self.flushed_end
    }
}

/// Reads a single batch that is larger than was asked for.
fn read_one(
    log: &Reader<'_>,
    header: &BatchHeader,
    position: u64,
    end: u64,
) -> Result<FetchedBytes, LogError> {
    let (needs, has) = (header.total_bytes(), (end - position) as usize);
    if needs > has {
        return Err(log.damaged(position, BatchError::Truncated { needs, has }));
    }
    let mut contents = vec![0; needs];
    log.read_exact(&mut contents, position)?;
    Ok(FetchedBytes { slices: vec![contents.into()], bytes: needs, end_offset: header.last_offset().next() })
}

impl std::fmt::Debug for DiskRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskRead")
            .field("segment", &self.segment.base)
            .field("from", &self.from)
            .field("limit", &self.limit)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}
