//! Refusals in the two shapes that clients read.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::backend::Refusal;

/// After how many seconds a client that was refused for load may try again.
const RETRY_AFTER_SECONDS: u16 = 1;

/// The shape of Elasticsearch.
pub(super) fn elastic(refusal: &Refusal) -> Response {
    let cause = with_place(json!({ "type": refusal.kind, "reason": refusal.reason }), refusal);
    let mut error = cause.clone();
    insert(&mut error, "root_cause", json!([cause]));
    insert(&mut error, "code", json!(refusal.code));
    let mut body = json!({ "error": error, "status": refusal.status });
    if let Some(through) = &refusal.searched_through {
        insert(&mut body, "searched_through", through.clone());
    }
    finish(refusal, Json(body).into_response())
}

/// Problem details, RFC 9457.
pub(super) fn problem(refusal: &Refusal) -> Response {
    let mut body = with_place(
        json!({
            "type": "about:blank",
            "title": refusal.kind.trim_end_matches("_exception").replace('_', " "),
            "status": refusal.status,
            "detail": refusal.reason,
            "code": refusal.code,
        }),
        refusal,
    );
    if let Some(through) = &refusal.searched_through {
        insert(&mut body, "searched_through", through.clone());
    }
    let mut response = Json(body).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    finish(refusal, response)
}

fn with_place(mut body: Value, refusal: &Refusal) -> Value {
    if let Some((line, column)) = refusal.place {
        insert(&mut body, "line", json!(line));
        insert(&mut body, "col", json!(column));
    }
    body
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn finish(refusal: &Refusal, mut response: Response) -> Response {
    *response.status_mut() =
        StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if matches!(refusal.status, 429 | 503) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    response
}
