//! When records are due, and a thread that says so: the runtime's timers know milliseconds only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::course::Course;
use super::failed;
use super::options::Plan;
use crate::error::CliError;

/// Between two looks whether the course is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// When the batches of a client are due. Clients take turns evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// Seconds between two records of the client.
    record_period: f64,
    batch_records: u32,
    /// Seconds after the start at which its first record is due.
    offset: f64,
}

impl Schedule {
    pub(super) fn new(plan: &Plan, rate: f64, client: u32, start: Instant) -> Schedule {
        let record_period = f64::from(plan.clients) / rate;
        let batch_period = record_period * f64::from(plan.batch_records);
        let offset = batch_period * f64::from(client) / f64::from(plan.clients);
        Schedule { start, record_period, batch_records: plan.batch_records, offset }
    }

    /// When the last record of a batch is due, and with it the batch.
    pub(super) fn due(&self, batch: u64) -> Instant {
        let record = (batch as f64 + 1.0) * f64::from(self.batch_records) - 1.0;
        // Further away than any course is long.
        let after = Duration::try_from_secs_f64(self.offset + record * self.record_period);
        self.start + after.unwrap_or(Duration::from_secs(1 << 40))
    }

    /// Time between two records.
    pub(super) fn step(&self) -> Duration {
        Duration::try_from_secs_f64(self.record_period).unwrap_or(Duration::MAX)
    }

    /// Batches that are due by `now`.
    pub(super) fn due_by(&self, now: Instant) -> u64 {
        let first = self.due(0);
        match now.checked_duration_since(first) {
            Some(since) => {
                let period = self.record_period * f64::from(self.batch_records);
                (since.as_secs_f64() / period) as u64 + 1
            }
            None => 0,
        }
    }
}

/// Starts the thread that wakes each client whenever a batch of its schedule is due, until the course is over, and then once more.
pub(super) fn start(clients: Vec<(Schedule, Arc<Notify>)>, course: Arc<Course>) -> Result<(), CliError> {
    let thread = thread::Builder::new().name("bench-schedule".to_owned());
    let started = thread.spawn(move || wake_on_time(&clients, &course));
    started.map(drop).map_err(|error| failed(format!("cannot start a thread: {error}")))
}

fn wake_on_time(clients: &[(Schedule, Arc<Notify>)], course: &Course) {
    let mut queue: BinaryHeap<_> =
        clients.iter().enumerate().map(|(index, (schedule, _))| Reverse((schedule.due(0), index))).collect();
    while !course.is_over() {
        let Some(Reverse((due, index))) = queue.peek().copied() else { break };
        let now = Instant::now();
        if due > now {
            thread::sleep((due - now).min(LOOK_INTERVAL));
            continue;
        }
        queue.pop();
        if let Some((schedule, wake)) = clients.get(index) {
            wake.notify_one();
            queue.push(Reverse((schedule.due(schedule.due_by(now)), index)));
        }
    }
    for (_, wake) in clients {
        wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedules(batch_records: u32) -> [Schedule; 2] {
        let plan = Plan { clients: 2, rate: Some(1000.0), in_flight: 1, batch_records };
        let start = Instant::now();
        [0, 1].map(|client| Schedule::new(&plan, 1000.0, client, start))
    }

    fn due_us(schedule: &Schedule, batch: u64) -> u128 {
        // Whole microseconds, whatever binary fractions make of them.
        ((schedule.due(batch) - schedule.start) + Duration::from_nanos(100)).as_micros()
    }

    #[test]
    fn clients_take_turns_at_the_rate() {
        let [first, second] = schedules(1);
        assert_eq!([0, 1, 2].map(|batch| due_us(&first, batch)), [0, 2000, 4000]);
        assert_eq!([0, 1, 2].map(|batch| due_us(&second, batch)), [1000, 3000, 5000]);
        assert_eq!(due_us(&first, 500_000_000), 1_000_000_000_000);
    }

    #[test]
    fn a_batch_is_due_with_its_last_record() {
        let [first, second] = schedules(5);
        assert_eq!([0, 1].map(|batch| due_us(&first, batch)), [8000, 18_000]);
        assert_eq!([0, 1].map(|batch| due_us(&second, batch)), [13_000, 23_000]);
        assert_eq!(first.step(), Duration::from_millis(2));
    }

    #[test]
    fn what_is_due_by_a_time_is_counted() {
        let [first, _] = schedules(5);
        for (ms, expected) in [(0, 0), (7, 0), (9, 1), (17, 1), (19, 2), (1000, 100)] {
            assert_eq!(first.due_by(first.start + Duration::from_millis(ms)), expected, "{ms} ms");
        }
    }
}
