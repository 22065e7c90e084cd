//! Who is in sync: the ISR, the proposals to change it, and what each follower has said (R-3.100, R-3.101, KIP-497).

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch};

use super::effect::{IsrMember, IsrProposal};
use crate::invariant::check;

/// How long the leader keeps still after the controller has refused a proposal.
const PAUSE_AFTER_REFUSAL: Millis = Millis(1_000);
/// It keeps still longer about those of whom there is no news: a broker that is down is refused each time.
const PAUSE_MAX: Millis = Millis(8_000);

/// The controller's answer to a [`IsrProposal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrDecision {
    /// The ISR is now this one.
    Accepted {
        /// The members.
        isr: Vec<BrokerId>,
        /// Version of the partition's state with it.
        partition_epoch: PartitionEpoch,
    },
    /// The proposal has no effect and never will, nor has an earlier attempt of it that got no answer: a member is fenced or has
    /// restarted in the state that the proposal is based on, and broker epochs only rise. A new one comes in its time.
    Refused,
    /// The state has moved on (INVALID_UPDATE_VERSION): [`PartitionChange`] will tell how. Until then an earlier
    /// attempt of the same proposal may be what moved it.
    Superseded,
    /// No answer: it may have an effect. The next tick proposes the same again.
    Unanswered,
}

/// News about the partition from the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChange {
    /// Version of the partition's state. News older than what is known is ignored.
    pub partition_epoch: PartitionEpoch,
    /// All replicas, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// `min.insync.replicas` of the topic.
    pub min_insync: usize,
}

/// What the leader knows of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Everything below is on the follower's disk; -1 until it has said so in this epoch.
    durable_end: Offset,
    log_start: Offset,
    broker_epoch: i64,
    /// Time of its last fetch, and the end of our log then.
    fetched_at: Millis,
    log_end_then: Offset,
    /// Last time at which it had everything that we had at its previous fetch (KIP-16).
    caught_up_at: Option<Millis>,
    /// It was in the ISR and came back with less than it had promised.
    broke_promise: bool,
    /// It was proposed for the ISR and refused, and has not been a member since.
    refused: bool,
}

impl Progress {
    const UNKNOWN: Progress = Progress {
        durable_end: Offset::NONE,
        log_start: Offset::NONE,
        broker_epoch: -1,
        fetched_at: Millis::NONE,
        log_end_then: Offset::NONE,
        caught_up_at: None,
        broke_promise: false,
        refused: false,
    };

    /// Whether it has everything below the high watermark and something of this epoch's history.
    fn has_enough(&self, ends: LeaderEnds) -> bool {
        self.durable_end >= ends.high_watermark && self.durable_end >= ends.epoch_start
    }

    fn is_caught_up(&self, now: Millis, log_end: Offset, lag_max: Millis) -> bool {
        self.durable_end == log_end || self.caught_up_at.is_some_and(|then| now - then <= lag_max)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    proposal: IsrProposal,
    /// The next tick sends it again.
    repeat: bool,
}

/// What a follower reports with a fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) durable_end: Offset,
    pub(super) log_start: Offset,
    pub(super) broker_epoch: i64,
}

/// The leader's own ends, which follower progress is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaderEnds {
    pub(super) log_end: Offset,
    pub(super) durable_end: Offset,
    pub(super) high_watermark: Offset,
    pub(super) epoch_start: Offset,
}

/// The replicas of a partition as their leader sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InSync {
    me: BrokerId,
    epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    replicas: Vec<BrokerId>,
    isr: BTreeSet<BrokerId>,
    min_insync: usize,
    lag_max: Millis,
    followers: BTreeMap<BrokerId, Progress>,
    pending: Option<Pending>,
    quiet_until: Millis,
    /// Who was refused the last time.
    refused_last: BrokerId,
    /// When somebody is proposed again of whom there is no news, and how long after the next refusal.
    again_at: Millis,
    pause: Millis,
}

