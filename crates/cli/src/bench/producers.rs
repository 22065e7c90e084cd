//! The producers of a run.

use std::collections::BTreeMap;
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
use crate::{Context, Topic};

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

/// Every partition has a producer when there are enough, and every producer a partition.
async fn routes(brokers: &Brokers, plan: &Plan, topic: &Topic, number: u32) -> Result<Vec<Route>, CliError> {
    let mut connections: BTreeMap<BrokerId, Arc<Connection>> = BTreeMap::new();
    let mut routes = Vec::new();
    let first = number as usize % topic.partitions.len().max(1);
    for partition in topic.partitions.iter().skip(first).step_by(plan.clients as usize) {
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
