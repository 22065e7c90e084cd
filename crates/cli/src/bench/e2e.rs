//! `eddy bench e2e`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::counts::Tally;
use super::course;
use super::options::{Load, Times};
use super::produce::{Prepared, note_stamps};
use super::producers::{self, Shared};
use super::report::{Report, Stage};
use super::{FETCH_PATIENCE, target};
use crate::Context;
use crate::consume::fetch::{self, Chunk, Event, Events, Options, Target};
use crate::error::CliError;

const RATE_DEFAULT: f64 = 1000.0;
/// Between two looks whether everything has arrived.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// For the last records to arrive after the last acknowledgement.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(5);

const HELP: &str = "\
Producers and a consumer in one program, with one clock: a record's end-to-end latency is from when it was due to when the consumer has it.
What is acknowledged and does not arrive, arrives twice or out of order is counted. Without --rate and --in-flight: --rate 1000.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{HELP}\n\n{}", super::produce::HELP))]
pub(super) struct Arguments {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    times: Times,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    context.changes()?;
    let Arguments { mut load, times } = arguments;
    if load.rate.is_none() && load.in_flight.is_none() {
        load.rate = Some(RATE_DEFAULT);
    }
    if load.input.is_some() {
        return Err(CliError::usage("values of --input cannot be recognised when they arrive")
            .fix("eddy bench produce --input FILE", "measure the producer alone"));
    }
    let prepared = Prepared::new(context, &load, true)?;
    let (topic, ends) = target::topic(context, &load.topic, load.partitions).await?;
    let (plan, written) = (prepared.plan, prepared.written(&load));
    let shared = Arc::new(prepared.shared(context, &load, &times, true));
    let received = Arc::new(Tally::default());
    let target = |(place, from): (crate::positions::Place, i64)| Target {
        topic: place.topic.as_str().into(),
        topic_id: topic.id,
        partition: place.partition,
        from,
        until: None,
    };
    let options = Options { committed: false, patience: FETCH_PATIENCE.min(context.global.timeout) };
    let targets = ends.into_iter().map(target).collect();
    let events = fetch::start(context.brokers().await?.clone(), targets, options);
    let mut clients = producers::start(context, &plan, &topic, &shared).await?;
    clients.spawn(receive(events, shared.clone(), received.clone()));
    let so_far = || received.so_far();
    let outcome = course::run(context, &times, &shared.course, &mut clients, so_far).await?;
    let mut report = Report::new("e2e", load.topic, topic.partitions.len(), &shared.tally, &outcome);
    report.title = written.title(&context.printer);
    report.written = Some(written);
    report.end_to_end = Some(Stage::new(&received.total(), outcome.seconds));
    if let (Some(ledger), None) = (&shared.ledger, &outcome.error) {
        report.verified = Some(ledger.verdict());
    }
    report.print(context, outcome)
}

/// Notes what arrives, until all producers have ended and all that was acknowledged is here, or does not come.
async fn receive(mut events: Events, shared: Arc<Shared>, received: Arc<Tally>) -> Result<(), CliError> {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut idle_since: Option<Instant> = None;
    loop {
        tokio::select! {
            event = events.recv() => match event.transpose()? {
                Some(Event::Chunk(chunk)) => {
                    note(&chunk, &shared, &received)?;
                    idle_since = None;
                }
                Some(Event::Note(_)) => {}
                None => return Ok(()),
            },
            _ = looks.tick() => {
                if shared.producers.load(Ordering::Acquire) > 0 {
                    continue;
                }
                let is_here = shared.ledger.as_ref().is_none_or(|ledger| ledger.verdict().lost == 0);
                let is_late = idle_since.get_or_insert_with(Instant::now).elapsed() >= ARRIVAL_PATIENCE;
                if is_here || is_late || shared.course.is_failed() {
                    return Ok(());
                }
            }
        }
    }
}

fn note(chunk: &Chunk, shared: &Shared, received: &Tally) -> Result<(), CliError> {
    let Some(ledger) = &shared.ledger else { return Ok(()) };
    let now_ns = shared.course.nanos(Instant::now());
    let is_measuring = shared.course.is_measuring();
    let mut noted = Ok(());
    received.count(0, |counts| {
        noted = note_stamps(chunk, |partition, stamp| {
            if !ledger.read(partition, stamp) {
                return;
            }
            if is_measuring {
                counts.records += 1;
            }
            if shared.course.counts(stamp.due_ns) {
                counts.latency(Duration::from_nanos(now_ns.saturating_sub(stamp.due_ns)), 1);
            }
        });
        if is_measuring {
            counts.requests += u64::from(chunk.took.is_some());
            counts.bytes += chunk.batches.len() as u64;
        }
    });
    noted
}
