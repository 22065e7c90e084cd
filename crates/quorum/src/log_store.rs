//! The group's log, vote and marks in one redb file, written by one thread.
//!
//! Every write goes through a queue to the thread `eddy-quorum-log`, which takes what has gathered, writes it in one
//! transaction with one fsync, and reports in order. Reads go to the file directly, and to the entries that are still on
//! their way to it. After a failed write nothing more is written: the kernel may have dropped what it could not sync.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use eddy_disk::{Disk, Open};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::error::QuorumError;
use crate::types::{Entry, EntryId, MemberId, StorageResult, TypeConfig};

/// Entries by index, as JSON.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Marks by name, as JSON.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const IDENTITY: &str = "identity";

/// Writes that may wait for the thread; more than the group ever has under way.
const QUEUE_MAX: usize = 1024;
/// Writes that share a transaction.
const BATCH_MAX: usize = 256;
/// Entries that one message to another member carries, in bytes of their stored form; a larger entry goes alone.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Pages redb keeps in memory, in bytes. The log is read rarely and in order.
const CACHE_BYTES: usize = 4 << 20;

/// Who the directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) member: MemberId,
    pub(crate) broker: i32,
}

/// A handle on the log; the thread ends when the last one is dropped.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
    writes: SyncSender<Write>,
}

struct Shared {
    database: Database,
    /// Entries that are not yet in the file.
    pending: Mutex<BTreeMap<u64, Arc<[u8]>>>,
}

struct Write {
    change: Change,
    done: Done,
}

enum Change {
    Append(Vec<(u64, Arc<[u8]>)>),
    /// Removes the entries from an index on.
    Truncate(u64),
    /// Removes the entries up to an index and notes the id of the last one.
    Purge(u64, Vec<u8>),
    Mark(&'static str, Vec<u8>),
    /// A mark that need not be durable before the next write that must.
    LazyMark(&'static str, Vec<u8>),
}

enum Done {
    Flushed(LogFlushed<TypeConfig>),
    Answer(oneshot::Sender<Result<(), String>>),
    Nobody,
}

impl LogStore {
    /// Opens the log and starts its thread. Without a log it makes an empty one for `founder`, if there is one. The caller
    /// joins the thread after it has dropped the last handle, and then knows that the file is closed.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        founder: Option<Identity>,
    ) -> Result<(LogStore, JoinHandle<()>), QuorumError> {
        let database = open_database(disk, path, founder)
            .map_err(|error| QuorumError::Log { path: path.to_owned(), reason: error.to_string() })?;
        let shared = Arc::new(Shared { database, pending: Mutex::default() });
        let (writes, queue) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("eddy-quorum-log".to_owned())
            .spawn({
                let shared = shared.clone();
                move || run(&shared, &queue)
            })
            .map_err(QuorumError::Thread)?;
        Ok((LogStore { shared, writes }, thread))
    }

    /// Who the directory belongs to.
    pub(crate) fn identity(&self) -> Result<Identity, String> {
        let identity: Option<Identity> = self.shared.mark(IDENTITY).map_err(|error| error.to_string())?;
        identity.ok_or_else(|| "it does not say whose it is".to_owned())
    }

    /// Hands a change to the thread and waits until it is durable.
    async fn write(&self, change: Change) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.send(Write { change, done: Done::Answer(answer) })?;
        answered.await.map_err(|_| GONE.to_owned())?
    }

    fn send(&self, write: Write) -> Result<(), String> {
        self.writes.send(write).map_err(|_| GONE.to_owned())
    }
}

const GONE: &str = "the thread of the metadata log has ended";

fn open_database(disk: &dyn Disk, path: &Path, founder: Option<Identity>) -> Result<Database, redb::Error> {
    match (Backend::open(disk, path, Open::Existing), founder) {
        (Err(error), Some(founder)) if error.kind() == io::ErrorKind::NotFound => {
            make_database(disk, path, founder)
        }
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), "it is missing, and the snapshot beside it does not replace it")
                .into())
        }
        (backend, _) => Ok(builder().create_with_backend(backend?)?),
    }
}

