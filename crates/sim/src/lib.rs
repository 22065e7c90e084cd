//! Simulated clusters: the pure machines of `core` and `metadata` under faults, every step decided by one seed.
//!
//! A run draws a cluster from its seed (brokers, partitions, timeouts, which kinds of faults), lets producers and consumers work while
//! processes die, disks lose what was not synced, links are cut, time stands still for some and clocks are set, while operators
//! move replicas, drain and remove brokers, delete topics and ask for unclean elections, and asserts after every event what a log and
//! its replicas promise. Then the faults end, and everything must be well again soon.
//!
//! The machines are the product's own, and so are the decisions of the controller and the image that they change; what a broker
//! does around them (streams, proposals, roles, sessions) is written here a second time, without sockets and files.
//! [`Mutant`]s show that the assertions can fail.

mod broker;
mod client;
mod commits;
mod decisions;
mod departures;
mod disk;
mod faults;
mod log;
mod message;
mod mutant;
mod network;
mod operators;
mod oracle;
mod queue;
mod raft;
mod random;
mod scenario;
#[cfg(test)]
mod tests;
mod truth;
mod view;
mod wholeness;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use mutant::Mutant;
pub use oracle::Violation;
pub use random::Random;
pub use world::Statistics;

use crate::world::World;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first property that did not hold.
    pub violation: Option<Violation>,
    /// What happened.
    pub statistics: Statistics,
    /// Hash of all events: equal for equal seeds.
    pub trace: u64,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut world = World::new(seed, options.mutant, options.trace);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = ended.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let at_ms = world.now / 1_000;
        Some(Violation { property: "invariant of a machine".to_owned(), at_ms, seen: text })
    });
    Outcome { violation, statistics: world.statistics.clone(), trace: world.hash() }
}

/// How a seed is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A defect to put in.
    pub mutant: Option<Mutant>,
    /// Whether every event is printed.
    pub trace: bool,
}

/// The first seed of `from..from + count` whose run violates something, with how it ended, and the sums over the runs
/// until then. Runs on as many threads as the machine has.
#[must_use]
pub fn search(from: u64, count: u64, mutant: Option<Mutant>) -> (Option<(u64, Outcome)>, Totals) {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    let next = AtomicU64::new(from);
    let first_bad = AtomicU64::new(u64::MAX);
    let found: Mutex<Option<(u64, Outcome)>> = Mutex::new(None);
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count || seed > first_bad.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = run(seed, Options { mutant, trace: false });
                    if let Ok(mut totals) = totals.lock() {
                        totals.add(&outcome);
                    }
                    if outcome.violation.is_some() {
                        first_bad.fetch_min(seed, Ordering::Relaxed);
                        if let Ok(mut found) = found.lock()
                            && found.as_ref().is_none_or(|(other, _)| seed < *other)
                        {
                            *found = Some((seed, outcome));
                        }
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_default();
    (found, totals.into_inner().unwrap_or_default())
}

/// Sums over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Events handled.
    pub events: u64,
    /// Batches acknowledged.
    pub acks: u64,
    /// Leaderships begun.
    pub leaderships: u64,
    /// Logs cut.
    pub truncations: u64,
    /// Logs begun anew.
    pub restarts_of_logs: u64,
    /// ISR changes asked for.
    pub isr_changes: u64,
    /// Moves of replicas that came to their end.
    pub moves: u64,
    /// Replicas that left their broker.
    pub drops: u64,
    /// Topics created after one of the same name was deleted.
    pub recreations: u64,
    /// Brokers taken out of their cluster.
    pub removals: u64,
    /// Unclean elections that somebody asked for.
    pub unclean_elections: u64,
    /// Those of them that lost records.
    pub losses: u64,
    /// Faults.
    pub faults: u64,
    /// The longest recovery after the end of the faults, in virtual milliseconds.
    pub longest_recovery_ms: u64,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        let run = &outcome.statistics;
        self.runs += 1;
        self.events += run.events;
        self.acks += run.acks;
        self.leaderships += run.leaderships;
        self.truncations += run.truncations;
        self.restarts_of_logs += run.restarts_of_logs;
        self.isr_changes += run.isr_changes;
        self.moves += run.moves;
        self.drops += run.drops;
        self.recreations += run.recreations;
        self.removals += run.removals;
        self.unclean_elections += run.unclean_elections;
        self.losses += run.losses;
        self.faults += run.faults;
        self.longest_recovery_ms = self.longest_recovery_ms.max(run.recovery_ms);
    }
}
