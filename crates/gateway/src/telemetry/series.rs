//! What clients pushed, as metrics of this broker, for as long as they go on pushing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use eddy_types::Millis;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::InstanceId;
use super::otlp::Series;
use super::subscription::instance_text;

/// Series shown at most, of all clients.
const SERIES_MAX: usize = 50_000;
/// What Kafka's clients put before every name.
const PREFIX: &str = "org.apache.kafka.";

/// The newest push of each client.
pub(super) struct Pushed {
    began: Instant,
    clients: Mutex<BTreeMap<InstanceId, Client>>,
}

struct Client {
    expires: Millis,
    series: Vec<Shown>,
}

/// A series as it is shown.
struct Shown {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Pushed {
    pub(super) fn new(began: Instant) -> Pushed {
        Pushed { began, clients: Mutex::default() }
    }

    /// Takes a client's push in place of the one before. What does not fit is left out.
    pub(super) fn replace(
        &self,
        now: Millis,
        id: InstanceId,
        client_id: &str,
        expires: Millis,
        series: Vec<Series>,
    ) {
        let mut clients = self.clients.lock();
        clients.remove(&id);
        clients.retain(|_, client| client.expires > now);
        let shown: usize = clients.values().map(|client| client.series.len()).sum();
        let instance = instance_text(id);
        let mut known = BTreeSet::new();
        let series = series
            .into_iter()
            .map(|series| Shown::new(series, client_id, &instance))
            // The same series twice makes the whole page unreadable.
            .filter(|shown| known.insert((shown.name.clone(), shown.labels.clone())))
            .take(SERIES_MAX.saturating_sub(shown));
        let series: Vec<Shown> = series.collect();
        if !series.is_empty() {
            clients.insert(id, Client { expires, series });
        }
    }

    fn now(&self) -> Millis {
        self.began.elapsed().into()
    }
}

impl Shown {
    fn new(series: Series, client_id: &str, instance: &str) -> Shown {
        let name = series.name.strip_prefix(PREFIX).unwrap_or(&series.name);
        let mut labels = vec![
            ("client_id".to_owned(), client_id.to_owned()),
            ("client_instance".to_owned(), instance.to_owned()),
        ];
        for (key, text) in series.labels {
            let key = sanitized(&key);
            if labels.iter().all(|(known, _)| *known != key) && !RESERVED.contains(&key.as_str()) {
                labels.push((key, text));
            }
        }
        // An order of its own would make one series two.
        labels.get_mut(2..).unwrap_or_default().sort();
        Shown { name: format!("eddy_client_{}", sanitized(name)), labels, value: series.value }
    }
}

/// Labels that every metric of the broker has already.
const RESERVED: [&str; 2] = ["broker", "cluster"];

/// A name as Prometheus takes it.
fn sanitized(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let mut name: String = name.chars().map(allowed).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert(0, 'x');
    }
    name
}

impl fmt::Debug for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushed").finish_non_exhaustive()
    }
}

impl Collector for Pushed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.now();
        let clients = self.clients.lock();
        let mut by_name: BTreeMap<&str, Vec<&Shown>> = BTreeMap::new();
        for client in clients.values().filter(|client| client.expires > now) {
            for shown in &client.series {
                by_name.entry(&shown.name).or_default().push(shown);
            }
        }
        for (name, series) in by_name {
            let help = "Pushed by clients (KIP-714).";
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for shown in series {
                ConstGauge::new(shown.value).encode(metric.encode_family(&shown.labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::registry::Registry;

    use super::*;

    fn series(name: &str, labels: &[(&str, &str)], value: f64) -> Series {
        let labels = labels.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Series { name: name.to_owned(), labels, value }
    }

    fn page(pushed: &Arc<Pushed>) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(pushed)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn series_are_shown_by_client_until_they_expire() {
        let pushed = Arc::new(Pushed::new(Instant::now()));
        let name = "org.apache.kafka.producer.record.send.rate";
        let twice = vec![
            series(name, &[("Topic", "a\"b"), ("client_id", "liar"), ("broker", "liar")], 1.5),
            series(name, &[("Topic", "a\"b")], 2.0),
            series("9.strange-ä", &[], f64::NAN),
        ];
        pushed.replace(Millis(0), [0; 16], "app", Millis(i64::MAX), twice);
        pushed.replace(Millis(0), [1; 16], "old", Millis(-1), vec![series(name, &[], 7.0)]);
        let instance = "client_instance=\"AAAAAAAAAAAAAAAAAAAAAA\"";
        assert_eq!(
            page(&pushed),
            [
                format!(
                    "eddy_client_producer_record_send_rate{{client_id=\"app\",{instance},topic=\"a\\\"b\"}} 1.5"
                ),
                format!("eddy_client_x9_strange__{{client_id=\"app\",{instance}}} NaN"),
            ]
        );
        pushed.replace(Millis(0), [2; 16], "new", Millis(i64::MAX), Vec::new());
        assert_eq!(pushed.clients.lock().len(), 1, "the expired one is gone, the empty one never came");
    }

    #[test]
    fn there_are_never_more_series_than_the_limit() {
        let pushed = Arc::new(Pushed::new(Instant::now()));
        for client in 0..12u8 {
            let many = (0..5000).map(|at| series(&format!("m{at}"), &[], 0.0)).collect();
            pushed.replace(Millis(0), [client; 16], "app", Millis(i64::MAX), many);
        }
        let shown: usize = pushed.clients.lock().values().map(|client| client.series.len()).sum();
        assert_eq!(shown, SERIES_MAX);
    }
}
