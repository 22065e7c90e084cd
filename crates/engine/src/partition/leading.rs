//! The way out on the leader: what followers get, and what they say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_core::{
    Diverging, EpochError, EpochMatch, FetchError, FetchGrant, FollowerFetch, IsrDecision, Leader, divergence,
};
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch};
use parking_lot::Mutex;

use super::role::Replica;
use super::{Partition, PartitionKey, State};
use crate::error::ReplicaRefused;

/// What a follower that introduces itself is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowAnswer {
    /// Its log is a prefix of ours: this it may have.
    Granted(FetchGrant),
    /// Its log leaves ours: it truncates to there and asks again.
    Diverging(Diverging),
    /// Its log ends outside ours. Below our start it begins anew there; above our end something is wrong with it.
    OutOfRange {
        /// First offset of our log.
        log_start: Offset,
        /// End of our log.
        log_end: Offset,
    },
}

impl Partition {
    /// A follower begins to copy, or tells anew where it is after a truncation. `last_epoch` is the epoch of its last
    /// batch; `fetch` also counts as progress when its log is a prefix of ours.
    ///
    /// # Errors
    /// Not led here in that epoch, or not a follower: nothing has changed.
    pub fn follow(
        &self,
        from: BrokerId,
        leader_epoch: LeaderEpoch,
        last_epoch: LeaderEpoch,
        fetch: FollowerFetch,
    ) -> Result<FollowAnswer, ReplicaRefused> {
        let mut state = self.state.lock();
        state.leader_in(leader_epoch)?.check_follower(from, fetch.broker_epoch).map_err(refused)?;
        // Before anything it says of its ends counts: they may be ends of another history.
        match divergence(last_epoch, fetch.offset, self.log.epoch_end(last_epoch)) {
            EpochMatch::Agrees => {}
            EpochMatch::Diverges(diverging) => return Ok(FollowAnswer::Diverging(diverging)),
            EpochMatch::OutOfRange => {
                let offsets = state.replica.offsets();
                return Ok(FollowAnswer::OutOfRange {
                    log_start: offsets.log_start,
                    log_end: offsets.log_end,
                });
            }
        }
        let told = state.follower_fetched(self.shared.clock.steady(), from, fetch);
        self.settle(state);
        match told {
            Ok(grant) => Ok(FollowAnswer::Granted(grant)),
            Err(FetchError::OutOfRange { log_start, log_end, .. }) => {
                Ok(FollowAnswer::OutOfRange { log_start, log_end })
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// A follower that was granted the log says how far it is.
    ///
    /// # Errors
    /// Not led here in that epoch, or not a follower: nothing has changed. An end outside the log is passed over.
    pub fn follower_progress(
        &self,
        from: BrokerId,
        leader_epoch: LeaderEpoch,
        fetch: FollowerFetch,
    ) -> Result<(), ReplicaRefused> {
        let mut state = self.state.lock();
        let before = state.leader_in(leader_epoch)?.low_watermark();
        let told = state.follower_fetched(self.shared.clock.steady(), from, fetch);
        let moved = state.leader_in(leader_epoch).is_ok_and(|leader| leader.low_watermark() > before);
        // Whoever waits for DeleteRecords waits among the fetches.
        let woken = if moved { state.watchers.take() } else { crate::watch::Woken::none() };
        self.settle(state);
        woken.wake();
        match told {
            Ok(_) | Err(FetchError::OutOfRange { .. }) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// The controller has answered a proposal that was based on `based_on`. Of no effect when this broker does not lead any
    /// more.
    pub fn isr_decided(&self, based_on: PartitionEpoch, decision: IsrDecision) {
        let mut state = self.state.lock();
        let State { replica: Replica::Leader(leader), effects, .. } = &mut *state else { return };
        let (before, _) = leader.in_sync();
        leader.isr_decided(self.shared.clock.steady(), based_on, decision, effects);
        self.shared.isr.count_change(before, leader.in_sync().0);
        self.settle(state);
    }

    /// The least log start over the ISR: how far DeleteRecords has come everywhere. `None` when not led here.
    pub fn low_watermark(&self) -> Option<Offset> {
        match &self.state.lock().replica {
            Replica::Leader(leader) => Some(leader.low_watermark()),
            Replica::Follower(_) => None,
        }
    }

    /// How many replicas are in sync, and how many must be for acks=all. `None` when not led here.
    pub fn in_sync(&self) -> Option<(usize, usize)> {
        match &self.state.lock().replica {
            Replica::Leader(leader) => Some(leader.in_sync()),
            Replica::Follower(_) => None,
        }
    }

    /// The followers in the ISR that a reader at `offset` may be sent to, with the end of what is on their disks. Nobody
    /// when not led here.
    pub fn followers_with(&self, offset: Offset) -> Vec<(BrokerId, Offset)> {
        match &self.state.lock().replica {
            Replica::Leader(leader) => leader.followers_with(offset).collect(),
            Replica::Follower(_) => Vec::new(),
        }
    }

    /// How many offsets each follower lacks on its disk, as far as this leader has heard. Nobody when not led here.
    fn lags(&self) -> Vec<(BrokerId, u64)> {
        match &self.state.lock().replica {
            Replica::Leader(leader) => leader.lags().collect(),
            Replica::Follower(_) => Vec::new(),
        }
    }

    /// End of the log when this broker's leadership began: before the high watermark has reached it, offsets by time cannot be
    /// answered. `None` when not led here.
    pub fn epoch_start(&self) -> Option<Offset> {
        match &self.state.lock().replica {
            Replica::Leader(leader) => Some(leader.epoch_start()),
            Replica::Follower(_) => None,
        }
    }

    /// Notes whether this broker leads and others follow.
    pub(super) fn note_followers(self: &Arc<Self>, state: &State) {
        let followed = matches!(&state.replica, Replica::Leader(leader) if leader.has_followers());
        self.shared.followed.note(self, followed);
    }
}

/// What one follower lacks of the partitions that this broker leads and that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerLag {
    /// Offsets in all.
    pub records: u64,
    /// Offsets of the partition where it is most.
    pub records_max: u64,
}

/// The partitions that this broker leads and others follow: these want to be told the time.
#[derive(Default)]
pub(crate) struct Followed(Mutex<BTreeMap<PartitionKey, Arc<Partition>>>);

impl Followed {
    pub(super) fn note(&self, partition: &Arc<Partition>, followed: bool) {
        let mut all = self.0.lock();
        if followed {
            all.insert(partition.key, Arc::clone(partition));
        } else if all.get(&partition.key).is_some_and(|known| Arc::ptr_eq(known, partition)) {
            all.remove(&partition.key);
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.0.lock().values().cloned().collect()
    }

    /// By follower.
    pub(crate) fn lags(&self) -> BTreeMap<BrokerId, FollowerLag> {
        let mut lags: BTreeMap<BrokerId, FollowerLag> = BTreeMap::new();
        for (follower, records) in self.all().iter().flat_map(|partition| partition.lags()) {
            let lag = lags.entry(follower).or_default();
            lag.records = lag.records.saturating_add(records);
            lag.records_max = lag.records_max.max(records);
        }
        lags
    }
}

impl State {
    fn leader_in(&self, asked: LeaderEpoch) -> Result<&Leader, ReplicaRefused> {
        let epoch = self.replica.epoch();
        match (&self.replica, self.replica.check_epoch(asked)) {
            _ if self.gone.is_some() => Err(ReplicaRefused::NotLeader),
            (_, Err(EpochError::Fenced { .. })) => Err(ReplicaRefused::FencedEpoch(epoch)),
            (_, Err(EpochError::Unknown { .. })) => Err(ReplicaRefused::UnknownEpoch(epoch)),
            (Replica::Leader(leader), Ok(())) => Ok(leader),
            (Replica::Follower(_), Ok(())) => Err(ReplicaRefused::NotLeader),
        }
    }

    fn follower_fetched(
        &mut self,
        now: Millis,
        from: BrokerId,
        fetch: FollowerFetch,
    ) -> Result<FetchGrant, FetchError> {
        match &mut self.replica {
            Replica::Leader(leader) => leader.follower_fetched(now, from, fetch, &mut self.effects),
            Replica::Follower(_) => Err(FetchError::UnknownReplica { broker: from }),
        }
    }
}

fn refused(error: FetchError) -> ReplicaRefused {
    match error {
        FetchError::StaleBrokerEpoch { .. } => ReplicaRefused::StaleBroker,
        FetchError::UnknownReplica { .. } | FetchError::OutOfRange { .. } => ReplicaRefused::UnknownReplica,
    }
}
