use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;

struct Running {
    address: std::net::SocketAddr,
    readiness: watch::Sender<Readiness>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn start() -> Running {
    let mut registry = Registry::with_prefix("eddy");
    let requests: Counter<u64, AtomicU64> = Counter::default();
    requests.inc_by(3);
    registry.register("requests", "Requests", requests);
    registry.register("build", "Build", Info::new([("version", "1.2.3")]));
    let lag: Gauge = Gauge::default();
    lag.set(7);
    registry.register("lag", "Lag", lag);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (readiness, watched) = watch::channel(Readiness::Starting("recovering the log".into()));
    let (stop, stopped) = oneshot::channel::<()>();
    let admin = Admin {
        registry: Arc::new(RwLock::new(registry)),
        exporter: Arc::default(),
        readiness: watched,
        #[cfg(feature = "search")]
        search: search::SearchSlot::empty(),
    };
    let task = tokio::spawn(serve(listener, admin, async {
        stopped.await.ok();
    }));
    Running { address, readiness, stop, task }
}

async fn get(running: &Running, path: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn ready_only_while_kafka_clients_are_served() {
    let running = start().await;
    let answer = get(&running, "/ready", "*/*").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("starting: recovering the log\n"),
        "{answer}"
    );
    assert!(get(&running, "/live", "*/*").await.starts_with("HTTP/1.1 200 "));

    running.readiness.send(Readiness::Serving).unwrap();
    assert!(get(&running, "/ready", "*/*").await.starts_with("HTTP/1.1 200 "));

    running.readiness.send(Readiness::Stopping).unwrap();
    assert!(get(&running, "/ready", "*/*").await.starts_with("HTTP/1.1 503 "));
    assert!(get(&running, "/live", "*/*").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn metrics_come_as_prometheus_text_unless_openmetrics_is_asked_for() {
    let running = start().await;
    let classic = get(&running, "/metrics", "*/*").await;
    assert!(classic.contains("content-type: text/plain; version=0.0.4"), "{classic}");
    for line in [
        "# HELP eddy_requests_total Requests.\n# TYPE eddy_requests_total counter\neddy_requests_total 3\n",
        "# TYPE eddy_build_info gauge\neddy_build_info{version=\"1.2.3\"} 1\n",
        "# TYPE eddy_lag gauge\neddy_lag 7\n",
    ] {
        assert!(classic.contains(line), "{line} missing in {classic}");
    }
    assert!(!classic.contains("# EOF"));

    let open = get(&running, "/metrics", "application/openmetrics-text;version=1.0.0,*/*;q=0.1").await;
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.contains("# TYPE eddy_requests counter\n") && open.ends_with("# EOF\n"), "{open}");
}

#[tokio::test]
async fn the_page_lists_every_endpoint_and_unknown_paths_are_not_found() {
    let running = start().await;
    let page = get(&running, "/", "*/*").await;
    for endpoint in ["/live", "/ready", "/metrics"] {
        assert!(page.contains(endpoint));
    }
    assert!(get(&running, "/nothing", "*/*").await.starts_with("HTTP/1.1 404 "));
}

#[cfg(feature = "search")]
#[tokio::test]
async fn a_client_of_elasticsearch_is_told_a_version_and_a_browser_is_not() {
    let running = start().await;
    let banner = get(&running, "/", "application/json").await;
    assert!(banner.contains("x-elastic-product") && banner.contains("\"number\": \"8."), "{banner}");
    for accept in ["*/*", "text/html,application/json"] {
        assert!(get(&running, "/", accept).await.contains("<html"), "{accept}");
    }
    assert!(get(&running, "/_cluster/health", "*/*").await.contains("\"status\":\"green\""));
}

#[tokio::test]
async fn a_stop_ends_the_server() {
    let running = start().await;
    get(&running, "/live", "*/*").await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn connections_past_the_limit_wait_until_one_closes() {
    let running = start().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        open.push(stream);
    }
    let mut waiting = TcpStream::connect(running.address).await.unwrap();
    waiting.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), waiting.read_u8()).await;
    assert!(early.is_err(), "answered past the limit");
    open.pop();
    waiting.read_u8().await.unwrap();
}
