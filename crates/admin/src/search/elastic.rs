//! The routes of Elasticsearch.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::backend::{Ask, Refusal};
use super::parameters::Parameters;
use super::{Searches, body, error, respond};

/// What Elasticsearch's own clients look for before they believe an answer.
const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

/// Columns of `_cat/indices` as text, those that are there.
const CAT_COLUMNS: &[&str] = &[
    "health",
    "status",
    "index",
    "uuid",
    "pri",
    "rep",
    "docs.count",
    "docs.deleted",
    "store.size",
    "pri.store.size",
];

/// All topics that are indexed.
const EVERYTHING: &str = "*";

type Shared = State<Arc<Searches>>;
type Targets = Option<Path<String>>;

pub(super) async fn search(State(searches): Shared, targets: Targets, request: Request) -> Response {
    respond(run_search(&searches, targets, request, false).await, error::elastic)
}

pub(super) async fn count(State(searches): Shared, targets: Targets, request: Request) -> Response {
    respond(run_search(&searches, targets, request, true).await, error::elastic)
}

async fn run_search(
    searches: &Searches,
    targets: Targets,
    request: Request,
    only_count: bool,
) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    let mut given = Parameters::of(request.uri())?;
    let (pretty, timeout) = (given.flag("pretty")?, given.duration("timeout")?);
    let mut wait = given.wait()?;
    wait.timeout = timeout.unwrap_or(wait.timeout);
    let overrides = overrides(&mut given, only_count)?;
    given.finish_elastic(&path)?;
    let sent = body(request).await?;
    let mut body = object(&sent)?;
    if let Some(timeout) = timeout.filter(|_| !only_count) {
        body.entry("timeout").or_insert_with(|| json!(format!("{}ms", timeout.as_millis())));
    }
    body.extend(overrides);
    let (targets, body) = (named(targets), Value::Object(body));
    let text = String::from_utf8_lossy(&sent).into_owned();
    let ask =
        if only_count { Ask::Count { targets, body, text } } else { Ask::Search { targets, body, text } };
    Ok(answer(searches.ask(ask, wait).await?, pretty).await)
}

/// What the URL says in place of the body.
fn overrides(given: &mut Parameters, only_count: bool) -> Result<Map<String, Value>, Refusal> {
    let mut body = Map::new();
    let operator = given.take("default_operator");
    if let Some(q) = given.take("q") {
        let mut query = json!({ "query": q });
        if let (Some(operator), Some(query)) = (operator, query.as_object_mut()) {
            query.insert("default_operator".to_owned(), json!(operator));
        }
        body.insert("query".to_owned(), json!({ "query_string": query }));
    }
    if only_count {
        return Ok(body);
    }
    for name in ["from", "size"] {
        if let Some(number) = given.number(name)? {
            body.insert(name.to_owned(), json!(number));
        }
    }
    if let Some(sort) = given.take("sort") {
        let one = |item: &str| match item.rsplit_once(':') {
            Some((field, order @ ("asc" | "desc"))) => json!({ field: { "order": order } }),
            _ => json!(item),
        };
        body.insert("sort".to_owned(), sort.split(',').map(one).collect());
    }
    if let Some(source) = given.take("_source") {
        let source = match source.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            fields => fields.split(',').collect(),
        };
        body.insert("_source".to_owned(), source);
    }
    if let Some(track) = given.take("track_total_hits") {
        let track = match track.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            number => json!(number.parse::<u64>().map_err(|_| {
                Refusal::illegal(format!("track_total_hits must be true, false or a number: {number}"))
            })?),
        };
        body.insert("track_total_hits".to_owned(), track);
    }
    Ok(body)
}

pub(super) async fn multi_search(State(searches): Shared, targets: Targets, request: Request) -> Response {
    let run = async {
        let path = request.uri().path().to_owned();
        let mut given = Parameters::of(request.uri())?;
        let (pretty, wait) = (given.flag("pretty")?, given.wait()?);
        given.finish_elastic(&path)?;
        let lines = body(request).await?;
        let targets = targets.map(|Path(targets)| targets);
        Ok(answer(searches.ask(Ask::MultiSearch { lines, targets }, wait).await?, pretty).await)
    };
    respond(run.await, error::elastic)
}

