//! What holds under any schedule: a leader, two followers and a controller whose answers come late, twice or never.

use std::collections::BTreeMap;

use eddy_types::{BrokerId, Millis, Offset, PartitionEpoch};
use proptest::prelude::*;

use super::story::{brokers, leader, plain_batch};
use crate::{
    Acks, AppendError, Appended, Effect, Effects, FollowerFetch, IsrDecision, IsrProposal, Leader,
    LeaderStart, PartitionChange, PendingAcks,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(i32, bool),
    Durable(i64),
    /// A follower's disk takes records that it has been granted.
    FollowerWrites(bool, i64),
    FollowerFetches(bool),
    Wait(i64),
    /// The controller acts on the n-th proposal on its way, or finds it outdated.
    ControllerReads(usize),
    /// The leader hears the controller's oldest answer, or that there will be none.
    LeaderHears(bool),
    /// The leader hears what the metadata log says.
    Metadata,
    /// The controller takes a follower out, as when its session ends.
    Fence(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..5i32, any::<bool>()).prop_map(|(offsets, all)| Step::Append(offsets, all)),
        3 => (1..6i64).prop_map(Step::Durable),
        4 => (any::<bool>(), 1..6i64).prop_map(|(which, by)| Step::FollowerWrites(which, by)),
        6 => any::<bool>().prop_map(Step::FollowerFetches),
        2 => (1..20_000i64).prop_map(Step::Wait),
        2 => (0..3usize).prop_map(Step::ControllerReads),
        2 => any::<bool>().prop_map(Step::LeaderHears),
        1 => Just(Step::Metadata),
        1 => any::<bool>().prop_map(Step::Fence),
    ]
}

/// What is true, whatever the leader knows of it.
struct World {
    leader: Leader,
    now: Millis,
    waiting: PendingAcks<(Offset, Acks)>,
    disks: BTreeMap<BrokerId, i64>,
    granted: BTreeMap<BrokerId, i64>,
    isr: Vec<BrokerId>,
    partition_epoch: PartitionEpoch,
    under_way: Vec<IsrProposal>,
    answers: Vec<(PartitionEpoch, IsrDecision)>,
    min_insync: usize,
    log_end: Offset,
    high_watermark: Offset,
}

impl World {
    fn new(min_insync: usize) -> World {
        let start = LeaderStart { min_insync, ..leader(&[1, 2, 3]) };
        World {
            isr: start.isr.clone(),
            partition_epoch: start.partition_epoch,
            leader: Leader::new(start),
            now: Millis(0),
            waiting: PendingAcks::new(1000),
            disks: brokers(&[2, 3]).into_iter().map(|broker| (broker, 0)).collect(),
            granted: brokers(&[2, 3]).into_iter().map(|broker| (broker, 0)).collect(),
            under_way: Vec::new(),
            answers: Vec::new(),
            min_insync,
            log_end: Offset(0),
            high_watermark: Offset(0),
        }
    }

    fn step(&mut self, step: Step) {
        let mut out = Effects::new();
        let isr_before = self.leader.isr().count();
        let follower = |second: bool| BrokerId(if second { 3 } else { 2 });
        match step {
            Step::Append(offsets, all) => self.append(offsets, all, &mut out),
            Step::Durable(by) => {
                let upto = self.leader.offsets().durable_end + by;
                self.leader.durable(upto, &mut out);
            }
            Step::FollowerWrites(second, by) => {
                let (id, granted) = (follower(second), self.granted[&follower(second)]);
                self.disks.entry(id).and_modify(|end| *end = (*end + by).min(granted));
            }
            Step::FollowerFetches(second) => {
                let id = follower(second);
                let (disk, offset) = (Offset(self.disks[&id]), Offset(self.granted[&id]));
                let fetch =
                    FollowerFetch { offset, durable_end: disk, log_start: Offset(0), broker_epoch: 1 };
                let grant = self.leader.follower_fetched(self.now, id, fetch, &mut out).unwrap();
                assert_eq!(grant.upto, self.log_end);
                self.granted.insert(id, grant.upto.0);
            }
            Step::Wait(by) => {
                self.now = self.now + Millis(by);
                self.leader.tick(self.now, &mut out);
            }
            Step::ControllerReads(which) => self.controller_reads(which),
            Step::LeaderHears(lost) if !self.answers.is_empty() => {
                let (based_on, decision) = self.answers.remove(0);
                let decision = if lost { IsrDecision::Unanswered } else { decision };
                self.leader.isr_decided(self.now, based_on, decision, &mut out);
            }
            Step::LeaderHears(_) => {}
            Step::Metadata => {
                let change = PartitionChange {
                    partition_epoch: self.partition_epoch,
                    replicas: brokers(&[1, 2, 3]),
                    isr: self.isr.clone(),
                    min_insync: self.min_insync,
                };
                self.leader.reconfigure(change, &mut out);
            }
            Step::Fence(second) => {
                self.isr.retain(|broker| *broker != follower(second));
                self.partition_epoch = PartitionEpoch(self.partition_epoch.0 + 1);
            }
        }
        self.carry_out(out, isr_before);
    }

