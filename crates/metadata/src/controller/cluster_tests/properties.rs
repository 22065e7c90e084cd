//! Whatever happens in whatever order: the invariants of partitions, and the records that were committed.
//!
//! The model keeps how many records each replica holds and how many are committed, as leaders and followers would: the high
//! watermark is the least of the ISR and moves only while the ISR is large enough. A leader that was elected without leave
//! to lose records must hold what was committed (R4, R-3.106, R-3.111).

use std::collections::BTreeMap;

use eddy_types::TopicPartition;
use proptest::prelude::*;

use super::*;
use crate::Topic;

const BROKERS: i32 = 5;

#[derive(Clone, Debug)]
enum Step {
    Fence(i32),
    Stop(i32),
    Restart(i32),
    Return(i32),
    /// The broker is fenced, if it must be, and comes back with an empty disk.
    ReplaceDisk(i32),
    /// Records come to the leader of a partition and go to its ISR; whether the high watermark moves is its rule.
    Produce(usize),
    /// A follower copies what its leader has.
    Copy(usize, i32),
    /// The leader wants those of the mask that are caught up.
    Isr(usize, u8),
    /// A wish that was on its way for long: by mask, with the broker epochs of long ago.
    StaleIsr(usize, u8),
    Elect(usize, bool),
    Prefer,
    Upkeep,
    Reassign(usize, Vec<i32>),
    Cancel(usize),
    Drain(i32),
    Undrain(i32),
    Decommission(i32),
    Bury(i32),
    Min(usize, i32),
    MinAll(i32),
    /// The broker reads the metadata from a snapshot.
    Snapshot,
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = || 1..=BROKERS;
    let at = || 0usize..4;
    let replicas = prop::sample::subsequence((1..=BROKERS).collect::<Vec<_>>(), 1..4).prop_shuffle();
    prop_oneof![
        4 => id().prop_map(Step::Fence),
        1 => id().prop_map(Step::Stop),
        2 => id().prop_map(Step::Restart),
        4 => id().prop_map(Step::Return),
        1 => id().prop_map(Step::ReplaceDisk),
        8 => at().prop_map(Step::Produce),
        4 => (at(), id()).prop_map(|(at, id)| Step::Copy(at, id)),
        8 => (at(), any::<u8>()).prop_map(|(at, mask)| Step::Isr(at, mask)),
        1 => (at(), any::<u8>()).prop_map(|(at, mask)| Step::StaleIsr(at, mask)),
        1 => (at(), any::<bool>()).prop_map(|(at, unclean)| Step::Elect(at, unclean)),
        1 => Just(Step::Prefer),
        2 => Just(Step::Upkeep),
        2 => (at(), replicas).prop_map(|(at, replicas)| Step::Reassign(at, replicas)),
        1 => at().prop_map(Step::Cancel),
        1 => id().prop_map(Step::Drain),
        1 => id().prop_map(Step::Undrain),
        1 => id().prop_map(Step::Decommission),
        1 => id().prop_map(Step::Bury),
        1 => (at(), 1..=3).prop_map(|(at, min)| Step::Min(at, min)),
        1 => (1..=3).prop_map(Step::MinAll),
        1 => Just(Step::Snapshot),
    ]
}

/// What a partition's replicas hold.
#[derive(Clone, Debug, Default)]
struct Log {
    ends: BTreeMap<BrokerId, u64>,
    committed: u64,
}