/// Makes an empty log under another name and renames it when it is whole: a power cut never leaves half a log.
fn make_database(disk: &dyn Disk, path: &Path, founder: Identity) -> Result<Database, redb::Error> {
    let unfinished = path.with_extension("new");
    match disk.remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let database = builder().create_with_backend(Backend::open(disk, &unfinished, Open::Create)?)?;
    let transaction = database.begin_write()?;
    let identity = serde_json::to_vec(&founder).map_err(io::Error::other)?;
    transaction.open_table(LOG)?;
    transaction.open_table(META)?.insert(IDENTITY, identity.as_slice())?;
    transaction.commit()?;
    disk.rename(&unfinished, path)?;
    if let Some(dir) = path.parent() {
        disk.sync_dir(dir)?;
    }
    Ok(database)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The thread: ends when all handles are gone, with everything durable.
fn run(shared: &Shared, queue: &Receiver<Write>) {
    let mut failure: Option<String> = None;
    let mut lazy = false;
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        if failure.is_none() {
            match shared.commit(&batch) {
                Ok(durable) => lazy = !durable,
                Err(error) => failure = Some(error.to_string()),
            }
        }
        for write in batch {
            shared.landed(&write.change);
            write.done.complete(failure.as_deref());
        }
    }
    if lazy
        && failure.is_none()
        && let Err(error) =
            shared.database.begin_write().map_err(redb::Error::from).and_then(|t| Ok(t.commit()?))
    {
        tracing::warn!(%error, "metadata log was closed without its last mark");
    }
}

impl Done {
    fn complete(self, failure: Option<&str>) {
        let result = || failure.map_or(Ok(()), |reason| Err(reason.to_owned()));
        match self {
            Done::Flushed(callback) => callback.log_io_completed(result().map_err(io::Error::other)),
            Done::Answer(answer) => drop(answer.send(result())),
            Done::Nobody => {}
        }
    }
}

