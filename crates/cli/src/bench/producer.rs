//! One producer: as many requests as may be under way, or requests at the times they are due.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_client::{Acknowledged, CallError, Connection, PartitionName};
use eddy_types::ErrorCode;
use tokio::sync::Notify;

use super::ledger::Stamp;
use super::options::Acks;
use super::producers::Shared;
use super::schedule::Schedule;
use crate::error::CliError;

/// What is due so shortly before the end need not have been sent.
const NO_DELAY: Duration = Duration::from_millis(10);

/// A partition and its leader.
pub(super) struct Route {
    pub partition: PartitionName,
    pub connection: Arc<Connection>,
}

/// One producer.
pub(super) struct Producer {
    number: u32,
    /// They get a batch each in turn.
    routes: Vec<Route>,
    shared: Arc<Shared>,
    /// Batches so far.
    turn: u64,
}

/// A batch on its way.
struct Sent {
    /// When its last record was due.
    due: Instant,
    /// Number of its first record in the ledger.
    first: u64,
    value_bytes: u64,
    /// Index of the producer's route.
    route: usize,
}

type Answer = Pin<Box<dyn Future<Output = Result<Acknowledged, CallError>> + Send>>;

impl Drop for Producer {
    fn drop(&mut self) {
        let sent = self.turn * u64::from(self.shared.payload.records());
        self.shared.tally.count(self.number, |counts| counts.sent += sent);
        self.shared.producers.fetch_sub(1, Ordering::Release);
    }
}

impl Producer {
    pub(super) fn new(number: u32, routes: Vec<Route>, shared: Arc<Shared>) -> Producer {
        Producer { number, routes, shared, turn: 0 }
    }

    /// Keeps requests under way until the course is over.
    pub(super) async fn run(mut self, in_flight: usize) -> Result<(), CliError> {
        let mut flight: VecDeque<(Sent, Option<Answer>)> = VecDeque::with_capacity(in_flight);
        loop {
            while flight.len() < in_flight && self.may_send() {
                let sent = self.send(Instant::now(), Duration::ZERO).await?;
                flight.push_back(sent);
            }
            let Some((sent, answer)) = flight.pop_front() else { return self.barrier().await };
            self.settle(sent, answer, Duration::ZERO).await?;
        }
    }

    /// Sends a batch at each time it is due; its latency counts from then, however late it is sent.
    pub(super) async fn run_at(
        mut self,
        schedule: Schedule,
        wake: Arc<Notify>,
        in_flight: usize,
    ) -> Result<(), CliError> {
        let mut flight: VecDeque<(Sent, Option<Answer>)> = VecDeque::new();
        let mut is_done = false;
        loop {
            let mut due = schedule.due(self.turn);
            while !is_done && flight.len() < in_flight && due <= Instant::now() {
                is_done = !self.may_send();
                if !is_done {
                    let sent = self.send(due, schedule.step()).await?;
                    flight.push_back(sent);
                    due = schedule.due(self.turn);
                }
            }
            is_done |= self.shared.course.is_over();
            if is_done && flight.is_empty() {
                self.note_unsent(&schedule);
                return self.barrier().await;
            }
            let has_room = flight.len() < in_flight;
            tokio::select! {
                () = wake.notified(), if !is_done && has_room => {}
                answer = oldest(&mut flight) => {
                    if let Some((sent, _)) = flight.pop_front() {
                        self.take(&sent, answer, schedule.step())?;
                    }
                }
            }
        }
    }

    fn may_send(&self) -> bool {
        if self.shared.course.is_over() {
            return false;
        }
        let records = u64::from(self.shared.payload.records());
        // The last request may be larger than what is left.
        let take = |left: u64| if left == 0 { None } else { Some(left.saturating_sub(records)) };
        let budget = self.shared.budget.as_ref();
        budget.is_none_or(|left| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok())
    }

