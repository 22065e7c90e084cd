//! Commits: takes what waits, writes it as a group, syncs, tells; one group at a time.

use std::sync::Arc;
use std::time::Instant;

use eddy_disk::{AlignedBuffer, Durable, write_past_cache};

use crate::admission::Amount;
use crate::ends::Ends;
use crate::files::{Files, Lack, WalFile};
use crate::group::{Builder, Place, count_that_fits};
use crate::queue::{Queued, Shared, Taken};
use crate::{Cause, Lsn, Sink, WalError};

/// From this many bytes on in its active file a log is in use, and is worth a next file.
const IN_USE_BYTES: u64 = 1 << 20;

/// Groups up to this size are one write that is durable when it returns, larger ones several writes and a sync.
pub(crate) const DIRECT_BYTES_MAX: usize = 1 << 20;

/// A list with room for more than this that is not used is given back: a burst must not cost memory for ever.
const IDLE_ENTRIES: usize = 4096;

/// What whoever commits owns.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Arc<Files>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) active: WalFile,
    /// Where the next group begins in the active file.
    pub(crate) position: u64,
    /// Number of the next group.
    pub(crate) sequence: u64,
    /// Size up to which a file may grow while no next one is ready.
    pub(crate) file_bytes: u64,
    pub(crate) builder: Builder,
    /// Where groups are put together for writes past the page cache.
    pub(crate) aligned: AlignedBuffer,
    pub(crate) ends: Ends,
    /// The entries of the last groups, kept for its memory.
    pub(crate) entries: Vec<Queued>,
    pub(crate) next_wanted: bool,
    /// Why nobody is let in: no file can be written to.
    pub(crate) held: Option<Cause>,
}

/// Why nothing more is written.
pub(crate) enum End {
    /// The log was closed while no file could be written to.
    GivenUp(Cause),
    Failed(WalError),
}

impl From<WalError> for End {
    fn from(error: WalError) -> End {
        End::Failed(error)
    }
}

impl Committer {
    /// Commits what waits, in as many groups as it takes; in place, which has `room` bytes of a file, nothing when it does not fit.
    pub(crate) fn commit_queued(&mut self, room: Option<u64>) -> Result<(), End> {
        let mut entries = std::mem::take(&mut self.entries);
        if let Some(taken) = self.shared.take(&mut entries, room) {
            self.commit_all(&entries, &taken)?;
            self.shared.landed(room.is_some());
        }
        if entries.capacity() > IDLE_ENTRIES && entries.len() < entries.capacity() / 4 {
            entries = Vec::new();
        }
        entries.clear();
        self.entries = entries;
        Ok(())
    }

    /// Bytes that can be written without making the active file larger.
    pub(crate) fn prepared_bytes(&self) -> u64 {
        self.active.bytes.saturating_sub(self.position)
    }

    fn commit_all(&mut self, entries: &[Queued], taken: &Taken) -> Result<(), End> {
        let mut rest = entries;
        let mut first_lsn = taken.first;
        while !rest.is_empty() {
            let count = self.make_room(rest, first_lsn)?;
            let (group, later) = rest.split_at(count);
            let waited = taken.oldest.map(|oldest| oldest.elapsed()).unwrap_or_default();
            self.builder.build(
                group,
                Place { generation: self.active.generation.0, sequence: self.sequence, first_lsn },
            );
            let mut begun = Instant::now();
            if !self.write_at_once(group)? {
                match self.write(group) {
                    Ok(()) => {}
                    Err(error) if error.is_no_space() => {
                        self.leave_full_disk(first_lsn)?;
                        continue;
                    }
                    Err(error) => return Err(End::Failed(error)),
                }
                begun = Instant::now();
                self.active.file.sync_data().map_err(WalError::io("sync", &self.active.path))?;
            }
            self.release_hold();
            self.shared.counters.group(count, self.builder.bytes_on_disk(), waited, begun.elapsed());
            first_lsn = Lsn(first_lsn.0 + count as u64);
            self.advance();
            self.publish(group, first_lsn);
            rest = later;
        }
        Ok(())
    }

