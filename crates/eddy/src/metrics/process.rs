//! The standard `process_*` metrics, read from `/proc/self` when they are asked for.

use std::fs;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::limits;

/// Registers the standard metrics.
pub(crate) fn register(registry: &mut Registry, open_files_max: Option<u64>) {
    registry.register_collector(Box::new(ProcessMetrics { open_files_max }));
}

/// Registers `eddy_build_info` and `eddy_memory_limit_bytes`.
pub(crate) fn register_build(registry: &mut Registry) {
    let build = Info::new([
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", option_env!("BUILD_COMMIT").unwrap_or("unknown")),
    ]);
    registry.register("eddy_build", "Version and commit of this binary", build);
    let memory: Gauge<u64, AtomicU64> = Gauge::default();
    memory.set(limits::memory_bytes().unwrap_or(0));
    registry.register_with_unit(
        "eddy_memory_limit",
        "Memory this process may use, 0 when unknown",
        Unit::Bytes,
        memory,
    );
}

#[derive(Debug)]
struct ProcessMetrics {
    open_files_max: Option<u64>,
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut put = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        if let Some(stat) = Stat::read() {
            put(
                "process_cpu",
                "User and system time spent.",
                Some(&Unit::Seconds),
                &ConstCounter::new(stat.cpu_seconds),
            )?;
            put(
                "process_resident_memory",
                "Memory in RAM.",
                Some(&Unit::Bytes),
                &ConstGauge::new(stat.resident_bytes),
            )?;
            put(
                "process_virtual_memory",
                "Address space in use.",
                Some(&Unit::Bytes),
                &ConstGauge::new(stat.virtual_bytes),
            )?;
            put("process_threads", "Threads.", None, &ConstGauge::new(stat.threads))?;
            if let Some(start) = stat.start_seconds {
                put(
                    "process_start_time",
                    "Start, since the Unix epoch.",
                    Some(&Unit::Seconds),
                    &ConstGauge::new(start),
                )?;
            }
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // The directory that is being read is open too.
            let open = files.count().saturating_sub(1) as u64;
            put("process_open_fds", "Open files and sockets.", None, &ConstGauge::new(open))?;
        }
        if let Some(max) = self.open_files_max {
            put("process_max_fds", "Open files and sockets allowed.", None, &ConstGauge::new(max))?;
        }
        Ok(())
    }
}

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    /// Since the Unix epoch.
    start_seconds: Option<f64>,
}

impl Stat {
    fn read() -> Option<Stat> {
        let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| boot_seconds(&text));
        Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?, boot)
    }

    fn parse(text: &str, boot_seconds: Option<f64>) -> Option<Stat> {
        // The second field is the program's name in parentheses, and may hold anything.
        let fields: Vec<_> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        // proc(5) counts fields from 1; the first after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Some(Stat {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            resident_bytes: field(24)? * rustix::param::page_size() as u64,
            virtual_bytes: field(23)?,
            threads: field(20)?,
            start_seconds: boot_seconds.zip(field(22)).map(|(boot, start)| boot + start as f64 / ticks),
        })
    }
}

/// When the machine started, from `/proc/stat`.
fn boot_seconds(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_metric_has_a_value() {
        let mut registry = Registry::default();
        register(&mut registry, Some(1024));
        register_build(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_start_time_seconds",
            "process_open_fds",
            "process_max_fds",
            "eddy_memory_limit_bytes",
        ] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name} in {text}");
        }
        assert!(text.contains("eddy_build_info{version=\"0.1.0\",commit=\""), "{text}");
    }

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text =
            "7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 200 100 0 0 20 0 5 0 300 4096 2 18446744073709551615 1";
        let stat = Stat::parse(text, Some(1000.0)).unwrap();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!((stat.threads, stat.virtual_bytes), (5, 4096));
        assert_eq!(stat.cpu_seconds, 300.0 / ticks);
        assert_eq!(stat.start_seconds, Some(1000.0 + 300.0 / ticks));
    }
}
