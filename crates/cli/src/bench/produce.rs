//! `eddy bench produce`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use super::counts::Tally;
use super::course::{self, Course, Outcome};
use super::ledger::{Ledger, Stamp, Verdict};
use super::options::{Load, Plan, Times};
use super::payload::{Payload, lines, noise};
use super::producers::{self, Shared};
use super::report::{Report, Written};
use super::target::{self, offsets};
use crate::consume::fetch::{self, Chunk, Event, Options, Target};
use crate::consume::records;
use crate::error::{CliError, Exit};
use crate::moment::now_ms;
use crate::positions::{Place, Wanted};
use crate::{Context, Topic};

/// For acknowledged records to become readable, and between two looks.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(5);
const READ_BACK_INTERVAL: Duration = Duration::from_millis(100);

pub(super) const HELP: &str = "\
LOOPS
  --in-flight 1 --clients 128   closed: each producer waits for its answer before it sends again
  --in-flight 5                 pipelined, as producers do that are in a hurry; the default
  --rate 5000                   open: records are sent when they are due, whatever the answers do

Without a pause between them answers and requests wait for each other: only the open loop shows how long records would have waited.
A request that is refused because the broker is overloaded (REQUEST_TIMED_OUT) is counted, every other failure ends the run. Nothing is
sent again. The report comes in every case; the exit code is 0 when the run went as it was asked for, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    times: Times,
    /// Read back what was written: what was acknowledged and is lost, what is there twice or out of order
    #[arg(long, conflicts_with = "input")]
    verify: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let Arguments { load, times, verify } = arguments;
    let (report, outcome) = measure(context, &load, &times, verify).await?;
    report.print(context, outcome)
}

/// One run of a load: what it measured, and how it ended.
///
/// # Errors
/// The run did not begin.
pub(super) async fn measure(
    context: &Context,
    load: &Load,
    times: &Times,
    verify: bool,
) -> Result<(Report, Outcome), CliError> {
    context.changes()?;
    let prepared = Prepared::new(context, load, verify)?;
    let (topic, ends) = target::topic(context, &load.topic, load.partitions).await?;
    let (plan, written) = (prepared.plan, prepared.written(load));
    let shared = Arc::new(prepared.shared(context, load, times, verify));
    let mut clients = producers::start(context, &plan, &topic, &shared).await?;
    let so_far = || shared.tally.so_far();
    let mut outcome = course::run(context, times, &shared.course, &mut clients, so_far).await?;
    let count = topic.partitions.len();
    let mut report = Report::new("produce", load.topic.clone(), count, &shared.tally, &outcome);
    report.title = written.title(&context.printer);
    report.written = Some(written);
    if let (Some(ledger), None) = (&shared.ledger, &outcome.error) {
        match read_back(context, &topic, ends, ledger).await {
            Ok(verdict) => report.verified = Some(verdict),
            Err(error) => outcome.error = Some(error.during("cannot read back")),
        }
    }
    Ok((report, outcome))
}

/// A load that makes sense, before a broker is asked.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    payload: Payload,
    value_bytes: usize,
}

impl Prepared {
    pub(super) fn new(context: &Context, load: &Load, is_stamped: bool) -> Result<Prepared, CliError> {
        let values = match &load.input {
            Some(path) => Some(lines(&context.host, path)?),
            None => None,
        };
        let mean = |values: &Vec<bytes::Bytes>| {
            values.iter().map(bytes::Bytes::len).sum::<usize>().div_ceil(values.len().max(1))
        };
        let value_bytes = values.as_ref().map_or(load.record_size as usize, mean);
        let plan = load.plan(value_bytes, is_stamped)?;
        let values = values.unwrap_or_else(|| noise(value_bytes, load.compressibility, load.seed));
        let payload = Payload::new(values, plan.batch_records, load.codec.into(), is_stamped)?;
        Ok(Prepared { plan, payload, value_bytes })
    }

    pub(super) fn written(&self, load: &Load) -> Written {
        Written::new(load, self.plan, self.value_bytes)
    }

    pub(super) fn shared(self, context: &Context, load: &Load, times: &Times, is_stamped: bool) -> Shared {
        // Two runs at once must not take each other's records for their own.
        let run = ((now_ms() as u64) << 20) ^ u64::from(std::process::id());
        Shared {
            course: Arc::new(Course::new(times)),
            payload: self.payload,
            acks: load.acks,
            timeout: context.global.timeout,
            tally: Tally::default(),
            ledger: is_stamped.then(|| Ledger::new(run, load.clients)),
            budget: times.number.map(AtomicU64::new),
            producers: AtomicU32::new(load.clients),
        }
    }
}

/// Reads what was written since the partitions ended at `from`. What a leader acknowledged alone can be read a moment later.
async fn read_back(
    context: &Context,
    topic: &Topic,
    mut from: BTreeMap<Place, i64>,
    ledger: &Ledger,
) -> Result<Verdict, CliError> {
    let brokers = context.brokers().await?;
    let (mut read, mut since) = (0, Instant::now());
    loop {
        let until = offsets(brokers, std::slice::from_ref(topic), Wanted::Latest).await?;
        let mut targets = Vec::new();
        for (place, from) in &from {
            let until = until.get(place).copied().ok_or_else(|| {
                CliError::new(Exit::Unreachable, format!("no leader answers for partition {place}"))
            })?;
            targets.push(Target {
                topic: place.topic.as_str().into(),
                topic_id: topic.id,
                partition: place.partition,
                from: *from,
                until: Some(until),
            });
        }
        let options = Options { committed: false, patience: context.global.timeout };
        let mut events = fetch::start(brokers.clone(), targets, options);
        while let Some(event) = events.recv().await {
            if let Event::Chunk(chunk) = event? {
                note_stamps(&chunk, |partition, stamp| {
                    ledger.read(partition, stamp);
                })?;
            }
        }
        let verdict = ledger.verdict();
        if verdict.read > read {
            (read, since) = (verdict.read, Instant::now());
        }
        // Without acknowledgements only time tells what is not there.
        let is_all = verdict.lost == 0 && (verdict.acknowledged > 0 || verdict.read == verdict.sent);
        if is_all || since.elapsed() >= READ_BACK_PATIENCE {
            return Ok(verdict);
        }
        from = until;
        tokio::time::sleep(READ_BACK_INTERVAL).await;
    }
}

/// Calls `each` with the stamps of a chunk's records; checks checksums.
pub(super) fn note_stamps(chunk: &Chunk, mut each: impl FnMut(i32, &Stamp)) -> Result<(), CliError> {
    records(chunk, |record| {
        if let Some(stamp) = record.value.as_deref().and_then(Stamp::read) {
            each(record.partition, &stamp);
        }
        Ok(true)
    })?;
    Ok(())
}
