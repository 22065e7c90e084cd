//! The state machine: committed entries become the next image.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use eddy_disk::Disk;
use eddy_metadata::{Image, Local, Record};
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageError, StorageIOError,
};
use tokio::sync::{oneshot, watch};

use crate::Applied;
use crate::error::{LoadError, QuorumError};
use crate::snapshot::{self, Meta, Stored};
use crate::types::{
    Entry, EntryId, MemberId, Membership, Outcome, Proposal, ProposalId, StorageResult, TypeConfig, Voter,
};

/// The state machine; clones share it.
#[derive(Clone)]
pub(crate) struct Machine {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    local: Arc<Local>,
    applied: Arc<dyn Applied>,
    /// What readers see: the image after the last batch.
    published: ArcSwap<Image>,
    state: Mutex<State>,
    /// Version of the published image, told after the proposals that led to it have had their outcomes.
    version: watch::Sender<u64>,
    /// Proposals of this member whose outcome somebody waits for.
    expected: Mutex<HashMap<ProposalId, oneshot::Sender<Outcome>>>,
    next_number: AtomicU64,
}

/// Waits for the outcome of a proposal as this member's own log tells it.
pub(crate) struct Expected {
    pub(crate) id: ProposalId,
    pub(crate) outcome: oneshot::Receiver<Outcome>,
    machine: Machine,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.machine.expected().remove(&self.id);
    }
}

struct State {
    image: Image,
    last_applied: Option<EntryId>,
    membership: Membership,
    /// Whether [`Applied`] has had the image as a whole and now follows it record by record.
    following: bool,
}

impl Machine {
    /// The state of the last snapshot, or the empty one. Proposals are numbered from `first_number`; it is random, so that
    /// none is taken for one that was under way when this member stopped the last time.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        local: Arc<Local>,
        applied: Arc<dyn Applied>,
        first_number: u64,
    ) -> Result<Machine, QuorumError> {
        let failed = |source: LoadError| QuorumError::Snapshot { path: path.clone(), source };
        let state = match snapshot::read(&*disk, &path).map_err(failed)? {
            Some(stored) => State::from_snapshot(&stored, &local).map_err(failed)?,
            None => State {
                image: Image::empty(local.clone()),
                last_applied: None,
                membership: Membership::default(),
                following: false,
            },
        };
        let published = ArcSwap::from_pointee(state.image.clone());
        let (version, _) = watch::channel(state.image.version());
        let state = Mutex::new(state);
        let (expected, next_number) = (Mutex::default(), AtomicU64::new(first_number));
        let shared = Shared { disk, path, local, applied, published, state, version, expected, next_number };
        Ok(Machine { shared: Arc::new(shared) })
    }

    /// A name for a proposal of `member`, whose outcome will be told when it is applied here. The sender is dropped without
    /// a word when a snapshot replaces what was there: it may have brought the proposal with it.
    pub(crate) fn expect(&self, member: MemberId) -> Expected {
        let number = self.shared.next_number.fetch_add(1, Ordering::Relaxed);
        let (tell, outcome) = oneshot::channel();
        let id = ProposalId { member, number };
        self.expected().insert(id, tell);
        Expected { id, outcome, machine: self.clone() }
    }

    /// Follows the version of the image. When it shows a version, every proposal up to it has had its outcome.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<ProposalId, oneshot::Sender<Outcome>>> {
        self.shared.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_outcomes(&self, outcomes: Vec<(ProposalId, Outcome)>) {
        if outcomes.is_empty() {
            return;
        }
        let mut expected = self.expected();
        for (id, outcome) in outcomes {
            if let Some(tell) = expected.remove(&id) {
                let _ = tell.send(outcome);
            }
        }
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.shared.published.load_full()
    }

    /// Hands over the image as a whole; from now on every record is told.
    pub(crate) fn follow(&self) {
        let mut state = self.state();
        state.following = true;
        self.shared.applied.applied(&[], &self.image());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_version(&self, state: &State) {
        let version = state.image.version();
        self.shared.version.send_if_modified(|told| std::mem::replace(told, version) != version);
    }

    fn publish(&self, state: &State, records: &[Record]) {
        let image = Arc::new(state.image.clone());
        self.shared.published.store(image.clone());
        if state.following {
            self.shared.applied.applied(records, &image);
        }
    }
}

impl State {
    fn from_snapshot(stored: &Stored, local: &Arc<Local>) -> Result<State, LoadError> {
        Ok(State {
            image: Image::from_snapshot(&stored.image, local.clone())?,
            last_applied: stored.meta.last_log_id,
            membership: stored.meta.last_membership.clone(),
            following: false,
        })
    }