    /// How many of `entries` the next group takes, after seeing to it that the active file has room for them.
    fn make_room(&mut self, entries: &[Queued], first_lsn: Lsn) -> Result<usize, End> {
        let bytes_max = self.shared.limits.group_bytes_max;
        loop {
            let count = count_that_fits(entries, bytes_max, self.prepared_bytes());
            if count > 0 {
                return Ok(count);
            }
            if self.position > 0 && self.switch(first_lsn) {
                continue;
            }
            // No other file is ready, as after the first start: this one grows. An entry larger than a file makes its own
            // file larger.
            let room =
                if self.position == 0 { u64::MAX } else { self.file_bytes.saturating_sub(self.position) };
            let count = count_that_fits(entries, bytes_max, room);
            if count > 0 {
                return Ok(count);
            }
            self.wait_for_file()?;
        }
    }

    /// Waits for the next file, or for a while.
    fn wait_for_file(&mut self) -> Result<(), End> {
        match self.files.wait_next(self.held) {
            Ok(()) | Err(Lack::Making) => Ok(()),
            Err(Lack::For(cause)) => self.hold(cause),
            Err(Lack::Broken(error)) => Err(End::Failed(error)),
        }
    }

    /// A write found the disk full. Nothing of it was synced, so that its place can be written again, there or, when the
    /// next file is ready, in that one.
    fn leave_full_disk(&mut self, first_lsn: Lsn) -> Result<(), End> {
        if self.position > 0 && self.switch(first_lsn) {
            return Ok(());
        }
        self.hold(Cause::DiskFull)?;
        self.files.pause();
        Ok(())
    }

    fn switch(&mut self, first_lsn: Lsn) -> bool {
        let switched = self.files.switch(&mut self.active, first_lsn);
        if switched {
            self.position = 0;
            self.next_wanted = false;
        }
        switched
    }

    /// Lets nobody in until a group is written again.
    fn hold(&mut self, cause: Cause) -> Result<(), End> {
        if self.shared.is_closing() {
            return Err(End::GivenUp(cause));
        }
        self.held = Some(cause);
        self.shared.hold(Some(cause));
        Ok(())
    }

    fn release_hold(&mut self) {
        if self.held.take().is_some() {
            self.shared.hold(None);
        }
    }

    /// Writes a small group and makes it durable in one go, where a file has been prepared for it and the disk offers that; tells
    /// whether it did.
    fn write_at_once(&mut self, group: &[Queued]) -> Result<bool, WalError> {
        // A write that makes the file longer is not durable without its size.
        if self.position + self.builder.bytes_on_disk() > self.active.bytes {
            return Ok(false);
        }
        let Some(bytes) = self.aligned.fill(&self.builder.parts(group)) else { return Ok(false) };
        match self.active.file.write_direct_at(bytes, self.position, Durable::AtOnce) {
            Some(Ok(())) => Ok(true),
            // A full disk is a matter of the usual way.
            Some(Err(error)) if error.kind() != std::io::ErrorKind::StorageFull => {
                Err(WalError::io("write", &self.active.path)(error))
            }
            _ => Ok(false),
        }
    }

    fn write(&mut self, group: &[Queued]) -> Result<(), WalError> {
        write_past_cache(
            self.active.file.as_ref(),
            &mut self.aligned,
            &self.builder.parts(group),
            self.position,
        )
        .map_err(WalError::io("write", &self.active.path))
    }

    /// The group at `position` is durable: the next one follows it.
    fn advance(&mut self) {
        self.position += self.builder.bytes_on_disk();
        self.sequence += 1;
        if self.position > self.active.bytes {
            self.active.bytes = self.position;
            self.files.active_grew(self.active.bytes);
        }
        let in_use = self.position >= IN_USE_BYTES.min(self.file_bytes / 4);
        if !self.next_wanted && in_use && self.active.bytes - self.position <= self.file_bytes / 2 {
            self.next_wanted = true;
            self.files.want_next();
        }
    }

    fn publish(&mut self, group: &[Queued], upto: Lsn) {
        let mut room = Amount::default();
        self.ends.clear();
        for queued in group {
            room.add(queued.room);
            self.ends.see(&queued.entry);
        }
        self.sink.durable(self.ends.as_slice(), upto);
        self.shared.set_durable(upto);
        self.shared.give_back(room);
    }
}