pub(super) async fn mapping(State(searches): Shared, targets: Targets, uri: Uri) -> Response {
    let run = async {
        let path = uri.path().to_owned();
        let mut given = Parameters::of(&uri)?;
        let (pretty, wait) = (given.flag("pretty")?, given.wait()?);
        given.finish_elastic(&path)?;
        Ok(answer(searches.ask(Ask::Mapping { targets: named(targets) }, wait).await?, pretty).await)
    };
    respond(run.await, error::elastic)
}

pub(super) async fn field_caps(State(searches): Shared, targets: Targets, request: Request) -> Response {
    let run = async {
        let path = request.uri().path().to_owned();
        let mut given = Parameters::of(request.uri())?;
        let (pretty, wait) = (given.flag("pretty")?, given.wait()?);
        let fields = given.take("fields");
        given.finish_elastic(&path)?;
        let mut body = object(&body(request).await?)?;
        let fields = match (fields, body.remove("fields")) {
            (Some(fields), _) => fields,
            (None, Some(Value::Array(names))) => {
                names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            (None, Some(Value::String(fields))) => fields,
            (None, None) => EVERYTHING.to_owned(),
            (None, Some(_)) => return Err(Refusal::illegal("fields must be a list of names")),
        };
        let ask = Ask::FieldCaps { targets: named(targets), fields };
        Ok(answer(searches.ask(ask, wait).await?, pretty).await)
    };
    respond(run.await, error::elastic)
}

pub(super) async fn indices(State(searches): Shared, targets: Targets, uri: Uri) -> Response {
    let run = async {
        let path = uri.path().to_owned();
        let mut given = Parameters::of(&uri)?;
        let (pretty, titles, wait) = (given.flag("pretty")?, given.flag("v")?, given.wait()?);
        let as_json = match given.take("format").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(Refusal::illegal(format!("format must be text or json: {other}"))),
        };
        given.finish_elastic(&path)?;
        let targets = targets.map(|Path(targets)| targets);
        let rows = searches.ask(Ask::Indices { targets }, wait).await?;
        Ok(if as_json {
            answer(rows, pretty).await
        } else {
            ([PRODUCT], table(&rows, titles)).into_response()
        })
    };
    respond(run.await, error::elastic)
}

fn named(targets: Targets) -> String {
    match targets {
        Some(Path(targets)) if targets == "_all" => EVERYTHING.to_owned(),
        Some(Path(targets)) => targets,
        None => EVERYTHING.to_owned(),
    }
}

/// A body that is a JSON object, or none at all.
fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let wrong = |reason: String, place| {
        let mut refusal = Refusal::new(400, "ED-4503", "parsing_exception", reason);
        refusal.place = place;
        refusal
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(wrong("the body must be a JSON object".to_owned(), Some((1, 1)))),
        Err(error) => {
            let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
            let place = (number(error.line()), number(error.column()));
            Err(wrong(format!("the body is not JSON: {error}"), Some(place)))
        }
    }
}

/// An answer as JSON. It may be large, and is written where that holds up nobody.
pub(super) async fn answer(value: Value, pretty: bool) -> Response {
    let write = move || {
        if pretty {
            serde_json::to_string_pretty(&value).map(|text| text + "\n")
        } else {
            serde_json::to_string(&value)
        }
    };
    match tokio::task::spawn_blocking(write).await.map_err(io::Error::from).and_then(|text| Ok(text?)) {
        Ok(text) => ([PRODUCT, (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text)
            .into_response(),
        Err(failure) => {
            let reason = format!("the answer cannot be written: {failure}");
            error::elastic(&Refusal::new(500, "ED-1000", "exception", reason))
        }
    }
}

/// Rows of `_cat` as aligned text.
fn table(rows: &Value, titles: bool) -> String {
    let rows: Vec<&Map<String, Value>> =
        rows.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let is_there = |name: &&str| rows.first().is_none_or(|row| row.contains_key(*name));
    let columns: Vec<&str> = CAT_COLUMNS.iter().copied().filter(is_there).collect();
    let cell = |row: &Map<String, Value>, name: &str| match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut lines: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect()).collect();
    if titles {
        lines.insert(0, columns.iter().map(|&name| name.to_owned()).collect());
    }
    let width = |index: usize| {
        lines.iter().filter_map(|line| line.get(index)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> =
            std::iter::zip(line, &widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        // Writing to a string does not fail.
        writeln!(out, "{}", cells.join(" ").trim_end()).ok();
    }
    out
}
