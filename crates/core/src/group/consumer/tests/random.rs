//! Random schedules: members of both protocols join, change their minds, lose answers, vanish and come back; topics come
//! and go; coordinators die.
//!
//! `CONSUMER_GROUP_SEED=<n> cargo test -p eddy-core random_schedules` runs one; a failure prints its seed.

use std::collections::BTreeMap;

use eddy_types::Millis;

use super::World;
use super::fleet::{Classic, ClassicStep, Consumer, Wishes};
use crate::group::shard::Group;
use crate::group::tests::random::Random;
use crate::group::{GroupState, Partitions, Str};

const SCHEDULES: u64 = 10_000;
const EVENTS: usize = 36;

/// Names of topics, what is subscribed to, and how.
const TOPICS: [&str; 4] = ["a", "b", "c", "d"];
const REGEXES: [&str; 6] = ["", "", "", "", "a|b", ".*"];

struct Schedule {
    world: World,
    random: Random,
    consumers: Vec<Consumer>,
    classics: Vec<Classic>,
    /// Members that were made, for their ids.
    made: usize,
    /// The group epoch and that of its assignment; they never fall while the group is one (G3).
    epochs: (i32, i32),
}

impl Schedule {
    fn run(seed: u64) {
        let mut schedule = Schedule {
            world: World::new(),
            random: Random(seed),
            consumers: Vec::new(),
            classics: Vec::new(),
            made: 0,
            epochs: (0, 0),
        };
        schedule.world.set_topic("a", 4);
        for _ in 0..EVENTS {
            schedule.event();
            schedule.check();
        }
        schedule.world.check_replay();
        if seed.is_multiple_of(8) {
            schedule.heals();
        }
    }

    fn event(&mut self) {
        match self.random.below(40) {
            0..3 => self.arrive(),
            3 => self.arrive_classic(),
            4..6 => {
                let span = self.random.pick(&[0, 1, 200, 1000, 3000, 5000, 5000, 20_000, 46_000]);
                self.world.wait(Millis(span));
            }
            6 => {
                let (topic, partitions) = (self.random.pick(&TOPICS), self.random.pick(&[0, 1, 2, 3, 6]));
                self.world.set_topic(topic, partitions);
            }
            7 => {
                self.world.restart();
                // Requests that waited are never answered.
                self.classics.iter_mut().for_each(|classic| classic.next = ClassicStep::Join);
            }
            8..14 => {
                let at = self.random.below(self.classics.len().max(1));
                if let Some(classic) = self.classics.get_mut(at) {
                    classic.step(&mut self.world);
                }
            }
            14 => self.depart_classic(),
            _ if self.consumers.is_empty() => {}
            choice => self.behave(choice),
        }
        self.deliver();
    }

    fn wishes(&mut self) -> Wishes {
        let names = TOPICS.into_iter().filter(|_| self.random.chance(2)).collect();
        let (regex, assignor) =
            (self.random.pick(&REGEXES), self.random.pick(&[None, Some("range"), Some("uniform")]));
        Wishes { names, regex, assignor }
    }

    fn arrive(&mut self) {
        if self.consumers.len() < 5 {
            self.made += 1;
            let wishes = self.wishes();
            let instance = self.random.chance(3).then(|| format!("i{}", self.random.below(2)).into());
            self.consumers.push(Consumer::new(format!("m{}", self.made).into(), instance, wishes));
        }
    }

    fn arrive_classic(&mut self) {
        if self.classics.len() < 3 {
            self.made += 1;
            let topic = self.random.pick(&["a", "b"]);
            self.classics.push(Classic::new(format!("c{}", self.made).into(), topic));
        }
    }

    fn depart_classic(&mut self) {
        if self.classics.is_empty() || self.random.chance(2) {
            return;
        }
        let at = self.random.below(self.classics.len());
        let classic = self.classics.swap_remove(at);
        if self.random.chance(2) {
            classic.leave(&mut self.world);
        }
    }