    /// Applies a proposal whole or not at all; the records that were applied go to `done`.
    fn apply(&mut self, base: Option<u64>, records: Vec<Record>, done: &mut Vec<Record>) -> Outcome {
        let version = self.image.version();
        if base.is_some_and(|base| base != version) {
            return Outcome::Stale { version };
        }
        // A single record is applied whole or not at all by itself; more of them need a way back.
        let before = (records.len() > 1).then(|| self.image.clone());
        for record in &records {
            if let Err(error) = self.image.apply(record) {
                if let Some(before) = before {
                    self.image = before;
                }
                return Outcome::Rejected(error);
            }
        }
        done.extend(records);
        Outcome::Applied
    }
}

fn decode(id: EntryId, proposal: &Proposal) -> StorageResult<Vec<Record>> {
    // Going on without a record would make this broker's image another than the others': it stops instead.
    proposal.records().map_err(|error| StorageIOError::apply(id, AnyError::new(&error)).into())
}

fn snapshot_failed(
    meta: Option<&Meta>,
    error: &(impl std::error::Error + 'static),
) -> StorageError<MemberId> {
    StorageIOError::write_snapshot(meta.map(Meta::signature), AnyError::new(error)).into()
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> StorageResult<(Option<EntryId>, Membership)> {
        let state = self.state();
        Ok((state.last_applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> StorageResult<Vec<Outcome>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = self.state();
        let mut outcomes = Vec::new();
        let mut done = Vec::new();
        let mut named = Vec::new();
        for entry in entries {
            let outcome = match &entry.payload {
                EntryPayload::Blank => Outcome::Applied,
                EntryPayload::Normal(proposal) => {
                    let outcome = state.apply(proposal.base, decode(entry.log_id, proposal)?, &mut done);
                    named.extend(proposal.id.map(|id| (id, outcome.clone())));
                    outcome
                }
                EntryPayload::Membership(membership) => {
                    state.membership = Membership::new(Some(entry.log_id), membership.clone());
                    Outcome::Applied
                }
            };
            state.last_applied = Some(entry.log_id);
            outcomes.push(outcome);
        }
        if !done.is_empty() {
            self.publish(&state, &done);
        }
        // Whoever sees the version of the image must find the outcome of each proposal that led to it.
        self.tell_outcomes(named);
        self.tell_version(&state);
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> StorageResult<Box<Arc<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &openraft::SnapshotMeta<MemberId, Voter>,
        snapshot: Box<Arc<Vec<u8>>>,
    ) -> StorageResult<()> {
        let stored = Stored { meta: meta.clone(), image: *snapshot };
        let shared = self.shared.clone();
        let meta = meta.clone();
        // Reading and writing a large image take many heartbeats: not on the thread that answers them.
        let work = move || -> StorageResult<State> {
            let next = State::from_snapshot(&stored, &shared.local)
                .map_err(|error| snapshot_failed(Some(&meta), &error))?;
            snapshot::write(&*shared.disk, &shared.path, &meta, &stored.image)
                .map_err(|error| snapshot_failed(Some(&meta), &error))?;
            Ok(next)
        };
        let next =
            tokio::task::spawn_blocking(work).await.map_err(|error| snapshot_failed(None, &error))??;
        let mut state = self.state();
        let following = state.following;
        *state = State { following, ..next };
        self.publish(&state, &[]);
        self.expected().clear();
        self.tell_version(&state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> StorageResult<Option<Snapshot<TypeConfig>>> {
        let shared = self.shared.clone();
        let read = move || snapshot::read(&*shared.disk, &shared.path);
        let stored = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?
            .map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?;
        Ok(stored.map(|stored| Snapshot { meta: stored.meta, snapshot: Box::new(stored.image) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    async fn build_snapshot(&mut self) -> StorageResult<Snapshot<TypeConfig>> {
        let (image, meta) = {
            let state = self.state();
            let last_log_id = state.last_applied;
            let snapshot_id = last_log_id.map_or("empty".to_owned(), |id| id.to_string());
            let meta = Meta { last_log_id, last_membership: state.membership.clone(), snapshot_id };
            (state.image.clone(), meta)
        };
        let shared = self.shared.clone();
        // Writing a large image takes many heartbeats: not on the thread that sends them.
        let work = move || {
            let bytes = Arc::new(image.to_snapshot());
            snapshot::write(&*shared.disk, &shared.path, &meta, &bytes)
                .map_err(|error| snapshot_failed(Some(&meta), &error))?;
            Ok(Snapshot { meta, snapshot: Box::new(bytes) })
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| snapshot_failed(None, &error))?
    }
}
