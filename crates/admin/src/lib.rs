//! HTTP: health, readiness, metrics and search.
//!
//! `eddy` binds the listener, creates the metric registry and moves [`Readiness`]; this crate only answers. It is up before
//! the broker recovers its log, so that a slow start can be watched.

mod exposition;
mod limit;
#[cfg(feature = "search")]
pub mod search;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use limit::CONNECTIONS_MAX;

/// How far the broker is between start and stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not serving yet; the text says what it is doing.
    Starting(Cow<'static, str>),
    /// Kafka clients are served.
    Serving,
    /// A stop was asked for; connections are being drained.
    Stopping,
}

/// What the HTTP endpoints answer from.
#[derive(Debug)]
pub struct Admin {
    /// Every metric of the process; values that live elsewhere are read at scrape time by its collectors. Shared, because
    /// parts of the broker register their own when they start.
    pub registry: Arc<RwLock<Registry>>,
    /// What `/metrics/kafka_exporter` shows.
    pub exporter: Arc<RwLock<Registry>>,
    /// The broker's present state.
    pub readiness: watch::Receiver<Readiness>,
    /// Who searches.
    #[cfg(feature = "search")]
    pub search: search::SearchSlot,
}

/// Answers on `listener` until `stop` resolves, then finishes the requests in flight.
pub async fn serve(listener: TcpListener, admin: Admin, stop: impl Future<Output = ()> + Send + 'static) {
    let app = router(Arc::new(admin));
    let served = axum::serve(limit::Limited::new(listener), app).with_graceful_shutdown(stop).await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin listener stopped");
    }
}

fn router(admin: Arc<Admin>) -> Router {
    #[cfg(feature = "search")]
    let search = search::router(admin.search.clone());
    let router = Router::new()
        .route("/", get(index))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/metrics/kafka_exporter", get(kafka_exporter))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found; / lists what is here\n") })
        .with_state(admin);
    #[cfg(feature = "search")]
    let router = router.merge(search);
    router
}

#[cfg(feature = "search")]
async fn index(headers: HeaderMap) -> Response {
    if search::wants_json(&headers) { search::banner().await } else { page() }
}

#[cfg(not(feature = "search"))]
async fn index() -> Response {
    page()
}

fn page() -> Response {
    Html(include_str!("index.html")).into_response()
}

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    let readiness = admin.readiness.borrow().clone();
    match readiness {
        Readiness::Serving => "ready\n".into_response(),
        Readiness::Starting(stage) => not_ready(format!("starting: {stage}\n")),
        Readiness::Stopping => not_ready("stopping\n".to_owned()),
    }
}

fn not_ready(reason: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    scrape(&admin.registry, &headers).await
}

/// The same broker under the names of the usual exporter for Kafka.
async fn kafka_exporter(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    scrape(&admin.exporter, &headers).await
}

async fn scrape(registry: &Arc<RwLock<Registry>>, headers: &HeaderMap) -> Response {
    let registry = Arc::clone(registry);
    let format =
        exposition::Format::accepted(headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()));
    // Collectors may read files of /proc: not on a thread that serves Kafka.
    let encoded = tokio::task::spawn_blocking(move || {
        let registry = registry.read().unwrap_or_else(PoisonError::into_inner);
        exposition::encode(&registry, format)
    })
    .await;
    match encoded {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Ok(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot encode metrics: {error}\n")).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot collect metrics: {error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