impl InSync {
    pub(super) fn new(me: BrokerId, epoch: LeaderEpoch, lag_max: Millis, state: PartitionChange) -> InSync {
        let mut in_sync = InSync {
            me,
            epoch,
            partition_epoch: state.partition_epoch,
            replicas: Vec::new(),
            isr: BTreeSet::new(),
            min_insync: 1,
            lag_max,
            followers: BTreeMap::new(),
            pending: None,
            quiet_until: Millis(i64::MIN),
            refused_last: BrokerId(-1),
            again_at: Millis(i64::MIN),
            pause: PAUSE_AFTER_REFUSAL,
        };
        in_sync.adopt(state);
        in_sync
    }

    fn adopt(&mut self, state: PartitionChange) {
        self.min_insync = state.min_insync;
        self.followers.retain(|broker, _| state.replicas.contains(broker));
        for broker in state.replicas.iter().filter(|broker| **broker != self.me) {
            self.followers.entry(*broker).or_insert(Progress::UNKNOWN);
        }
        self.replicas = state.replicas;
        self.adopt_isr(state.isr, state.partition_epoch);
    }

    /// Whoever leaves the ISR owes nothing any more, and has to catch up anew before the high watermark waits for it:
    /// it may have been fenced, and never fetch again.
    fn adopt_isr(&mut self, isr: Vec<BrokerId>, partition_epoch: PartitionEpoch) {
        let isr: BTreeSet<BrokerId> = isr.into_iter().collect();
        for broker in self.isr.difference(&isr) {
            if let Some(progress) = self.followers.get_mut(broker) {
                progress.broke_promise = false;
                progress.caught_up_at = None;
                progress.refused = false;
            }
        }
        self.isr = isr;
        self.partition_epoch = partition_epoch;
        self.pending = None;
    }

    pub(super) fn isr(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.isr.iter().copied()
    }

    pub(super) fn isr_len(&self) -> usize {
        self.isr.len()
    }

    pub(super) fn has_followers(&self) -> bool {
        !self.followers.is_empty()
    }

    pub(super) fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Members required for acks=all: `min.insync.replicas`, at most the number of replicas.
    pub(super) fn required(&self) -> usize {
        self.min_insync.min(self.replicas.len()).max(1)
    }

    /// Whether a proposed member counts already: it may be in the ISR without our knowing (ISR-2).
    fn is_in_maximal(&self, broker: BrokerId) -> bool {
        let proposed = |pending: &Pending| pending.proposal.isr.iter().any(|member| member.broker == broker);
        self.isr.contains(&broker) || self.pending.as_ref().is_some_and(proposed)
    }

    /// The least durable end over the maximal ISR, and over those about to join: if the high watermark ran ahead of
    /// them, a busy partition would never let them in.
    pub(super) fn least_durable_end(&self, now: Millis, ends: LeaderEnds) -> Offset {
        let mut least = ends.durable_end;
        for (broker, progress) in &self.followers {
            let counts =
                self.is_in_maximal(*broker) || progress.is_caught_up(now, ends.log_end, self.lag_max);
            if counts {
                least = least.min(progress.durable_end);
            }
        }
        least
    }

    /// The least log start over the ISR: what DeleteRecords has reached everywhere.
    pub(super) fn low_watermark(&self, log_start: Offset) -> Offset {
        let followers = self.followers.iter().filter(|(broker, _)| self.isr.contains(broker));
        followers.map(|(_, progress)| progress.log_start).fold(log_start, Offset::min)
    }

