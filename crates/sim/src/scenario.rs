//! What a seed decides before the run begins: the cluster, its timeouts, its clients and which faults it suffers.

use crate::queue::{MILLI, Micros};
use crate::random::Random;

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process dies; what was not synced may be lost.
    Crash,
    /// All of them at once.
    CrashAll,
    /// A stop that moves the leaderships first, and a start.
    CleanRestart,
    /// A process stands still, and knows nothing of it afterwards.
    Pause,
    /// A broker loses every other one, in both directions.
    Isolate,
    /// One direction of one link is cut.
    OneWay,
    /// One link is cut in both directions: the two still meet through others.
    Bridge,
    /// The clients lose a broker.
    ClientsCut,
    /// Connections between brokers break.
    Reset,
    /// A disk is slow for a while.
    SlowDisk,
    /// A process dies and its disk is replaced by an empty one.
    Wipe,
    /// A partition is to have other replicas, perhaps only for a moment.
    Reassign,
    /// Somebody sets the time of day of a broker, ahead or back, by minutes or days.
    SetClock,
    /// The topic is deleted, and created again with the same name.
    Recreate,
    /// A broker is emptied, or that ends.
    Drain,
    /// A broker is emptied and taken out of the cluster.
    Decommission,
    /// A partition is left to a replica that lacks records, and somebody asks that it leads.
    ElectUnclean,
}

const FAULTS: &[Fault] = &[
    Fault::Crash,
    Fault::CrashAll,
    Fault::CleanRestart,
    Fault::Pause,
    Fault::Isolate,
    Fault::OneWay,
    Fault::Bridge,
    Fault::ClientsCut,
    Fault::Reset,
    Fault::SlowDisk,
    Fault::Wipe,
    Fault::Reassign,
    Fault::SetClock,
];

/// Topics of one name, one after another, in a run in which topics are deleted.
const INCARNATIONS_MAX: usize = 4;

/// The configuration of one run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) brokers: usize,
    pub(crate) partitions: usize,
    /// How many topics there can be, one after another.
    pub(crate) incarnations: usize,
    /// Whether producers name the topic instead of its id.
    pub(crate) by_name: bool,
    /// Whether a start knows the high watermarks of the run before.
    pub(crate) remembers: bool,
    pub(crate) replication_factor: usize,
    pub(crate) min_insync: usize,
    /// Mean one-way delay between two nodes.
    pub(crate) latency: Micros,
    /// Mean duration of a sync.
    pub(crate) sync: Micros,
    pub(crate) session_timeout: Micros,
    pub(crate) lag_max_ms: i64,
    /// How often leaderships go back to the preferred leaders.
    pub(crate) rebalance_ms: i64,
    /// Whether a leader needs a recent answer of the controller to append and to acknowledge.
    pub(crate) lease: bool,
    /// Percentage of calls that are lost.
    pub(crate) loss: u64,
    pub(crate) deletes: bool,
    /// Batches in flight per idempotent producer.
    pub(crate) in_flight: usize,
    /// Time between two batches of a producer.
    pub(crate) pace: Micros,
    pub(crate) faults: Vec<Fault>,
    /// Mean time between two faults.
    pub(crate) fault_pause: Micros,
    /// Faults and load end here.
    pub(crate) faults_end: Micros,
    /// By then everything must be well again.
    pub(crate) deadline: Micros,
}

impl Scenario {
    pub(crate) fn draw(seed: u64) -> Scenario {
        let random = &mut Random::new(seed, 1);
        let brokers = if random.percent(65) { 3 } else { random.index(2) + 4 };
        let replication_factor = if random.percent(80) { 3 } else { random.index(2) + 1 };
        let most = replication_factor.min(2);
        let min_insync = if random.percent(75) { most } else { 1 };
        let mut faults: Vec<Fault> = FAULTS.iter().copied().filter(|_| random.percent(45)).collect();
        if faults.is_empty() {
            faults.push(Fault::Crash);
        }
        // Draws of their own: the rest of a seed's scenario is the same without them.
        let operators = &mut Random::new(seed, 5);
        let recreates = operators.percent(20);
        if recreates {
            faults.push(Fault::Recreate);
        }
        let shrinks = operators.percent(15);
        if shrinks {
            faults.extend([Fault::Drain, Fault::Decommission]);
        }
        let loses = operators.percent(20);
        if loses {
            faults.extend([Fault::ElectUnclean; 2]);
        }
        // While others are down there is a majority, and one replica alone.
        let pairs = loses && operators.percent(70);
        let replication_factor = if pairs { 2 } else { replication_factor };
        let brokers = if loses && !pairs { 5 } else { brokers };
        let min_insync = if loses && operators.percent(70) { 1 } else { min_insync.min(replication_factor) };
        let faults_end = random.between(4_000, 16_000) * MILLI;
        Scenario {
            brokers: if shrinks { operators.index(2) + 4 } else { brokers },
            partitions: random.index(3) + 1,
            incarnations: if recreates { INCARNATIONS_MAX } else { 1 },
            by_name: operators.percent(50),
            remembers: loses,
            replication_factor,
            min_insync,
            latency: random.pick(&[100, 500, 2_000, 10_000, 40_000]).unwrap_or(500),
            sync: random.pick(&[100, 1_000, 5_000, 20_000]).unwrap_or(1_000),
            session_timeout: random.between(800, 3_000) * MILLI,
            lag_max_ms: random.pick(&[300, 1_000, 5_000]).unwrap_or(1_000),
            rebalance_ms: random.pick(&[700, 2_000, 8_000]).unwrap_or(2_000),
            lease: random.percent(50),
            loss: random.pick(&[0, 0, 2, 20]).unwrap_or(0),
            deletes: random.percent(30),
            in_flight: random.index(4) + 1,
            pace: random.between(10, 80) * MILLI,
            faults,
            fault_pause: random.between(150, 2_000) * MILLI,
            faults_end,
            deadline: faults_end + 60_000 * MILLI,
        }
    }

    /// How many partitions there can be in all, those of deleted topics included. They are numbered: those of the first topic, those
    /// of the next one, and so on.
    pub(crate) fn numbers(&self) -> usize {
        self.partitions * self.incarnations
    }
}
