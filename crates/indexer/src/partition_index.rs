//! The index of one partition: its manifest and its splits.
//!
//! Everything that changes it is a *commit*: one at a time, first the manifest on disk, then the one in memory, then the files
//! that no manifest names any more are removed. Whoever searches works on the splits of one manifest; a split that is removed
//! meanwhile stays readable for whoever has it open.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use eddy_engine::Partition;
use eddy_types::{Millis, Offset};
use parking_lot::Mutex;
use tantivy::schema::Schema;
use tokio::sync::watch;

use crate::counters::Counters;
use crate::fields::Fields;
use crate::manifest::{Manifest, ManifestError};
use crate::mapping::{Mapping, Paths};
use crate::open_splits::OpenSplits;
use crate::split::{self, EXTENSION, SplitError, SplitMeta};
use crate::view::{IndexState, IndexStatus, NotIndexed, SearchableSplit, View};

/// How often a view is tried again whose splits were merged away under it.
const VIEW_TRIES: usize = 5;

/// What all indexes share.
pub(crate) struct Common {
    pub(crate) open: OpenSplits,
    pub(crate) counters: Counters,
}

/// The index of one partition.
pub(crate) struct PartitionIndex {
    pub(crate) partition: Arc<Partition>,
    pub(crate) mapping: Mapping,
    pub(crate) schema: Schema,
    pub(crate) fields: Fields,
    dir: PathBuf,
    common: Arc<Common>,
    state: Mutex<State>,
    /// Held through a commit.
    committing: Mutex<()>,
    next_id: AtomicU64,
    /// Paths as the newest records have them.
    pub(crate) paths: Mutex<Paths>,
    /// When all of the log was indexed last, by the wall clock.
    caught_up_at: AtomicI64,
    /// Somebody waits for it: it need not wait for its turn.
    urgent: AtomicBool,
    /// It is to be removed, or is indexed elsewhere: nothing is written any more.
    closed: AtomicBool,
    progress: watch::Sender<Offset>,
}

struct State {
    manifest: Arc<Manifest>,
    /// Splits that were read as a whole since the start, or written.
    verified: HashSet<u64>,
    origin: Origin,
}