    /// Sends the next batch to the partition whose turn it is. `step` is the time between two of its records.
    async fn send(&mut self, due: Instant, step: Duration) -> Result<(Sent, Option<Answer>), CliError> {
        let shared = &self.shared;
        let records = shared.payload.records();
        let mut first = 0;
        let batch = match &shared.ledger {
            Some(ledger) => {
                first = ledger.number(self.number, records);
                let step_ns = step.as_nanos() as u64;
                let spread_ns = step_ns.saturating_mul(u64::from(records - 1));
                let due_ns = shared.course.nanos(due).saturating_sub(spread_ns);
                let stamp = Stamp { run: ledger.run, client: self.number, number: first, due_ns };
                Some(shared.payload.stamped(stamp, step_ns)?)
            }
            None => shared.payload.ready(self.turn + u64::from(self.number)).cloned(),
        };
        let route = self.turn as usize % self.routes.len().max(1);
        self.turn += 1;
        let (Some(batch), Some(Route { partition, connection })) = (batch, self.routes.get(route)) else {
            return Err(super::failed("there is nothing to send, or nowhere"));
        };
        let sent = Sent { due, first, value_bytes: batch.value_bytes, route };
        let acks = match shared.acks {
            Acks::All => eddy_client::Acks::All,
            Acks::Leader => eddy_client::Acks::Leader,
            Acks::None => {
                let posted = connection.produce_unacknowledged(partition, batch.bytes).await;
                posted.map_err(|error| self.trouble(route, error))?;
                return Ok((sent, None));
            }
        };
        let pending = connection.start_produce(partition, acks, shared.timeout, batch.bytes).await;
        let pending = pending.map_err(|error| self.trouble(route, error))?;
        Ok((sent, Some(Box::pin(pending.acknowledged()))))
    }

    async fn settle(&self, sent: Sent, answer: Option<Answer>, step: Duration) -> Result<(), CliError> {
        let answer = match answer {
            Some(answer) => Some(answer.await),
            None => {
                // Nothing else makes room for the tasks that serve the sockets.
                tokio::task::yield_now().await;
                None
            }
        };
        self.take(&sent, answer, step)
    }

    /// Counts an answer, or that none was asked for. An overloaded broker may refuse; everything else ends the run.
    fn take(
        &self,
        sent: &Sent,
        answer: Option<Result<Acknowledged, CallError>>,
        step: Duration,
    ) -> Result<(), CliError> {
        let now = Instant::now();
        let shared = &self.shared;
        let records = shared.payload.records();
        match answer {
            Some(Err(error)) if error.code() == Some(ErrorCode::RequestTimedOut) => {
                shared.tally.count(self.number, |counts| {
                    counts.answered += u64::from(records);
                    *counts.refused.entry(ErrorCode::RequestTimedOut.name()).or_default() += 1;
                });
                return Ok(());
            }
            Some(Err(error)) => return Err(self.trouble(sent.route, error)),
            Some(Ok(_)) | None => {}
        }
        if let (Some(ledger), Some(_)) = (&shared.ledger, &answer) {
            ledger.acknowledge(self.number, sent.first..sent.first + u64::from(records));
        }
        let is_measuring = shared.course.is_measuring();
        let counts_due = shared.course.counts(shared.course.nanos(sent.due));
        let took = now.saturating_duration_since(sent.due);
        shared.tally.count(self.number, |counts| {
            counts.answered += u64::from(records);
            if is_measuring {
                counts.requests += 1;
                counts.records += u64::from(records);
                counts.bytes += sent.value_bytes;
            }
            if counts_due && step.is_zero() {
                counts.latency(took, u64::from(records));
            } else if counts_due {
                for before in 0..records {
                    counts.latency(took + step * before, 1);
                }
            }
        });
        Ok(())
    }

    fn trouble(&self, route: usize, error: impl Into<CliError>) -> CliError {
        let about = self.routes.get(route).map(|route| route.partition.to_string()).unwrap_or_default();
        error.into().during(format!("cannot write to {about}"))
    }

    /// What was due and is not sent any more.
    fn note_unsent(&self, schedule: &Schedule) {
        let batches = schedule.due_by(self.shared.course.end_time() - NO_DELAY).saturating_sub(self.turn);
        if self.shared.budget.is_none() && batches > 0 {
            let records = batches * u64::from(self.shared.payload.records());
            self.shared.tally.count(self.number, |counts| counts.unsent += records);
        }
    }

    /// Waits until the broker has taken what nobody acknowledges: it answers in order.
    async fn barrier(&self) -> Result<(), CliError> {
        if self.shared.acks != Acks::None {
            return Ok(());
        }
        for Route { partition, connection } in &self.routes {
            connection.latest_offset(partition).await?;
        }
        Ok(())
    }
}

/// The answer to the oldest batch; pending without one.
async fn oldest(flight: &mut VecDeque<(Sent, Option<Answer>)>) -> Option<Result<Acknowledged, CallError>> {
    match flight.front_mut() {
        Some((_, Some(answer))) => Some(answer.await),
        Some((_, None)) => {
            tokio::task::yield_now().await;
            None
        }
        None => std::future::pending().await,
    }
}