struct World {
    cluster: Cluster,
    logs: Vec<Log>,
    disks: i32,
    /// Epochs that brokers had at first.
    old_epochs: BTreeMap<BrokerId, i64>,
    /// Whether the last step was allowed to give records up.
    unclean: bool,
    /// Who joined an ISR at the wish of its leader in the last step.
    joined: Vec<BrokerId>,
    /// Whether the last step looked after everything.
    upkeep: bool,
}

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    fn new() -> World {
        let min = [("min.insync.replicas", "2")];
        let unclean = [("unclean.leader.election.enable", "true")];
        let cluster = Cluster::of(BROKERS)
            .topic("a", &[&[1, 2, 3]], &min)
            .topic("b", &[&[3, 4, 5]], &[])
            .topic("c", &[&[2]], &[])
            .topic("d", &[&[5, 1]], &unclean);
        let old_epochs = cluster.image.brokers().map(|broker| (broker.id, broker.epoch)).collect();
        World {
            cluster,
            logs: vec![Log::default(); 4],
            disks: 50,
            old_epochs,
            unclean: false,
            joined: Vec::new(),
            upkeep: false,
        }
    }

    fn topic(&self, at: usize) -> &Topic {
        self.cluster.image.topic(TOPICS[at]).unwrap()
    }

    fn partition(&self, at: usize) -> &Partition {
        &self.topic(at).partitions[0]
    }

    fn target(at: usize) -> TopicPartition {
        TopicPartition { topic: TOPICS[at].into(), partition: 0 }
    }

    /// `min.insync.replicas` as a leader has it.
    fn min_isr(&self, at: usize) -> usize {
        let configured = usize::try_from(self.topic(at).config.min_insync_replicas).unwrap();
        configured.min(self.partition(at).replicas.len()).max(1)
    }

    fn produce(&mut self, at: usize) {
        let partition = self.partition(at).clone();
        let Some(leader) = partition.leader else { return };
        let log = &mut self.logs[at];
        *log.ends.entry(leader).or_default() += 1;
        self.copy(at, None);
    }

    /// The followers in the ISR, or one outside, copy from the leader; then the high watermark follows.
    fn copy(&mut self, at: usize, outside: Option<BrokerId>) {
        let partition = self.partition(at).clone();
        let min_isr = self.min_isr(at);
        let Some(leader) = partition.leader else { return };
        let log = &mut self.logs[at];
        let end = log.ends.get(&leader).copied().unwrap_or(0);
        let copies: Vec<BrokerId> = match outside {
            Some(follower) if partition.replicas.contains(&follower) => vec![follower],
            Some(_) => return,
            None => partition.isr.to_vec(),
        };
        for follower in
            copies.into_iter().filter(|id| self.cluster.image.broker(*id).is_some_and(|b| !b.fenced))
        {
            log.ends.insert(follower, end);
        }
        if partition.isr.len() >= min_isr {
            let of = |id: &BrokerId| log.ends.get(id).copied().unwrap_or(0);
            log.committed = log.committed.max(partition.isr.iter().map(of).min().unwrap_or(0));
        }
    }

    fn isr(&mut self, at: usize, mask: u8, stale: bool) {
        let partition = self.partition(at).clone();
        let Some(leader) = partition.leader else { return };
        let committed = self.logs[at].committed;
        let mut members = Vec::new();
        for (bit, replica) in partition.replicas.iter().enumerate() {
            let end = self.logs[at].ends.get(replica).copied().unwrap_or(0);
            // Who joins has everything that is committed.
            let fits = end >= committed || partition.isr.contains(replica);
            if *replica == leader || (mask & (1 << bit) != 0 && fits) {
                members.push(replica.0);
            }
        }
        let epoch = self.cluster.image.broker(leader).unwrap().epoch;
        let mut wish = self.cluster.wish(TOPICS[at], 0, &members);
        if stale {
            for (member, epoch) in &mut wish.isr {
                *epoch = self.old_epochs.get(member).copied().unwrap_or(-1);
            }
        }
        let is_stale = wish.isr.iter().any(|(id, epoch)| {
            self.cluster.image.broker(*id).is_none_or(|broker| broker.epoch != *epoch || broker.fenced)
        });
        let (records, results) = alter_partitions(&self.cluster.image, leader, epoch, &[wish]);
        assert!(!is_stale || results[0].is_err(), "R6: a member of an earlier run");
        if results[0].is_ok() || !records.is_empty() {
            self.joined = brokers(&members);
        }
        self.cluster.commit(&records);
    }

    /// A new registration; a broker with an empty disk holds nothing.
    fn register(&mut self, broker: i32, directory: Option<i32>, same_run: bool) {
        let known = self.cluster.image.broker(BrokerId(broker)).is_some();
        let directory = directory.or_else(|| (!known).then_some(self.disks));
        if let Some(directory) = directory {
            self.disks = 50 + (directory + 1 - 50) % 200;
            for log in &mut self.logs {
                log.ends.remove(&BrokerId(broker));
            }
        }
        self.cluster.register(broker, directory, same_run).unwrap();
    }

    fn run(&mut self, step: &Step) {
        self.unclean = false;
        self.joined.clear();
        self.upkeep = matches!(step, Step::Upkeep);
        let image = &self.cluster.image;
        let records = match step {
            Step::Fence(id) => fence_broker(image, BrokerId(*id)),
            Step::Stop(id) => begin_shutdown(image, BrokerId(*id)),
            Step::Restart(id) => return self.register(*id, None, false),
            Step::Return(id) => return self.register(*id, None, true),
            Step::ReplaceDisk(id) => {
                let records = fence_broker(image, BrokerId(*id));
                self.cluster.commit(&records);
                return self.register(*id, Some(self.disks), false);
            }
            Step::Produce(at) => return self.produce(*at),
            Step::Copy(at, id) => return self.copy(*at, Some(BrokerId(*id))),
            Step::Isr(at, mask) => return self.isr(*at, *mask, false),
            Step::StaleIsr(at, mask) => return self.isr(*at, *mask, true),
            Step::Elect(at, by_force) => {
                self.unclean = *by_force;
                let kind = if *by_force { ElectionKind::Unclean } else { ElectionKind::Preferred };
                elect_leaders(image, kind, Some(&[World::target(*at)])).0
            }
            Step::Prefer => preferred_leaders(image),
            Step::Upkeep => upkeep(image),
            Step::Reassign(at, replicas) => {
                let wish = NewReplicas { partition: World::target(*at), replicas: Some(brokers(replicas)) };
                alter_reassignments(image, &[wish], false).0
            }
            Step::Cancel(at) => {
                let wish = NewReplicas { partition: World::target(*at), replicas: None };
                alter_reassignments(image, &[wish], false).0
            }
            Step::Drain(id) => drain_broker(image, BrokerId(*id)).unwrap_or_default(),
            Step::Undrain(id) => undrain_broker(image, BrokerId(*id)).unwrap_or_default(),
            Step::Decommission(id) => {
                decommission(image, BrokerId(*id)).map_or_else(|_| Vec::new(), |(records, _)| records)
            }
            Step::Bury(id) => remove_broker(image, BrokerId(*id), Removal::WhenDead).unwrap_or_default(),
            Step::Min(at, min) => {
                let target = ConfigTarget::Topic(TOPICS[*at].to_owned());
                return self.cluster.configure(&target, "min.insync.replicas", &min.to_string()).unwrap();
            }
            Step::MinAll(min) => {
                let target = ConfigTarget::BrokerDefault;
                return self.cluster.configure(&target, "min.insync.replicas", &min.to_string()).unwrap();
            }
            Step::Snapshot => {
                let local = Arc::new(image.local().clone());
                let read = Image::from_snapshot(&image.to_snapshot(), local).unwrap();
                assert_eq!(read.to_snapshot(), image.to_snapshot());
                self.cluster.image = read;
                return;
            }
        };
        self.cluster.commit(&records);
    }

    /// What must hold after a step, given how the partitions stood before it.
    fn check(&mut self, before: &[Partition]) {
        for (at, old) in before.iter().enumerate() {
            let new = self.partition(at).clone();
            self.check_shape(at, &new);
            self.check_epochs(old, &new);
            self.check_election(at, old, &new);
        }
    }

    fn check_shape(&self, at: usize, partition: &Partition) {
        let Partition { replicas, leader, isr, elr, adding, removing, .. } = partition;
        let fenced = |id: &BrokerId| self.cluster.image.broker(*id).is_none_or(|broker| broker.fenced);
        assert!(!replicas.is_empty());
        for part in [isr, elr, adding, removing] {
            assert!(part.iter().all(|id| replicas.contains(id)), "a stranger in {partition:?}");
            assert!((1..part.len()).all(|i| !part[..i].contains(&part[i])), "twice in {partition:?}");
        }
        assert!(adding.iter().all(|id| !removing.contains(id)), "{partition:?}");
        assert!(elr.iter().all(|id| !isr.contains(id)), "in both: {partition:?}");
        assert!(elr.is_empty() || isr.len() < self.min_isr(at), "needless: {partition:?}");
        match leader {
            Some(leader) => {
                assert!(isr.contains(leader), "ISR-1: {partition:?}");
                assert!(!isr.iter().any(fenced), "a dead member: {partition:?}");
            }
            None => assert!(isr.len() <= 1 && isr.iter().all(fenced), "somebody could lead: {partition:?}"),
        }
        assert!(leader.is_some() || elr.iter().all(fenced), "somebody eligible could lead: {partition:?}");
    }

    fn check_epochs(&self, old: &Partition, new: &Partition) {
        let elected = new.leader_epoch.0 - old.leader_epoch.0;
        let changes = new.partition_epoch.0 - old.partition_epoch.0;
        assert!(elected >= 0 && changes >= elected, "{old:?} {new:?}");
        assert_eq!(changes > 0, old != new);
        assert!(old.leader == new.leader || elected > 0, "another leader in one epoch: {old:?} {new:?}");
        let left = old.replicas.iter().any(|id| !new.replicas.contains(id));
        assert!(
            !left || elected > 0 || new.leader.is_none(),
            "who left may come back in the same epoch: {old:?} {new:?}"
        );
        let complete = new.target_replicas().all(|id| new.isr.contains(&id));
        // An election may be what makes it complete; the next round sees it.
        let overlooked = self.upkeep && elected == 0 && complete && new.is_reassigning();
        assert!(!overlooked, "complete: {new:?}");
    }

    /// R4: a leader comes from the ISR or the ELR, and holds what is committed.
    fn check_election(&mut self, at: usize, old: &Partition, new: &Partition) {
        let log = &mut self.logs[at];
        let held = |id: &BrokerId| log.ends.get(id).copied().unwrap_or(0);
        let allowed = self.unclean
            || self.cluster.image.topic(TOPICS[at]).unwrap().config.unclean_leader_election_enable;
        let Some(leader) = new.leader else {
            // Whoever could lead without a loss when it is back.
            for member in new.isr.iter().chain(new.elr.iter()) {
                assert!(allowed || held(member) >= log.committed, "{member} lacks records: {new:?} {log:?}");
            }
            return;
        };
        let clean = [&*old.isr, &*old.elr, &*self.joined].into_iter().any(|set| set.contains(&leader));
        if !allowed {
            assert!(clean, "R4: {old:?} {new:?}");
            for member in new.isr.iter().chain(new.elr.iter()) {
                assert!(held(member) >= log.committed, "{member} lacks records: {old:?} {new:?} {log:?}");
            }
        } else {
            log.committed = log.committed.min(held(&leader));
        }
        // Followers cut what their new leader does not have.
        if new.leader_epoch != old.leader_epoch {
            let end = held(&leader);
            log.ends.values_mut().for_each(|other| *other = (*other).min(end));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn decisions_keep_the_invariants_and_the_records(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            let before: Vec<Partition> = (0..4).map(|at| world.partition(at).clone()).collect();
            world.run(step);
            world.check(&before);
        }
    }
}