    fn behave(&mut self, choice: usize) {
        let at = self.random.below(self.consumers.len());
        let wishes = self.wishes();
        let Some(consumer) = self.consumers.get_mut(at) else { return };
        match choice {
            15 => drop(self.consumers.swap_remove(at)),
            16 => {
                consumer.leave(&mut self.world, -1);
                self.consumers.swap_remove(at);
            }
            17 if consumer.instance.is_some() => {
                // A static member restarts: it comes back with another id.
                consumer.leave(&mut self.world, -2);
                self.made += 1;
                consumer.id = format!("m{}", self.made).into();
            }
            18 => {
                consumer.wishes = wishes;
                consumer.unsure = true;
            }
            19 => consumer.lie(&mut self.world, &mut self.random),
            20..26 => consumer.give_back(),
            _ => {
                let lose_answer = !consumer.lost && self.random.chance(12);
                consumer.beat(&mut self.world, lose_answer);
            }
        }
    }

    /// Classic members hear what they are told.
    fn deliver(&mut self) {
        for (to, reply) in std::mem::take(&mut self.world.told) {
            if let Some(classic) = self.classics.iter_mut().find(|classic| classic.name == to) {
                classic.hear(&self.world, &reply);
            }
        }
    }

    /// G1 and G3, as the clients see it. That no two members own a partition is the group's own check: here it is that a
    /// client reads nothing but what the group knows it to own.
    fn check(&mut self) {
        let Some(Group::Consumer(group)) = self.world.shard.groups.get("g") else {
            self.epochs = (0, 0);
            return;
        };
        let epochs = (group.epoch, group.target_epoch);
        assert!(
            epochs.0 >= self.epochs.0 && epochs.1 >= self.epochs.1,
            "G3: {:?} to {epochs:?}",
            self.epochs
        );
        self.epochs = epochs;
        for consumer in &self.consumers {
            let Some(member) = group.members.get(&consumer.id) else { continue };
            if consumer.epoch != member.epoch && consumer.epoch != member.previous_epoch {
                continue;
            }
            for (topic, partition) in consumer.owned.iter() {
                let knows =
                    member.assigned.contains(topic, partition) || member.revoking.contains(topic, partition);
                assert!(knows, "G1: {} reads {partition} of {topic}", consumer.id);
            }
        }
    }

    /// Nothing goes wrong any more: everyone has what the target says, and nothing is left out.
    fn heals(&mut self) {
        for _ in 0..30 {
            self.world.wait(Millis(4_000));
            self.deliver();
            for consumer in &mut self.consumers {
                consumer.beat(&mut self.world, false);
                if consumer.has_to_give_back() {
                    consumer.give_back();
                    consumer.beat(&mut self.world, false);
                }
            }
            self.deliver();
            for classic in &mut self.classics {
                classic.step(&mut self.world);
            }
            self.deliver();
            self.check();
        }
        // Of several clients with one static name, one is in the group.
        let Some(Group::Consumer(group)) = self.world.shard.groups.get("g") else { return };
        assert!(matches!(group.state(), GroupState::Stable | GroupState::Empty), "{:?}", group.state());
        let topics = self.world.cluster_topics();
        let mut expected = Partitions::default();
        let mut owned: BTreeMap<Str, Partitions> = BTreeMap::new();
        for (id, member) in &group.members {
            for topic in group.subscriptions.topic_ids(&member.wishes, &topics) {
                let count =
                    topics.name(topic).and_then(|name| topics.get(name)).map_or(0, |facts| facts.partitions);
                expected.extend((0..count).map(|partition| (topic, partition)));
            }
            assert_eq!(member.assigned.partitions(), group.target(id), "{id}");
            owned.insert(id.clone(), member.assigned.partitions());
        }
        let all: Partitions = owned.values().flat_map(Partitions::iter).collect();
        assert_eq!(all, expected);
        assert_eq!(all.count(), owned.values().map(Partitions::count).sum::<usize>());
        for consumer in self.consumers.iter().filter(|consumer| consumer.epoch > 0) {
            assert_eq!(
                owned.get(&consumer.id),
                Some(&consumer.owned),
                "{} reads something else",
                consumer.id
            );
        }
    }
}

fn run(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| Schedule::run(seed));
        if let Err(panic) = outcome {
            eprintln!("CONSUMER_GROUP_SEED={seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn random_schedules_keep_the_promises() {
    if let Ok(seed) = std::env::var("CONSUMER_GROUP_SEED") {
        return run(std::iter::once(seed.parse().expect("CONSUMER_GROUP_SEED is a number")));
    }
    let halves = [0, 1].map(|half| std::thread::spawn(move || run((half..SCHEDULES).step_by(2))));
    for half in halves {
        half.join().expect("the seed is printed above");
    }
}
