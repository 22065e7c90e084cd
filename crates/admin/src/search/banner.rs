//! What Elasticsearch's clients ask before they search.

use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::json;

use super::elastic::answer;

/// The version of Elasticsearch whose requests and answers are understood: clients choose their requests by it.
const VERSION: &str = "8.11.0";

/// Whether `GET /` is a program that wants to know whom it talks to, not a person's browser.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

/// The answer to `GET /`.
pub(crate) async fn banner() -> Response {
    let banner = json!({
        "name": "eddyline",
        "cluster_name": "eddyline",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "eddyline",
            "lucene_version": "9.8.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
            "eddyline": env!("CARGO_PKG_VERSION"),
        },
        "tagline": "Eddyline answers a subset of Elasticsearch's search interface",
    });
    answer(banner, true).await
}

/// Grafana's test of a data source. That this is answered is all it says: `/ready` and `/metrics` know more.
pub(super) async fn health() -> Response {
    answer(json!({ "cluster_name": "eddyline", "status": "green", "timed_out": false }), false).await
}