impl Shared {
    /// Writes changes in one transaction; returns whether they are durable, or only as good as lazy marks need to be.
    fn commit(&self, batch: &[Write]) -> Result<bool, redb::Error> {
        let durable = batch.iter().any(|write| !matches!(write.change, Change::LazyMark(..)));
        let mut transaction = self.database.begin_write()?;
        if !durable {
            transaction.set_durability(Durability::None)?;
        }
        {
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            for write in batch {
                match &write.change {
                    Change::Append(entries) => {
                        for (index, entry) in entries {
                            log.insert(index, &**entry)?;
                        }
                    }
                    Change::Truncate(from) => log.retain_in(*from.., |_, _| false)?,
                    Change::Purge(upto, id) => {
                        log.retain_in(..=*upto, |_, _| false)?;
                        meta.insert(PURGED, id.as_slice())?;
                    }
                    Change::Mark(name, value) | Change::LazyMark(name, value) => {
                        meta.insert(*name, value.as_slice())?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(durable)
    }

    /// Forgets pending entries that are in the file now.
    fn landed(&self, change: &Change) {
        let Change::Append(entries) = change else { return };
        let mut pending = self.pending();
        for (index, entry) in entries {
            // A truncation may have let another entry take the index meanwhile.
            if pending.get(index).is_some_and(|waiting| Arc::ptr_eq(waiting, entry)) {
                pending.remove(index);
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<[u8]>>> {
        // The map is never left half changed, so a panic elsewhere does not spoil it.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ReadError> {
        let meta = self.database.begin_read().map_err(redb::Error::from)?;
        let meta = meta.open_table(META).map_err(redb::Error::from)?;
        let value = meta.get(name).map_err(redb::Error::from)?;
        value.map(|value| serde_json::from_slice(value.value()).map_err(ReadError::from)).transpose()
    }

    fn entries(&self, range: (Bound<u64>, Bound<u64>)) -> Result<Vec<Entry>, ReadError> {
        // Pending entries first: one that lands in between is then read twice, never missed.
        let pending: BTreeMap<u64, Arc<[u8]>> =
            self.pending().range(range).map(|(index, entry)| (*index, entry.clone())).collect();
        let log = self.database.begin_read().map_err(redb::Error::from)?;
        let log = log.open_table(LOG).map_err(redb::Error::from)?;
        let mut entries = BTreeMap::new();
        for stored in log.range(range).map_err(redb::Error::from)? {
            let (index, entry) = stored.map_err(redb::Error::from)?;
            if !pending.contains_key(&index.value()) {
                entries.insert(index.value(), serde_json::from_slice(entry.value())?);
            }
        }
        for (index, entry) in pending {
            entries.insert(index, serde_json::from_slice(&entry)?);
        }
        Ok(entries.into_values().collect())
    }

    /// Entries of a range up to [`MESSAGE_BYTES_MAX`], at least one if there is one.
    fn some_entries(&self, range: std::ops::Range<u64>) -> Result<Vec<Entry>, ReadError> {
        let mut left = MESSAGE_BYTES_MAX;
        let mut end = range.start;
        {
            let log = self.database.begin_read().map_err(redb::Error::from)?;
            let log = log.open_table(LOG).map_err(redb::Error::from)?;
            for stored in log.range(range.clone()).map_err(redb::Error::from)? {
                let (index, entry) = stored.map_err(redb::Error::from)?;
                let bytes = entry.value().len();
                if bytes > left && index.value() > range.start {
                    return self.entries((Bound::Included(range.start), Bound::Excluded(end)));
                }
                left = left.saturating_sub(bytes);
                end = index.value() + 1;
            }
        }
        // What is still on its way to the file is what was written a moment ago: never much.
        self.entries((Bound::Included(range.start), Bound::Excluded(range.end)))
    }

    fn last_entry(&self) -> Result<Option<Entry>, ReadError> {
        if let Some((_, entry)) = self.pending().last_key_value() {
            return Ok(Some(serde_json::from_slice(entry)?));
        }
        let log = self.database.begin_read().map_err(redb::Error::from)?;
        let log = log.open_table(LOG).map_err(redb::Error::from)?;
        let last = log.last().map_err(redb::Error::from)?;
        Ok(last.map(|(_, entry)| serde_json::from_slice(entry.value())).transpose()?)
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Database(#[from] redb::Error),
    #[error("stored metadata log entry is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

fn read_failed(error: &ReadError) -> StorageError<MemberId> {
    StorageIOError::read_logs(AnyError::error(error)).into()
}

fn write_failed(reason: impl ToString) -> StorageError<MemberId> {
    StorageIOError::write_logs(AnyError::error(reason)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> StorageResult<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.shared.entries(range).map_err(|error| read_failed(&error))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> StorageResult<Vec<Entry>> {
        self.shared.some_entries(start..end).map_err(|error| read_failed(&error))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> StorageResult<LogState<TypeConfig>> {
        let purged: Option<EntryId> = self.shared.mark(PURGED).map_err(|error| read_failed(&error))?;
        let last = self.shared.last_entry().map_err(|error| read_failed(&error))?;
        let last_log_id = last.map(|entry| entry.log_id).or(purged);
        Ok(LogState { last_purged_log_id: purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<MemberId>) -> StorageResult<()> {
        let vote = serde_json::to_vec(vote).map_err(write_failed)?;
        self.write(Change::Mark(VOTE, vote)).await.map_err(write_failed)
    }

    async fn read_vote(&mut self) -> StorageResult<Option<Vote<MemberId>>> {
        self.shared.mark(VOTE).map_err(|error| read_failed(&error))
    }

    async fn save_committed(&mut self, committed: Option<EntryId>) -> StorageResult<()> {
        let committed = serde_json::to_vec(&committed).map_err(write_failed)?;
        let change = Change::LazyMark(COMMITTED, committed);
        self.send(Write { change, done: Done::Nobody }).map_err(write_failed)
    }

    async fn read_committed(&mut self) -> StorageResult<Option<EntryId>> {
        let committed: Option<Option<EntryId>> =
            self.shared.mark(COMMITTED).map_err(|error| read_failed(&error))?;
        Ok(committed.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> StorageResult<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded: Vec<(u64, Arc<[u8]>)> = Vec::new();
        for entry in entries {
            encoded.push((entry.log_id.index, serde_json::to_vec(&entry).map_err(write_failed)?.into()));
        }
        self.shared.pending().extend(encoded.iter().cloned());
        let write = Write { change: Change::Append(encoded), done: Done::Flushed(callback) };
        self.send(write).map_err(write_failed)
    }

    async fn truncate(&mut self, from: EntryId) -> StorageResult<()> {
        drop(self.shared.pending().split_off(&from.index));
        self.write(Change::Truncate(from.index)).await.map_err(write_failed)
    }

    async fn purge(&mut self, upto: EntryId) -> StorageResult<()> {
        let id = serde_json::to_vec(&upto).map_err(write_failed)?;
        self.write(Change::Purge(upto.index, id)).await.map_err(write_failed)
    }
}