    /// ISR members that have the record at `offset`, or are waiting for it, with their durable ends.
    pub(super) fn followers_with(&self, offset: Offset) -> impl Iterator<Item = (BrokerId, Offset)> + '_ {
        let has = move |progress: &Progress| (progress.log_start..=progress.durable_end).contains(&offset);
        let in_sync = self.followers.iter().filter(|(broker, _)| self.isr.contains(broker));
        in_sync.filter(move |(_, one)| has(one)).map(|(broker, one)| (*broker, one.durable_end))
    }

    /// Every follower, in sync or not, with its durable end; [`Offset::NONE`] of one that was not heard in this epoch.
    pub(super) fn follower_ends(&self) -> impl Iterator<Item = (BrokerId, Offset)> + '_ {
        self.followers.iter().map(|(broker, progress)| (*broker, progress.durable_end))
    }

    pub(super) fn is_follower(&self, broker: BrokerId) -> bool {
        self.followers.contains_key(&broker)
    }

    /// The broker epoch that a fetch may not be older than.
    pub(super) fn broker_epoch(&self, broker: BrokerId) -> i64 {
        self.followers.get(&broker).map_or(-1, |progress| progress.broker_epoch)
    }

    pub(super) fn fetched(&mut self, now: Millis, from: BrokerId, report: Report, ends: LeaderEnds) {
        let promised = self.is_in_maximal(from);
        let Some(progress) = self.followers.get_mut(&from) else { return };
        if report.broker_epoch > progress.broker_epoch && progress.broker_epoch >= 0 {
            // It has started again: what it had said in its former life is void.
            *progress = Progress { caught_up_at: progress.caught_up_at, ..Progress::UNKNOWN };
        }
        if report.durable_end >= ends.log_end {
            progress.caught_up_at = progress.caught_up_at.max(Some(now));
        } else if progress.log_end_then != Offset::NONE && report.durable_end >= progress.log_end_then {
            progress.caught_up_at = progress.caught_up_at.max(Some(progress.fetched_at));
        }
        progress.durable_end = report.durable_end;
        progress.log_start = report.log_start;
        progress.broker_epoch = report.broker_epoch.max(progress.broker_epoch);
        progress.fetched_at = now;
        progress.log_end_then = ends.log_end;
        progress.broke_promise = promised && report.durable_end < ends.high_watermark;
    }

    /// Proposes to take `joiner` in, if it has everything below the high watermark and something of this epoch's
    /// history.
    pub(super) fn propose_join(
        &mut self,
        now: Millis,
        joiner: BrokerId,
        ends: LeaderEnds,
    ) -> Option<IsrProposal> {
        let progress = self.followers.get(&joiner)?;
        if self.isr.contains(&joiner) || !progress.has_enough(ends) {
            return None;
        }
        let members = self.isr.iter().copied().chain([joiner]).collect();
        self.propose(now, members)
    }

    /// Proposes to take in whoever could not be proposed when it said that it has everything: another proposal was under way,
    /// or the leader kept still. On an idle partition it says so only once.
    pub(super) fn propose_joins(&mut self, now: Millis, ends: LeaderEnds) -> Option<IsrProposal> {
        let waits = |(broker, progress): (&BrokerId, &Progress)| {
            let waits = !self.isr.contains(broker) && progress.caught_up_at.is_some();
            (waits && progress.has_enough(ends)).then_some(*broker)
        };
        let joiners: Vec<BrokerId> = self.followers.iter().filter_map(waits).collect();
        if joiners.is_empty() {
            return self.propose_refused(now, ends);
        }
        let members = self.isr.iter().copied().chain(joiners).collect();
        self.propose(now, members)
    }

    /// Proposes somebody again who was refused, or who has all there is, one at a time and in turn: if only one of several stays
    /// refused, the others get in. An ISR below its minimum takes no records, so nothing else may ever move here.
    ///
    /// Who has left for its lag and is silent since is not among them: it would be taken in at once, and the high watermark
    /// would wait for it as before.
    fn propose_refused(&mut self, now: Millis, ends: LeaderEnds) -> Option<IsrProposal> {
        if now < self.again_at {
            return None;
        }
        let waits = |broker: &BrokerId| {
            !self.isr.contains(broker)
                && self.followers.get(broker).is_some_and(|progress| {
                    progress.has_enough(ends) && (progress.refused || progress.durable_end == ends.log_end)
                })
        };
        let (after, before): (Vec<BrokerId>, Vec<BrokerId>) =
            self.followers.keys().copied().filter(waits).partition(|broker| *broker > self.refused_last);
        let joiner = after.into_iter().chain(before).next()?;
        let members = self.isr.iter().copied().chain([joiner]).collect();
        self.propose(now, members)
    }

    /// Proposes to leave out the members that lag, or that lost what they had promised.
    pub(super) fn propose_without_laggards(&mut self, now: Millis, ends: LeaderEnds) -> Option<IsrProposal> {
        for broker in &self.isr {
            if let Some(progress) = self.followers.get_mut(broker) {
                if progress.durable_end == ends.log_end {
                    // On an idle partition a follower has nothing to say. The first append after an hour must not find it
                    // an hour behind.
                    progress.caught_up_at = progress.caught_up_at.max(Some(now));
                }
                // A follower that the leader has not heard of in this epoch has the full time from now on.
                progress.caught_up_at.get_or_insert(now);
            }
        }
        let lags = |broker: &BrokerId| {
            self.followers.get(broker).is_some_and(|progress| {
                progress.broke_promise || !progress.is_caught_up(now, ends.log_end, self.lag_max)
            })
        };
        let members: BTreeSet<BrokerId> = self.isr.iter().copied().filter(|broker| !lags(broker)).collect();
        if members.len() == self.isr.len() {
            return None;
        }
        self.propose(now, members)
    }

    /// The proposal that got no answer, to be sent again.
    pub(super) fn repeat_unanswered(&mut self) -> Option<IsrProposal> {
        let pending = self.pending.as_mut().filter(|pending| pending.repeat)?;
        pending.repeat = false;
        Some(pending.proposal.clone())
    }

    fn propose(&mut self, now: Millis, members: BTreeSet<BrokerId>) -> Option<IsrProposal> {
        if self.pending.is_some() || now < self.quiet_until {
            return None;
        }
        let member = |broker: BrokerId| IsrMember { broker, broker_epoch: self.broker_epoch(broker) };
        let proposal = IsrProposal {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr: members.into_iter().map(member).collect(),
        };
        self.pending = Some(Pending { proposal: proposal.clone(), repeat: false });
        Some(proposal)
    }

    /// Answers to anything but the proposal that waits come too late to matter.
    pub(super) fn decided(&mut self, now: Millis, based_on: PartitionEpoch, decision: IsrDecision) {
        let Some(pending) =
            self.pending.as_mut().filter(|pending| pending.proposal.partition_epoch == based_on)
        else {
            return;
        };
        match decision {
            IsrDecision::Accepted { isr, partition_epoch } => {
                self.pause = PAUSE_AFTER_REFUSAL;
                self.adopt_isr(isr, partition_epoch);
            }
            IsrDecision::Refused => {
                self.quiet_until = now + PAUSE_AFTER_REFUSAL;
                self.again_at = now + self.pause;
                self.pause = PAUSE_MAX.min(self.pause + self.pause);
                self.abandon_pending();
            }
            IsrDecision::Superseded => {}
            IsrDecision::Unanswered => pending.repeat = true,
        }
    }

    /// Who was refused as a member has to catch up anew before the high watermark waits for it.
    fn abandon_pending(&mut self) {
        let proposed = self.pending.take().map(|pending| pending.proposal.isr).unwrap_or_default();
        for member in proposed.iter().filter(|member| !self.isr.contains(&member.broker)) {
            self.refused_last = member.broker;
            if let Some(progress) = self.followers.get_mut(&member.broker) {
                progress.caught_up_at = None;
                progress.refused = true;
            }
        }
    }

    /// Takes over news of the metadata log; a newer state settles the proposal that waits, either way.
    pub(super) fn reconfigure(&mut self, change: PartitionChange) {
        if change.partition_epoch > self.partition_epoch {
            self.adopt(change);
        } else if change.partition_epoch == self.partition_epoch {
            self.min_insync = change.min_insync;
        }
    }

    pub(super) fn check(&self, ends: LeaderEnds) {
        check!(ISR_1, self.isr.contains(&self.me), "{} is not in {:?}", self.me, self.isr);
        for broker in &self.isr {
            check!(ISR_1, self.replicas.contains(broker), "{broker} is not in {:?}", self.replicas);
        }
        if let Some(pending) = &self.pending {
            check!(
                ISR_2,
                pending.proposal.partition_epoch == self.partition_epoch,
                "proposal based on {}, state is {}",
                pending.proposal.partition_epoch,
                self.partition_epoch
            );
        }
        for (broker, progress) in self.followers.iter().filter(|(broker, _)| self.isr.contains(broker)) {
            check!(
                HW_2,
                progress.durable_end == Offset::NONE
                    || progress.broke_promise
                    || progress.durable_end >= ends.high_watermark,
                "broker {broker} at {}, high watermark {}",
                progress.durable_end,
                ends.high_watermark
            );
        }
    }
}
