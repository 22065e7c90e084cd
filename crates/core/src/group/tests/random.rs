//! Random schedules: players join, sync, vanish, come back, commit what they may not; time jumps; coordinators die.
//!
//! `GROUP_SEED=<n> cargo test -p eddy-core random_schedules` runs one schedule; a failure prints its seed.

use std::collections::BTreeMap;

use eddy_types::Millis;

use super::clients::{commit_to, fetch};
use super::player::{PARTITIONS, Player};
use super::world::{World, brief};
use crate::group::shard::Group;
use crate::group::{
    CommitOffsets, DeleteOffsets, GroupConfig, GroupRecord, GroupState, LeaveGroup, LeavingMember, Note, Str,
    SyncReply,
};

const SCHEDULES: u64 = 10_000;
const EVENTS: usize = 40;

/// SplitMix64: small, and the same everywhere.
pub(in crate::group) struct Random(pub(in crate::group) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(in crate::group) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(in crate::group) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(in crate::group) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// What has to be true of all that the players saw (reliability G1 to G3).
#[derive(Default)]
struct Witness {
    /// How often a group of this name was deleted: generations begin anew.
    births: BTreeMap<Str, u32>,
    /// Who has a partition in a generation (G1).
    owners: BTreeMap<(Str, u32, i32, u8), Str>,
    /// The generation of each group when last looked at, since the coordinator began (G3).
    generations: BTreeMap<Str, i32>,
    /// The generation that was recorded last, under any coordinator (G3).
    recorded: BTreeMap<Str, i32>,
    /// What was committed last (G2).
    committed: BTreeMap<(Str, Str), i64>,
    log_seen: usize,
    notes_seen: usize,
}

struct Schedule {
    random: Random,
    world: World,
    players: Vec<Player>,
    witness: Witness,
    next_offset: i64,
}

fn config() -> GroupConfig {
    GroupConfig {
        offsets_retention: Millis(3_600_000),
        offsets_retention_check_interval: Millis(1_800_000),
        size_max: 4,
        ..GroupConfig::default()
    }
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let players = vec![
            Player::new("a", "g", None),
            Player::new("b", "g", None),
            Player::new("c", "g", None),
            Player::new("d", "g", Some("i")),
            Player::new("e", "g", Some("j")),
            // The name that another has.
            Player::new("f", "g", Some("i")),
            Player::new("k", "h", None),
            Player::new("l", "h", Some("i")),
        ];
        let world = World::with(config());
        Schedule { random: Random(seed), world, players, witness: Witness::default(), next_offset: 0 }
    }

    fn run(seed: u64) {
        let mut schedule = Schedule::new(seed);
        for _ in 0..EVENTS {
            schedule.step();
        }
        schedule.world.compacted_log_agrees();
        if seed.is_multiple_of(8) {
            schedule.heals();
        }
        schedule.is_forgotten();
    }

    fn step(&mut self) {
        let at = self.random.below(self.players.len());
        match self.random.below(32) {
            0..=10 => self.behave(at),
            11..=13 => {
                // It does not wait for the answer to what it asked before.
                self.players[at].join(&mut self.world);
            }
            14 => {
                let generation = self.stale_generation(at);
                self.players[at].sync(&mut self.world, generation);
            }
            15 => {
                let generation = self.stale_generation(at);
                self.players[at].heartbeat(&mut self.world, generation);
            }
            16 => self.players[at].leave(&mut self.world),
            17..=18 => self.players[at].restart(),
            19..=20 => self.change_mind(at),
            21..=23 => self.commit(at),
            24 => self.delete(at),
            25 => self.kick(),
            26 => {
                self.world.fail_over();
                // A generation without assignments is forgotten, and counted again.
                self.witness.generations.clear();
            }
            _ => {
                let span = self
                    .random
                    .pick(&[0, 1, 500, 3_000, 3_000, 9_999, 10_000, 21_000, 70_000, 400_000, 7_200_000]);
                self.world.pass(span);
            }
        }
        self.listen(at);
        self.testify();
        if self.random.chance(4) {
            self.fetch();
        }
    }

    fn behave(&mut self, at: usize) {
        let assigned = self.players[at].behave(&mut self.world);
        self.witness_of(at, assigned);
    }

    fn listen(&mut self, at: usize) {
        let assigned = self.players[at].listen(&mut self.world);
        self.witness_of(at, assigned);
    }

    fn stale_generation(&mut self, at: usize) -> i32 {
        self.players[at].generation + self.random.pick(&[-1, 0, 0, 1, i32::MIN / 2])
    }

    fn change_mind(&mut self, at: usize) {
        let player = &mut self.players[at];
        match self.random.below(6) {
            0 => {
                player.session =
                    self.random.pick(&[5_999, 6_000, 10_000, 30_000, 1_800_000, i64::from(i32::MAX)])
            }
            1 => player.rebalance = self.random.pick(&[i64::from(i32::MIN), 0, 1, 20_000, 60_000]),
            2 => {
                player.protocols =
                    self.random.pick(&[&["range"][..], &["range", "sticky"], &["sticky"], &[]]).to_vec()
            }
            3 => player.protocol_type = self.random.pick(&["consumer", "connect", ""]),
            4 => player.id_required = !player.id_required,
            _ => player.can_skip = !player.can_skip,
        }
    }

    fn commit(&mut self, at: usize) {
        let generation = self.stale_generation(at);
        let player = &self.players[at];
        self.next_offset += 1;
        let mut request = CommitOffsets {
            member: player.member.clone(),
            instance: player.instance.clone(),
            generation,
            knows_epochs: player.can_skip,
            ..commit_to(&player.group, self.random.pick(&["t", "u"]), self.next_offset)
        };
        if self.random.chance(4) {
            (request.member, request.instance, request.generation) = ("".into(), None, -1);
        }
        request.retention = self.random.chance(6).then_some(Millis(60_000));
        let (group, generation) = (request.group.clone(), request.generation);
        let key = (group.clone(), request.topics[0].name.clone());
        if self.world.commit(request) == "0" {
            let Some(Group::Classic(known)) = self.world.shard.groups.get(&group) else {
                panic!("{group} is gone")
            };
            let is_current = known.generation == generation || generation < 0 && known.members.is_empty();
            assert!(is_current, "a commit of generation {generation} counts in {known:?}");
            self.witness.committed.insert(key, self.next_offset);
        }
    }

    fn fetch(&mut self) {
        let group: Str = self.random.pick(&["g", "h"]).into();
        let told = self.world.fetch(fetch(&group));
        let known = self.witness.committed.iter().filter(|((of, _), _)| *of == group);
        let known: Vec<String> = known.map(|(_, offset)| offset.to_string()).collect();
        assert_eq!(told, known.join(","), "offsets of {group}");
    }

    fn delete(&mut self, at: usize) {
        let group = self.players[at].group.clone();
        match self.random.below(3) {
            0 => {
                self.world.delete(&group);
            }
            1 => {
                let request = DeleteOffsets { group, topics: vec![("t".into(), vec![0])] };
                self.world.answer(|shard, _, token, out| shard.delete_offsets(token, request, out));
            }
            _ => self.world.event(|shard, _, out| shard.topic_deleted(&"u".into(), Default::default(), out)),
        }
    }

    /// An administrator removes whoever has the static name.
    fn kick(&mut self) {
        let member = LeavingMember { member: "".into(), instance: Some("i".into()) };
        self.world.leave(LeaveGroup { group: "g".into(), members: vec![member] });
    }

    /// A player has its assignment: nobody else has any of it (G1).
    fn witness_of(&mut self, at: usize, assigned: Option<SyncReply>) {
        let player = &self.players[at];
        let birth = self.witness.births.get(&player.group).copied().unwrap_or(0);
        for partition in assigned.iter().flat_map(|sync| sync.assignment.iter()) {
            let key = (player.group.clone(), birth, player.generation, *partition);
            let owner = self.witness.owners.entry(key).or_insert_with(|| player.identity());
            assert_eq!(*owner, player.identity(), "partition {partition} in {}", player.generation);
        }
    }

    /// Looks at what was recorded and noted since the last time.
    fn testify(&mut self) {
        let Witness { recorded, committed, log_seen, notes_seen, births, generations, .. } =
            &mut self.witness;
        for record in &self.world.log[*log_seen..] {
            match record {
                GroupRecord::ClassicGroup { group, value: Some(value) } => {
                    let highest = recorded.entry(group.clone()).or_insert(0);
                    assert!(value.generation >= *highest, "{group} goes back to {}", value.generation);
                    *highest = value.generation;
                }
                GroupRecord::ClassicGroup { group, value: None } => {
                    recorded.remove(group);
                }
                GroupRecord::Offset { group, topic, value: None, .. } => {
                    committed.remove(&(group.clone(), topic.clone()));
                }
                _ => {}
            }
        }
        *log_seen = self.world.log.len();
        for note in &self.world.notes[*notes_seen..] {
            if let Note::GroupDeleted { group } = note {
                *births.entry(group.clone()).or_insert(0) += 1;
                generations.remove(group);
            }
        }
        *notes_seen = self.world.notes.len();
        for (id, group) in &self.world.shard.groups {
            if let Group::Classic(group) = group {
                let last = generations.insert(id.clone(), group.generation).unwrap_or(0);
                assert!(group.generation >= last, "{id} goes back from {last} to {}", group.generation);
            }
        }
    }

    /// From now on everyone behaves: soon every partition has an owner (G4).
    fn heals(&mut self) {
        for player in &mut self.players {
            (player.protocols, player.protocol_type) = (vec!["range"], "consumer");
            (player.session, player.rebalance) = (10_000, 20_000);
        }
        for _ in 0..3_000 {
            for at in 0..self.players.len() {
                self.behave(at);
                self.listen(at);
            }
            self.testify();
            if ["g", "h"].iter().all(|group| self.is_settled(group)) {
                return;
            }
            self.world.pass(1_000);
        }
        panic!("not settled: {:#?} {:#?}", self.players, self.world.shard);
    }

    fn is_settled(&self, group: &str) -> bool {
        let Some(Group::Classic(known)) = self.world.shard.groups.get(group) else { return false };
        let members: Vec<&Player> = self
            .players
            .iter()
            .filter(|player| &*player.group == group && known.members.get(&player.member).is_some())
            .collect();
        let settled = members.iter().all(|player| player.is_settled && player.generation == known.generation);
        let birth = self.witness.births.get(group).copied().unwrap_or(0);
        let owned = |partition: u8| {
            self.witness.owners.contains_key(&(group.into(), birth, known.generation, partition))
        };
        known.state() == GroupState::Stable
            && known.members.len() == members.len()
            && settled
            && (0..PARTITIONS).all(owned)
    }

    /// Everyone dies: in the end nothing is left.
    fn is_forgotten(&mut self) {
        self.world.pass(5 * 3_600_000);
        assert!(self.world.is_forgotten(), "left: {:#?}", self.world.shard);
        assert_eq!(self.world.waiting(), 0);
        self.world.follower_agrees();
    }
}

fn run(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| Schedule::run(seed));
        if let Err(panic) = outcome {
            eprintln!("GROUP_SEED={seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn random_schedules_keep_the_promises() {
    if let Ok(seed) = std::env::var("GROUP_SEED") {
        return run(std::iter::once(seed.parse().expect("GROUP_SEED is a number")));
    }
    let halves = [0, 1].map(|half| std::thread::spawn(move || run((half..SCHEDULES).step_by(2))));
    for half in halves {
        half.join().expect("the seed is printed above");
    }
}

/// A seed tells the whole story: the same one twice leads to the same log.
#[test]
fn a_schedule_is_the_same_each_time() {
    let log = |seed: u64| {
        let mut schedule = Schedule::new(seed);
        for _ in 0..EVENTS {
            schedule.step();
        }
        (schedule.world.log, brief(&crate::group::Reply::List(Vec::new())))
    };
    for seed in 0..20 {
        assert_eq!(log(seed), log(seed));
    }
}
