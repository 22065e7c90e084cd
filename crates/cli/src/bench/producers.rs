//! The producers of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use eddy_client::Connection;
use eddy_types::BrokerId;
use tokio::sync::Notify;

use super::counts::Tally;
use super::course::{Clients, Course};
use super::ledger::Ledger;
use super::options::{Acks, Plan};
use super::payload::Payload;
use super::producer::{Producer, Route};
use super::schedule::{self, Schedule};
use crate::brokers::Brokers;
use crate::error::CliError;
use crate::{Context, Partition, Topic};

/// What the producers of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub course: Arc<Course>,
    pub payload: Payload,
    pub acks: Acks,
    /// The broker's time for its replicas and its own room.
    pub timeout: Duration,
    pub tally: Tally,
    /// Records are stamped and noted, when there is one.
    pub ledger: Option<Ledger>,
    /// Records that may still be sent; none for as many as there is time for.
    pub budget: Option<AtomicU64>,
    /// Producers that have not ended.
    pub producers: AtomicU32,
}

/// Connects the producers of a plan, and then starts them all.
pub(super) async fn start(
    context: &Context,
    plan: &Plan,
    topic: &Topic,
    shared: &Arc<Shared>,
) -> Result<Clients, CliError> {
    let brokers = context.brokers().await?;
    let mut producers = Vec::new();
    for number in 0..plan.clients {
        let routes = routes(brokers, plan, topic, number).await?;
        producers.push(Producer::new(number, routes, shared.clone()));
    }
    shared.course.start();
    let mut clients = Clients::new();
    let Some(rate) = plan.rate else {
        for producer in producers {
            clients.spawn(producer.run(plan.in_flight));
        }
        return Ok(clients);
    };
    let begin = Instant::now();
    let mut schedules = Vec::new();
    for (number, producer) in (0..).zip(producers) {
        let schedule = Schedule::new(plan, rate, number, begin);
        let wake = Arc::new(Notify::new());
        schedules.push((schedule, wake.clone()));
        clients.spawn(producer.run_at(schedule, wake, plan.in_flight));
    }
    schedule::start(schedules, shared.course.clone())?;
    Ok(clients)
}

/// Where a producer writes to, with a connection to each leader.
async fn routes(brokers: &Brokers, plan: &Plan, topic: &Topic, number: u32) -> Result<Vec<Route>, CliError> {
    let mut connections: BTreeMap<BrokerId, Arc<Connection>> = BTreeMap::new();
    let mut routes = Vec::new();
    for partition in share(&topic.partitions, plan.clients as usize, number as usize) {
        let connection = match connections.get(&partition.leader) {
            Some(connection) => connection.clone(),
            None => {
                let opened = Arc::new(brokers.dedicated(partition.leader, plan.in_flight).await?);
                connections.insert(partition.leader, opened.clone());
                opened
            }
        };
        routes.push(Route { partition: topic.partition(partition.index), connection });
    }
    Ok(routes)
}

/// The partitions of a producer: every partition has a producer when there are enough, and every producer a partition. All of them have
/// one leader when there are as many producers as leaders, so that no answer waits behind that of another broker.
fn share(partitions: &[Partition], producers: usize, number: usize) -> Vec<&Partition> {
    let leaders: BTreeSet<BrokerId> = partitions.iter().map(|partition| partition.leader).collect();
    let count = leaders.len().max(1);
    if producers < count {
        return partitions.iter().skip(number).step_by(producers.max(1)).collect();
    }
    let leader = leaders.iter().nth(number % count);
    let led: Vec<&Partition> = partitions.iter().filter(|one| Some(&one.leader) == leader).collect();
    // How many producers have the same leader, and which of them this is.
    let (peers, place) = ((producers - number % count).div_ceil(count), number / count);
    let first = place % led.len().max(1);
    led.into_iter().skip(first).step_by(peers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partitions of so many leaders in turn.
    fn partitions(count: i32, leaders: i32) -> Vec<Partition> {
        let partition = |index| Partition {
            index,
            leader: BrokerId(index % leaders),
            leader_epoch: 0,
            replicas: Vec::new(),
            isr: Vec::new(),
            offline: Vec::new(),
        };
        (0..count).map(partition).collect()
    }

    #[test]
    fn every_partition_is_written_and_every_producer_writes() {
        for (count, leaders, producers) in
            [(16, 1, 4), (16, 3, 4), (16, 3, 3), (16, 3, 1), (16, 3, 2), (3, 3, 128), (1, 1, 7), (5, 2, 9)]
        {
            let partitions = partitions(count, leaders);
            let shares: Vec<Vec<i32>> = (0..producers)
                .map(|number| share(&partitions, producers, number).iter().map(|one| one.index).collect())
                .collect();
            let case = format!("{count} partitions, {leaders} leaders, {producers} producers: {shares:?}");
            assert!(shares.iter().all(|share| !share.is_empty()), "{case}");
            let mut written: Vec<i32> = shares.concat();
            written.sort_unstable();
            written.dedup();
            assert_eq!(written.len(), count as usize, "{case}");
        }
    }

    #[test]
    fn a_producer_has_one_leader_when_there_are_enough_producers() {
        let partitions = partitions(16, 3);
        for number in 0..7 {
            let leaders: BTreeSet<BrokerId> =
                share(&partitions, 7, number).iter().map(|one| one.leader).collect();
            assert_eq!(leaders.len(), 1, "producer {number}");
        }
    }
}