    fn append(&mut self, offsets: i32, all: bool, out: &mut Effects) {
        let acks = if all { Acks::All } else { Acks::Leader };
        match self.leader.append(self.now, acks, &plain_batch(offsets), out) {
            Ok(Appended::New(range)) => {
                assert_eq!(range.start, self.log_end, "LOG-1: without gap");
                assert_eq!(range.count(), i64::from(offsets));
                self.log_end = range.end;
                self.waiting.push(range.end, acks, (range.end, acks)).unwrap();
            }
            Ok(Appended::Duplicate(range)) => panic!("nothing was sent twice: {range}"),
            Err(AppendError::NotEnoughReplicas { .. }) => {
                assert!(all && self.leader.isr().count() < self.min_insync);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn controller_reads(&mut self, which: usize) {
        if which >= self.under_way.len() {
            return;
        }
        let proposal = self.under_way.remove(which);
        let decision = if proposal.partition_epoch == self.partition_epoch {
            self.isr = proposal.isr.iter().map(|member| member.broker).collect();
            self.partition_epoch = PartitionEpoch(self.partition_epoch.0 + 1);
            IsrDecision::Accepted { isr: self.isr.clone(), partition_epoch: self.partition_epoch }
        } else {
            IsrDecision::Superseded
        };
        self.answers.push((proposal.partition_epoch, decision));
    }

    fn carry_out(&mut self, out: Effects, isr_before: usize) {
        for effect in out {
            match effect {
                Effect::HighWatermark(to) => {
                    assert!(to > self.high_watermark, "HW-1: {} to {to}", self.high_watermark);
                    let isr = self.leader.isr().count().max(isr_before);
                    assert!(isr >= self.min_insync, "HW-4: moved to {to} with {isr} in sync");
                    self.high_watermark = to;
                }
                Effect::ProposeIsr(proposal) => self.under_way.push(proposal),
                _ => {}
            }
        }
        self.leader.check();
        let seen = self.leader.offsets();
        assert_eq!((seen.log_end, seen.high_watermark), (self.log_end, self.high_watermark));
        // Not what the leader believes: whom the controller may elect.
        for broker in self.isr.iter().filter(|broker| **broker != BrokerId(1)) {
            assert!(
                self.disks[broker] >= self.high_watermark.0,
                "ISR-2: {broker} may lead with {} of {} on disk",
                self.disks[broker],
                self.high_watermark
            );
        }
        for (end, acks) in self.waiting.release(seen.durable_end, seen.high_watermark) {
            assert!(end <= seen.durable_end);
            assert!(acks != Acks::All || end <= self.high_watermark, "HW-3");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_high_watermark_keeps_its_promises(
        min_insync in 1..=3usize,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(min_insync);
        for step in steps {
            world.step(step);
        }
    }

    #[test]
    fn offsets_are_given_without_gap(batches in prop::collection::vec((1..1000i32, 0..3u8), 1..100)) {
        let mut leader = Leader::new(leader(&[1]));
        let mut out = Effects::new();
        let mut expected = Offset(0);
        for (offsets, sync) in batches {
            let appended = leader.append(Millis(0), Acks::All, &plain_batch(offsets), &mut out).unwrap();
            prop_assert_eq!(appended.range().start, expected);
            expected = appended.range().end;
            if sync == 0 {
                leader.durable(expected, &mut out);
                prop_assert_eq!(leader.offsets().high_watermark, expected, "the end is known at once");
            }
            leader.check();
        }
    }
}

#[test]
fn a_cluster_at_peace_acknowledges_everything() {
    let mut world = World::new(2);
    for _ in 0..50 {
        world.step(Step::Append(3, true));
        world.step(Step::Durable(3));
        for second in [false, true] {
            world.step(Step::FollowerFetches(second));
            world.step(Step::FollowerWrites(second, 3));
            world.step(Step::FollowerFetches(second));
        }
        assert_eq!(world.high_watermark, world.log_end);
        assert!(world.waiting.is_empty());
    }
}
