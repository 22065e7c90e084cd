//! Search over HTTP: a subset of Elasticsearch's interface, so that its clients and Grafana work, and `/v1/search` for everybody.
//!
//! A request is read whole under limits of size and time, takes one of a bounded number of places, and is handed to the
//! [`Searcher`] that the binary lends once the broker has started. What cannot be answered is refused in the shape that the
//! client of the route reads.

mod backend;
mod banner;
mod elastic;
mod error;
mod native;
mod parameters;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

pub use backend::{Answer, Ask, Native, Refusal, Searcher, Wait};
pub(crate) use banner::{banner, wants_json};

/// Bytes of a request's body at most.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Requests that are answered at one time; more are refused at once, to be tried again.
pub const SEARCHES_MAX: usize = 64;
/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Where the routes find who searches: empty before the broker has started and after it stops.
#[derive(Clone)]
pub struct SearchSlot(watch::Sender<Option<Arc<dyn Searcher>>>);

impl SearchSlot {
    /// An empty one: the routes answer 503.
    #[must_use]
    pub fn empty() -> SearchSlot {
        SearchSlot(watch::Sender::new(None))
    }

    /// From now on `searcher` answers.
    pub fn fill(&self, searcher: Arc<dyn Searcher>) {
        self.0.send_replace(Some(searcher));
    }

    /// From now on nobody answers; what is being answered still is.
    pub fn clear(&self) {
        self.0.send_replace(None);
    }
}

impl std::fmt::Debug for SearchSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_filled = self.0.borrow().is_some();
        f.debug_tuple("SearchSlot").field(&is_filled).finish()
    }
}

/// What every route works with.
pub(crate) struct Searches {
    slot: SearchSlot,
    places: Semaphore,
}

impl Searches {
    /// Takes a place and asks.
    async fn ask(&self, ask: Ask, wait: Wait) -> Result<Value, Refusal> {
        let _place = self.place()?;
        let Some(searcher) = self.slot.0.borrow().clone() else {
            return Err(Refusal::new(
                503,
                "ED-4508",
                "no_shard_available_action_exception",
                "the broker is starting or stopping; try again when /ready says 200",
            ));
        };
        searcher.ask(ask, wait).await
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.places.try_acquire().map_err(|_| {
            let reason = format!("{SEARCHES_MAX} searches are being answered already; try again in a moment");
            Refusal::new(429, "ED-4507", "es_rejected_execution_exception", reason)
        })
    }
}

/// A request's body, whole.
async fn body(request: Request) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == 413 => Err(Refusal::new(
            413,
            "ED-4509",
            "content_too_long_exception",
            format!("the body of a search is longer than {BODY_BYTES_MAX} bytes"),
        )),
        Ok(Err(rejection)) => Err(Refusal::illegal(rejection.body_text())),
        Err(_) => Err(Refusal::new(
            408,
            "ED-4510",
            "illegal_argument_exception",
            format!("the body did not arrive within {} s", BODY_WITHIN.as_secs()),
        )),
    }
}

/// The routes of search.
pub(crate) fn router(slot: SearchSlot) -> Router {
    let searches = Arc::new(Searches { slot, places: Semaphore::new(SEARCHES_MAX) });
    Router::new()
        .route("/v1/search", get(native::search))
        .route("/v1/search/status", get(native::status))
        .route("/_cluster/health", get(banner::health))
        .route("/_cat/indices", get(elastic::indices))
        .route("/_cat/indices/{targets}", get(elastic::indices))
        .route("/_msearch", post(elastic::multi_search).get(elastic::multi_search))
        .route("/_field_caps", post(elastic::field_caps).get(elastic::field_caps))
        .route("/_search", post(elastic::search).get(elastic::search))
        .route("/_count", post(elastic::count).get(elastic::count))
        .route("/_mapping", get(elastic::mapping))
        .route("/{targets}/_search", post(elastic::search).get(elastic::search))
        .route("/{targets}/_count", post(elastic::count).get(elastic::count))
        .route("/{targets}/_msearch", post(elastic::multi_search).get(elastic::multi_search))
        .route("/{targets}/_mapping", get(elastic::mapping))
        .route("/{targets}/_field_caps", post(elastic::field_caps).get(elastic::field_caps))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(searches)
}

/// An answer, or its refusal in a shape.
fn respond(answer: Result<Response, Refusal>, shape: fn(&Refusal) -> Response) -> Response {
    answer.unwrap_or_else(|refusal| shape(&refusal))
}

#[cfg(test)]
mod tests;
