//! What the gateway counts. Handles are resolved once; the hot path touches atomics only.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use eddy_engine::Engine;
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds, from half a millisecond to half a minute, and finer below for a broker that answers faster than that.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    10.0, 30.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DirectionLabel {
    api: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabel {
    api: &'static str,
    error: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LibraryLabel {
    software: String,
    version: String,
}

/// Libraries with a series of their own: a client may call itself anything.
const LIBRARIES_MAX: usize = 100;

/// Handles of one API.
pub(crate) struct ApiMetrics {
    pub(crate) seconds: Histogram,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
}

/// What back-pressure has cost, read from the engine at scrape time.
#[derive(Debug)]
struct Delayed(Weak<Engine>);

impl Collector for Delayed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Some(engine) = self.0.upgrade() else { return Ok(()) };
        let micros = engine.backpressure().delayed_micros.load(Ordering::Relaxed);
        let counter = ConstCounter::new(Duration::from_micros(micros).as_secs_f64());
        let name = "eddy_backpressure_delayed_seconds";
        let help = "Time that produces waited for room.";
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
    }
}

/// Everything the gateway counts.
pub(crate) struct Metrics {
    apis: Vec<(ApiKey, ApiMetrics)>,
    errors: Family<ErrorLabel, Counter>,
    pub(crate) connections: Gauge,
    rejected: Family<ReasonLabel, Counter>,
    libraries: Family<LibraryLabel, Gauge>,
    pub(crate) produced_records: Counter,
    pub(crate) produced_bytes: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) fetch_sessions: Gauge,
    pub(crate) batch_records: Histogram,
}

impl Metrics {
    /// Registers everything under the names of the metrics reference. Lives as long as the process: handles are shared as
    /// `&'static`, so that queued answers carry them without counting references.
    pub(crate) fn register(
        registry: &mut Registry,
        served: &[ApiKey],
        engine: &Arc<Engine>,
    ) -> &'static Metrics {
        registry.register_collector(Box::new(Delayed(Arc::downgrade(engine))));
        let seconds = Family::<ApiLabel, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        let bytes = Family::<DirectionLabel, Counter>::default();
        let apis = served.iter().map(|&key| {
            let api = key.name();
            let metrics = ApiMetrics {
                seconds: seconds.get_or_create_owned(&ApiLabel { api }),
                bytes_in: bytes.get_or_create_owned(&DirectionLabel { api, direction: "in" }),
                bytes_out: bytes.get_or_create_owned(&DirectionLabel { api, direction: "out" }),
            };
            (key, metrics)
        });
        let connections = Family::<ListenerLabel, Gauge>::default();
        let metrics = Metrics {
            apis: apis.collect(),
            errors: Family::default(),
            connections: connections.get_or_create_owned(&ListenerLabel { listener: "kafka" }),
            rejected: Family::default(),
            libraries: Family::default(),
            produced_records: Counter::default(),
            produced_bytes: Counter::default(),
            fetched_bytes: Counter::default(),
            bytes_sent: Counter::default(),
            fetch_sessions: Gauge::default(),
            batch_records: Histogram::new([
                1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
            ]),
        };
        registry.register_with_unit(
            "eddy_request",
            "Time from the first byte of a request to its answer",
            Unit::Seconds,
            seconds,
        );
        registry.register("eddy_request_bytes", "Bytes of requests and answers", bytes);
        registry.register("eddy_request_errors", "Error codes in answers", metrics.errors.clone());
        registry.register("eddy_connections", "Open client connections", connections);
        registry.register(
            "eddy_connection_rejected",
            "Connections ended for a reason other than the client's wish",
            metrics.rejected.clone(),
        );
        registry.register(
            "eddy_client_connections",
            "Connections whose client says what library it is",
            metrics.libraries.clone(),
        );
        registry.register("eddy_produced_records", "Records appended", metrics.produced_records.clone());
        registry.register("eddy_produced_bytes", "Bytes of batches appended", metrics.produced_bytes.clone());
        registry.register("eddy_fetched_bytes", "Bytes of batches sent", metrics.fetched_bytes.clone());
        registry.register("eddy_sent_bytes", "Bytes sent to clients", metrics.bytes_sent.clone());
        registry.register("eddy_fetch_sessions", "Open fetch sessions", metrics.fetch_sessions.clone());
        registry.register("eddy_produce_batch_records", "Records in a batch", metrics.batch_records.clone());
        Box::leak(Box::new(metrics))
    }

    /// Handles of a served API.
    pub(crate) fn api(&self, key: ApiKey) -> Option<&ApiMetrics> {
        self.apis.iter().find(|(known, _)| *known == key).map(|(_, metrics)| metrics)
    }

    /// Counts an error code in an answer of an API.
    pub(crate) fn error(&self, api: ApiKey, code: ErrorCode) {
        self.errors.get_or_create(&ErrorLabel { api: api.name(), error: code.name() }).inc();
    }

    /// Shows how many connections there are of each library and version.
    pub(crate) fn show_libraries(&self, counts: BTreeMap<(Arc<str>, Arc<str>), i64>) {
        self.libraries.clear();
        for ((software, version), count) in counts.into_iter().take(LIBRARIES_MAX) {
            let label = LibraryLabel { software: software.to_string(), version: version.to_string() };
            self.libraries.get_or_create(&label).set(count);
        }
    }

    /// Counts a connection that was refused or ended by the broker.
    pub(crate) fn rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabel { reason }).inc();
    }
}
