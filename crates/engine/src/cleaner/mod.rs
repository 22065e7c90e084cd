//! Compaction at run time: one task that looks for the dirtiest compacted log, and compacts it beside the broker's work.
//!
//! It cannot die unseen: what goes wrong with one log, a panic included, marks that log as uncleanable until the next start
//! and leaves the others alone. It gives way to produce requests ([`pace`]), and ends within moments when its log is deleted or the
//! broker stops.

mod pace;
mod status;

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_log::{CleanError, CleanRequest, Cleaned, ProducerEnd};
use eddy_metadata::config::BrokerConfig;
use eddy_types::{Offset, ProducerId};
use tokio::task::JoinHandle;

use self::pace::Pace;
pub(crate) use self::status::CleanerState;
pub use self::status::{CleanerStatus, Uncleanable};
use crate::background;
use crate::engine::Engine;
use crate::partition::{Partition, PartitionKey};

/// Memory that compaction takes at most, whatever `log.cleaner.dedupe.buffer.size` says.
const MEMORY_MAX: u64 = 128 << 20;

/// Starts the task; it ends when the engine stops.
pub(crate) fn start(engine: &Arc<Engine>) -> JoinHandle<()> {
    let engine = Arc::clone(engine);
    let mut stopping = engine.stopping();
    tokio::spawn(async move {
        loop {
            let backoff = Duration::from_millis(engine.image().broker_config().log_cleaner_backoff_ms.max(1));
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(backoff) => {}
            }
            let this = Arc::clone(&engine);
            background::run("eddy-cleaner", move || round(&this)).await;
        }
    })
}

/// A log that is due.
struct Due {
    partition: Arc<Partition>,
    dirty_ratio: f64,
    dirty_bytes: u64,
}

/// Compacts every log that is due, the dirtiest first.
fn round(engine: &Arc<Engine>) {
    let config = Arc::clone(engine.image().broker_config());
    if !config.log_cleaner_enable {
        return;
    }
    for due in due(engine) {
        if *engine.stopping().borrow() {
            return;
        }
        clean_one(engine, &config, &due);
    }
    engine.cleaner().round_ended();
}

/// Looks at every open log of a compacted topic. One that nobody has opened since the start is looked at once retention has.
fn due(engine: &Arc<Engine>) -> Vec<Due> {
    let image = engine.image();
    let (now, state) = (engine.now(), engine.cleaner());
    let mut dirty_ratio_max = 0.0_f64;
    let mut due = Vec::new();
    let mut known = BTreeSet::new();
    for topic in image.topics().filter(|topic| topic.config.cleanup_policy.compact) {
        for index in (0..).take(topic.partitions.len()) {
            let key = PartitionKey { topic: topic.id, index };
            let Some(partition) = engine.partitions().get_open(key) else { continue };
            known.insert(key);
            if state.is_uncleanable(key) {
                continue;
            }
            match partition.log().cleanable(now, stable_end(&partition)) {
                Ok(Some(cleanable)) => {
                    let dirty_ratio = cleanable.dirty_ratio();
                    dirty_ratio_max = dirty_ratio_max.max(dirty_ratio);
                    if cleanable.is_due {
                        due.push(Due { partition, dirty_ratio, dirty_bytes: cleanable.dirty_bytes });
                    }
                }
                Ok(None) => {}
                Err(error) => give_up(engine, &partition, &error.to_string()),
            }
        }
    }
    state.looked(dirty_ratio_max, &known);
    due.sort_by(|a, b| b.dirty_ratio.total_cmp(&a.dirty_ratio));
    due
}

/// Records from here on may not be committed, or may be part of a transaction that is not decided.
fn stable_end(partition: &Partition) -> Offset {
    let offsets = partition.offsets();
    offsets.last_stable.min(offsets.high_watermark)
}

/// Compacts one log, in as many steps as its keys take.
fn clean_one(engine: &Arc<Engine>, config: &BrokerConfig, due: &Due) {
    let partition = &due.partition;
    if !has_room(engine, partition) {
        return;
    }
    let begin = Instant::now();
    engine.cleaner().begin(partition.key());
    let outcome = loop {
        match catch_unwind(AssertUnwindSafe(|| clean_step(engine, config, due))) {
            Ok(Ok(cleaned)) => {
                engine.cleaner().cleaned(&cleaned, begin.elapsed());
                partition.note_cleaned();
                tracing::debug!(topic = %partition.topic(), partition = partition.key().index, ?cleaned,
                    "compacted a log");
                if !cleaned.more {
                    break Ok(());
                }
            }
            Ok(Err(error)) => break Err(error),
            Err(_) => {
                give_up(engine, partition, "compaction panicked");
                break Ok(());
            }
        }
    };
    engine.cleaner().end();
    let (topic, index) = (partition.topic(), partition.key().index);
    match outcome {
        Ok(()) | Err(CleanError::Stopped | CleanError::Changed) => {}
        Err(CleanError::NoRoom(error)) => {
            if engine.cleaner().lacks_room(partition.key()) {
                tracing::warn!(%topic, partition = index, %error, "no room to compact a log; tried again later");
            }
        }
        // Its directory may have gone under the compaction.
        Err(CleanError::Log(_)) if partition.is_gone() => {}
        Err(CleanError::Log(error)) => give_up(engine, partition, &error.to_string()),
        Err(error @ CleanError::Swap(_)) => {
            (engine.partitions().storage().on_fatal)("cannot compact a log", &error)
        }
    }
}

/// Whether the disk has room for a copy of the largest segment that the compaction may write, above the reserve: one that has to be
/// given up half way would have had writes refused for nothing.
fn has_room(engine: &Engine, partition: &Partition) -> bool {
    let log = partition.log();
    let needs = log.size_bytes().min(u64::from(log.config().segment_bytes));
    let space = engine.disk_space();
    let free = space.free.load(Ordering::Relaxed).saturating_sub(space.reserve.load(Ordering::Relaxed));
    if needs <= free {
        engine.cleaner().found_room(partition.key());
        return true;
    }
    if engine.cleaner().lacks_room(partition.key()) {
        tracing::warn!(topic = %partition.topic(), partition = partition.key().index, needs, free,
            "no room to compact a log; it waits until there is");
    }
    false
}

fn clean_step(engine: &Arc<Engine>, config: &BrokerConfig, due: &Due) -> Result<Cleaned, CleanError> {
    let partition = &due.partition;
    let bytes_per_second = config.log_cleaner_io_max_bytes_per_second;
    let pace = Pace::new(engine, partition, bytes_per_second, due.dirty_bytes);
    let memory_bytes = config.log_cleaner_dedupe_buffer_size.min(MEMORY_MAX);
    partition.log().clean(&CleanRequest {
        now: engine.now(),
        stable_end: stable_end(partition),
        producers: &producers(partition),
        memory_bytes: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
        pace: &|bytes| pace.moved(bytes),
    })
}

fn producers(partition: &Partition) -> HashMap<ProducerId, ProducerEnd> {
    let end = |producer: eddy_core::ProducerSnapshot| {
        let last_offset = producer.batches.last().map(|batch| batch.last_offset);
        (producer.id, ProducerEnd { epoch: producer.epoch, last_offset })
    };
    partition.producers().into_iter().map(end).collect()
}

fn give_up(engine: &Engine, partition: &Partition, reason: &str) {
    tracing::error!(topic = %partition.topic(), partition = partition.key().index, reason,
        "a log cannot be compacted and is left alone until the next start; reads and writes go on");
    engine.cleaner().give_up(partition.key(), partition.log().size_bytes(), reason);
}
