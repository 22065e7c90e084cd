//! Metrics of the write-ahead log, the flusher, compaction and the disk. The engine keeps the numbers; this reads
//! them at scrape time.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use eddy_engine::{CleanerStatus, Engine};
use eddy_wal::{Pressure, Profile, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::put::Put;

pub(super) fn register(registry: &mut Registry, engine: &Arc<Engine>, profile: Profile, dir: &Path) {
    let info = Info::new([("profile", profile.to_string())]);
    registry.register("eddy_wal_profile", "Profile of the write-ahead log", info);
    let metrics = EngineMetrics { engine: Arc::downgrade(engine), dir: dir.display().to_string() };
    registry.register_collector(Box::new(metrics));
}

/// Weak: a scrape during the stop must not keep the engine's files open.
struct EngineMetrics {
    engine: Weak<Engine>,
    dir: String,
}

impl fmt::Debug for EngineMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineMetrics").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Collector for EngineMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(engine) = self.engine.upgrade() else { return Ok(()) };
        let mut put = Put(encoder);
        wal(&mut put, &engine.wal().stats())?;
        backpressure(&mut put, &engine)?;
        storage(&mut put, &engine, &self.dir)?;
        compaction(&mut put, &engine.cleaner_status())
    }
}

fn wal(put: &mut Put<'_>, stats: &Stats) -> fmt::Result {
    put.gauge(
        "eddy_wal_queue_records",
        "Record batches that wait for the disk",
        u64::from(stats.queue_batches),
    )?;
    put.gauge(
        "eddy_wal_queue_limit_records",
        "Record batches that may wait",
        u64::from(stats.limits.queue_depth),
    )?;
    put.bytes("eddy_wal_queue", "Bytes that wait for the disk", stats.queue_bytes as u64)?;
    put.gauge("eddy_wal_waiting_requests", "Produce requests that wait for room", stats.waiting as u64)?;
    put.bytes("eddy_wal_files", "Size of the write-ahead log's files", stats.file_bytes)?;
    put.bytes("eddy_wal_retained", "Write-ahead log that a start would replay", stats.retained_bytes)?;
    put.counter("eddy_wal_written_bytes", "Bytes written to the write-ahead log", stats.bytes_written)?;
    put.counter("eddy_wal_commits_in_place", "Group commits by whoever appended", stats.groups_in_place)?;
    put.histogram(
        "eddy_wal_group_commit_records",
        "Entries of one group commit",
        None,
        &stats.group_entries,
    )?;
    put.histogram("eddy_wal_fsync", "Time of one sync", Some(&Unit::Seconds), &stats.sync_seconds)?;
    put.histogram(
        "eddy_wal_wait",
        "Time entries wait for their group",
        Some(&Unit::Seconds),
        &stats.wait_seconds,
    )
}

fn backpressure(put: &mut Put<'_>, engine: &Engine) -> fmt::Result {
    let state = match *engine.pressure().borrow() {
        Pressure::Normal => 0,
        Pressure::Pressed => 1,
        Pressure::Full => 2,
    };
    put.gauge("eddy_backpressure_state", "0 normal, 1 pressed, 2 full", state)?;
    let rejected = engine.backpressure().rejected.load(Ordering::Relaxed);
    let labels = [("surface", "kafka"), ("reason", "full")];
    put.0
        .encode_descriptor(
            "eddy_backpressure_rejected",
            "Produces refused for want of room.",
            None,
            MetricType::Counter,
        )?
        .encode_family(&labels)?
        .encode_counter::<[(&str, &str); 0], u64, f64>(&rejected, None)?;
    let requests = engine.request_budget();
    put.bytes("eddy_request_memory", "Memory of requests in flight", requests.used() as u64)?;
    put.bytes("eddy_request_memory_limit", "Memory that requests may hold", requests.capacity() as u64)
}

fn storage(put: &mut Put<'_>, engine: &Engine, dir: &str) -> fmt::Result {
    let disk = engine.disk_space();
    let labels = [("dir", dir)];
    for (name, help, value) in [
        ("eddy_disk_free", "Space left on the file system of the data directory.", &disk.free),
        ("eddy_disk_total", "Size of the file system of the data directory.", &disk.total),
        ("eddy_disk_reserve", "Space that writes leave free.", &disk.reserve),
    ] {
        put.0
            .encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?
            .encode_family(&labels)?
            .encode_gauge(&value.load(Ordering::Relaxed))?;
    }
    let state = if disk.protect.load(Ordering::Relaxed) { 2u64 } else { 0 };
    put.gauge("eddy_disk_state", "0 ok, 2 writes are refused until there is space", state)?;
    let (tail, tail_limit) = engine.tail_bytes();
    put.bytes("eddy_tail_cache", "Newest batches held in memory", tail as u64)?;
    put.bytes("eddy_tail_cache_limit", "Memory that the tail caches may hold", tail_limit as u64)?;
    let (checkpoints, flushed) = engine.flush_counters();
    put.counter("eddy_checkpoints", "Checkpoints taken", checkpoints)?;
    put.counter("eddy_flushed_bytes", "Bytes written to segments", flushed)
}

fn compaction(put: &mut Put<'_>, status: &CleanerStatus) -> fmt::Result {
    put.gauge("eddy_compaction_running", "1 while a log is compacted", u64::from(status.running.is_some()))?;
    put.counter("eddy_compaction_runs", "Logs compacted", status.runs)?;
    put.counter("eddy_compaction_read_bytes", "Bytes that compaction read", status.bytes_read)?;
    put.counter("eddy_compaction_written_bytes", "Bytes that compaction wrote", status.bytes_written)?;
    put.counter("eddy_compaction_freed_bytes", "Bytes by which logs became smaller", status.bytes_freed)?;
    put.counter(
        "eddy_compaction_dropped_records",
        "Records that compaction dropped",
        status.records_dropped,
    )?;
    put.measure(
        "eddy_compaction_dirty_ratio_max",
        "Largest dirty ratio of a log",
        None,
        status.dirty_ratio_max,
    )?;
    let since = status.since_last_round.map_or(0.0, |since| since.as_secs_f64());
    let help = "Time since compaction last looked at all logs";
    put.measure("eddy_compaction_last_round_age", help, Some(&Unit::Seconds), since)?;
    put.bytes(
        "eddy_compaction_map_max",
        "Most memory that compaction took for keys",
        status.map_bytes_max as u64,
    )?;
    put.gauge(
        "eddy_compaction_uncleanable_logs",
        "Logs that are not compacted until the next start; the log says why",
        status.uncleanable.len() as u64,
    )?;
    put.gauge(
        "eddy_compaction_waiting_logs",
        "Logs that wait for room on the disk",
        status.waiting_for_room as u64,
    )
}