/// Where an index that has not caught up yet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It has caught up, or was begun here before.
    Followed,
    New,
    Damaged,
}

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// The index was closed.
    #[error("the index was closed")]
    Closed,
    /// It has changed in a way that leaves no place for this.
    #[error("the index has changed meanwhile")]
    Changed,
    /// The manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl PartitionIndex {
    /// Opens the index in `dir`, or begins one. One that cannot be used is removed and made anew from the log, which is logged.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn open(
        dir: PathBuf,
        partition: Arc<Partition>,
        mapping: Mapping,
        common: Arc<Common>,
    ) -> Result<PartitionIndex, ManifestError> {
        let (schema, fields) = Fields::schema_of(mapping.words);
        let log_start = partition.offsets().log_start;
        let fingerprint = mapping.fingerprint();
        let existed = dir.exists();
        let (manifest, origin) = match Manifest::load(&dir, &fingerprint) {
            Ok(manifest) => (manifest, Origin::Followed),
            Err(error @ ManifestError::Io { .. }) => return Err(error),
            Err(error) => {
                let origin = if existed { Origin::Damaged } else { Origin::New };
                if existed {
                    common.counters.rebuilt();
                    tracing::warn!(topic = %partition.topic(), partition = partition.key().index, reason = %error,
                        "the search index cannot be used and is made anew from the log");
                }
                (start_anew(&dir, &fingerprint, log_start)?, origin)
            }
        };
        remove_unnamed(&dir, &manifest);
        let next = Offset(manifest.next);
        Ok(PartitionIndex {
            partition,
            mapping,
            schema,
            fields,
            dir,
            common,
            next_id: AtomicU64::new(manifest.next_id),
            paths: Mutex::new(Paths::new(&manifest.paths)),
            state: Mutex::new(State { manifest: Arc::new(manifest), verified: HashSet::new(), origin }),
            committing: Mutex::new(()),
            caught_up_at: AtomicI64::new(i64::MIN),
            urgent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            progress: watch::Sender::new(next),
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.state.lock().manifest)
    }

    /// Whether some split lies below the log's start as a whole.
    pub(crate) fn is_below(&self, log_start: Offset) -> bool {
        self.state.lock().manifest.splits.first().is_some_and(|split| split.end <= log_start.0)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.common.counters
    }

    /// A number for a new split.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Offset> {
        self.progress.subscribe()
    }

    pub(crate) fn hurry(&self) {
        self.urgent.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    pub(crate) fn note_turn(&self) {
        self.urgent.store(false, Ordering::Relaxed);
    }

    /// Everything up to the high watermark is indexed at this moment.
    pub(crate) fn note_caught_up(&self, now: Millis) {
        self.caught_up_at.store(now.0, Ordering::Relaxed);
        self.state.lock().origin = Origin::Followed;
    }

    /// Nothing is written from now on; a commit under way ends first.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _committing = self.committing.lock();
        let manifest = self.manifest();
        self.common.open.remove(self.partition.key(), manifest.splits.iter().map(|split| split.id));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.partition.is_gone()
    }

    /// Changes the manifest, on disk and then in memory. `written` are new splits that `change` adds; their files are removed
    /// if that fails. `sync` waits for the disk.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) fn commit(
        &self,
        written: &[u64],
        sync: bool,
        change: impl FnOnce(&mut Manifest) -> Result<(), CommitError>,
    ) -> Result<(), CommitError> {
        let committed = self.try_commit(sync, change);
        match &committed {
            Ok(()) => self.state.lock().verified.extend(written),
            Err(_) => {
                for id in written {
                    let _ = fs::remove_file(split::path(&self.dir, *id));
                }
            }
        }
        committed
    }

    fn try_commit(
        &self,
        sync: bool,
        change: impl FnOnce(&mut Manifest) -> Result<(), CommitError>,
    ) -> Result<(), CommitError> {
        let _committing = self.committing.lock();
        if self.is_closed() {
            return Err(CommitError::Closed);
        }
        let old = self.manifest();
        let mut new = Manifest::clone(&old);
        change(&mut new)?;
        new.next_id = self.next_id.load(Ordering::Relaxed);
        if new == *old {
            return Ok(());
        }
        new.store(&self.dir, sync)?;
        let kept: HashSet<u64> = new.splits.iter().map(|split| split.id).collect();
        let next = Offset(new.next);
        let gone: Vec<u64> =
            old.splits.iter().map(|split| split.id).filter(|id| !kept.contains(id)).collect();
        {
            let mut state = self.state.lock();
            state.manifest = Arc::new(new);
            state.verified.retain(|id| kept.contains(id));
        }
        self.common.open.remove(self.partition.key(), gone.iter().copied());
        for id in gone {
            // One that stays is removed when the index is opened next.
            let _ = fs::remove_file(split::path(&self.dir, id));
        }
        self.progress.send_replace(next);
        Ok(())
    }

    /// A split cannot be used: it and those after it are forgotten, and the log is indexed again from its start. False if that could
    /// not be written down: nothing has changed then.
    pub(crate) fn give_up(&self, from: i64, reason: &dyn std::fmt::Display) -> bool {
        if self.is_closed() {
            return false;
        }
        let committed = if self.dir.exists() {
            self.commit(&[], false, |manifest| {
                manifest.truncate(from);
                Ok(())
            })
        } else {
            self.start_over()
        };
        self.state.lock().origin = Origin::Damaged;
        let (topic, partition) = (self.partition.topic(), self.partition.key().index);
        match &committed {
            Ok(()) => {
                self.common.counters.rebuilt();
                tracing::warn!(%topic, partition, from, %reason,
                    "the search index cannot be used from here on and is made anew from the log");
            }
            Err(error) => tracing::warn!(%topic, partition, from, %reason, %error,
                "the search index cannot be used from here on, and cannot be begun anew; tried again later"),
        }
        committed.is_ok()
    }

    /// Begins anew with nothing, at the log's start.
    pub(crate) fn start_over(&self) -> Result<(), CommitError> {
        fs::create_dir_all(&self.dir)
            .map_err(|source| ManifestError::Io { path: self.dir.clone(), source })?;
        let at = self.partition.offsets().log_start;
        self.commit(&[], false, |manifest| {
            *manifest = Manifest::empty(self.mapping.fingerprint(), at);
            *self.paths.lock() = Paths::default();
            Ok(())
        })
    }

    /// What can be searched now. Opens splits that are not open; may block.
    pub(crate) fn view(&self, now: Millis) -> Result<View, NotIndexed> {
        let key = self.partition.key();
        let mut tries = 0;
        let (manifest, splits) = loop {
            let manifest = self.manifest();
            match manifest.splits.iter().map(|split| self.split(split)).collect::<Result<Vec<_>, _>>() {
                Ok(splits) => break (manifest, splits),
                Err((split, error)) => {
                    tries += 1;
                    let is_current = self.manifest().splits.iter().any(|known| known.id == split.id);
                    let is_mended = !is_current || (error.is_damage() && self.give_up(split.start, &error));
                    if !self.is_closed() && (!is_mended || tries > VIEW_TRIES) {
                        return Err(NotIndexed::Unreadable(error.to_string()));
                    }
                }
            }
            if self.is_closed() {
                return Err(NotIndexed::NotHere);
            }
        };
        let offsets = self.partition.offsets();
        Ok(View {
            topic: Arc::clone(self.partition.topic()),
            topic_id: key.topic,
            partition: key.index,
            paths: Arc::clone(&manifest.paths.all),
            splits,
            log_start: offsets.log_start,
            searched_through: Offset(manifest.next),
            high_watermark: offsets.high_watermark,
            lag: self.lag(now, &manifest, offsets.high_watermark),
        })
    }

    fn split<'a>(&self, meta: &'a SplitMeta) -> Result<Arc<SearchableSplit>, (&'a SplitMeta, SplitError)> {
        let key = self.partition.key();
        if let Some(open) = self.common.open.get(key, meta.id) {
            return Ok(open);
        }
        let verify = !self.state.lock().verified.contains(&meta.id);
        let opened = split::open_shared(&self.dir, meta, verify).map_err(|error| (meta, error))?;
        let mut state = self.state.lock();
        state.verified.insert(meta.id);
        // One that a commit removes from now on, it closes too.
        if state.manifest.splits.iter().any(|known| known.id == meta.id) {
            self.common.open.insert(key, meta.id, &opened);
        }
        Ok(opened)
    }

    /// How it stands.
    pub(crate) fn status(&self, now: Millis, is_pressed: bool) -> IndexStatus {
        let manifest = self.manifest();
        let high_watermark = self.partition.offsets().high_watermark;
        let lag_records = u64::try_from(high_watermark.0 - manifest.next).unwrap_or(0);
        let origin = self.state.lock().origin;
        IndexStatus {
            searched_through: Offset(manifest.next),
            high_watermark,
            lag_records,
            lag: self.lag(now, &manifest, high_watermark),
            bytes: manifest.bytes(),
            records: manifest.records(),
            splits: manifest.splits.len(),
            state: match origin {
                _ if is_pressed && lag_records > 0 => IndexState::Paused,
                Origin::Damaged => IndexState::Rebuilding,
                Origin::New => IndexState::BackFilling,
                Origin::Followed => IndexState::Following,
            },
        }
    }

    /// Age of the oldest record that is not indexed: it came after the last one that is, and after all were.
    fn lag(&self, now: Millis, manifest: &Manifest, high_watermark: Offset) -> Millis {
        if manifest.next >= high_watermark.0 {
            return Millis(0);
        }
        let since = self.caught_up_at.load(Ordering::Relaxed).max(manifest.last_time);
        if since < 0 { Millis(0) } else { Millis((now.0 - since).max(0)) }
    }
}

fn start_anew(dir: &Path, mapping: &str, at: Offset) -> Result<Manifest, ManifestError> {
    let io = |source| ManifestError::Io { path: dir.to_owned(), source };
    remove_dir(dir).map_err(io)?;
    fs::create_dir_all(dir).map_err(io)?;
    let manifest = Manifest::empty(mapping.to_owned(), at);
    manifest.store(dir, false)?;
    Ok(manifest)
}

/// Removes a directory, if it is there.
pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes splits that no manifest names, and what merges left.
fn remove_unnamed(dir: &Path, manifest: &Manifest) {
    let named: HashSet<PathBuf> = manifest.splits.iter().map(|split| split.path(dir)).collect();
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some(EXTENSION) if !named.contains(&path) => {
                let _ = fs::remove_file(&path);
            }
            Some("merge") => {
                let _ = remove_dir(&path);
            }
            _ => {}
        }
    }
}
