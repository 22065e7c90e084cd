use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A searcher that says what it was asked, one that refuses, and one that never answers.
enum Fake {
    Echo,
    Refuse(Refusal),
    Never,
}

impl Searcher for Fake {
    fn ask(&self, ask: Ask, wait: Wait) -> Answer<'_> {
        Box::pin(async move {
            match self {
                Fake::Echo if matches!(ask, Ask::Indices { .. }) => Ok(json!([
                    { "health": "green", "index": "logs", "docs.count": "12" },
                    { "health": "green", "index": "audit", "docs.count": "7" },
                ])),
                Fake::Echo => Ok(json!({ "asked": format!("{ask:?}"), "wait": format!("{wait:?}") })),
                Fake::Refuse(refusal) => Err(refusal.clone()),
                Fake::Never => std::future::pending().await,
            }
        })
    }
}

async fn serve(fake: Option<Fake>) -> SocketAddr {
    let slot = SearchSlot::empty();
    if let Some(fake) = fake {
        slot.fill(Arc::new(fake));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(slot)).await });
    address
}

/// Status line and headers, and the body as JSON (text if it is none).
async fn call(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses by the length alone may close before it has read the body.
    stream.write_all(body).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

async fn asked(method: &str, path: &str, body: &[u8]) -> String {
    let (head, answer) = call(serve(Some(Fake::Echo)).await, method, path, body).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}\n{answer}");
    answer["asked"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_url_goes_before_the_body() {
    let body = br#"{"query":{"match_all":{}},"size":5}"#;
    let path = "/logs-*,audit/_search?q=level:error&sort=@timestamp:desc,_offset&size=2&_source=a,b";
    let said = asked("POST", path, body).await;
    assert!(said.contains("logs-*,audit") && said.contains("level:error"), "{said}");
    assert!(!said.contains(r#"Object {"match_all"#) && said.contains("\"size\": Number(2)"), "{said}");
    assert!(said.contains("desc") && said.contains("_offset"), "{said}");
}

#[tokio::test]
async fn a_search_without_a_body_or_a_topic_is_about_everything() {
    let said = asked("GET", "/_search", b"").await;
    assert_eq!(said, r#"Search { targets: "*", body: Object {}, text: "" }"#);
    assert!(asked("GET", "/logs/_count?q=a", b"").await.starts_with("Count"));
    assert!(asked("GET", "/logs/_mapping", b"").await.starts_with("Mapping"));
    assert!(asked("POST", "/_msearch", b"{}\n{}\n").await.starts_with("MultiSearch"));
    let caps = asked("POST", "/logs/_field_caps", br#"{"fields":["a*","b"]}"#).await;
    assert!(caps.contains(r#"fields: "a*,b""#), "{caps}");
}

#[tokio::test]
async fn the_native_question_has_bounds_and_a_direction() {
    let path = "/v1/search?q=a%20b&topics=logs&since=2026-11-21T06:47:02Z&limit=7&order=oldest";
    let said = asked("GET", path, b"").await;
    for part in [r#"query: "a b""#, "since: Some(1795243622000)", "limit: 7", "newest_first: false"] {
        assert!(said.contains(part), "{part} missing in {said}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_shape_of_the_route() {
    let address = serve(Some(Fake::Echo)).await;
    let (head, answer) = call(address, "POST", "/logs/_search", b"{\n\"query\": x}").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(answer["error"]["type"], "parsing_exception");
    assert_eq!((&answer["error"]["line"], &answer["error"]["col"]), (&json!(2), &json!(10)));
    assert_eq!(answer["error"]["root_cause"][0]["type"], "parsing_exception");
    assert_eq!(answer["status"], 400);

    for path in ["/logs/_search?siez=1", "/logs/_search?size=x", "/_cat/indices?format=yaml"] {
        let (_, answer) = call(address, "GET", path, b"").await;
        assert_eq!(answer["error"]["type"], "illegal_argument_exception", "{path}: {answer}");
    }
    for path in ["/v1/search?q=a", "/v1/search?topics=a&limit=100000", "/v1/search?topics=a&x=1"] {
        let (head, answer) = call(address, "GET", path, b"").await;
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert_eq!((&answer["status"], &answer["code"]), (&json!(400), &json!("ED-4510")), "{path}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_place_and_how_far_it_got() {
    let mut refusal = Refusal::new(504, "ED-4505", "timeout_exception", "not caught up");
    refusal.place = Some((1, 7));
    refusal.searched_through = Some(json!({ "logs": { "0": 41 } }));
    let address = serve(Some(Fake::Refuse(refusal))).await;
    let (head, answer) = call(address, "GET", "/logs/_search", b"").await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert_eq!(answer["searched_through"]["logs"]["0"], 41);
    let (_, answer) = call(address, "GET", "/v1/search?topics=logs", b"").await;
    assert_eq!((&answer["code"], &answer["col"]), (&json!("ED-4505"), &json!(7)));
    assert_eq!(answer["searched_through"]["logs"]["0"], 41);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let address = serve(Some(Fake::Echo)).await;
    let (head, answer) = call(address, "POST", "/logs/_search", &vec![b' '; BODY_BYTES_MAX + 1]).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(answer["error"]["code"], "ED-4509");
    let (head, _) = call(address, "POST", "/logs/_search", &vec![b' '; BODY_BYTES_MAX]).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn searches_past_the_limit_are_told_to_come_again() {
    let address = serve(Some(Fake::Never)).await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..=SEARCHES_MAX {
        asked.spawn(call(address, "GET", "/v1/search?topics=logs", b""));
    }
    let (head, answer) = asked.join_next().await.unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 1"), "{head}");
    assert_eq!(answer["code"], "ED-4507");
    let other = tokio::time::timeout(Duration::from_millis(50), asked.join_next()).await;
    assert!(other.is_err(), "refused below the limit");
}

#[tokio::test]
async fn before_the_broker_has_started_searches_are_told_to_come_again() {
    let (head, answer) = call(serve(None).await, "GET", "/logs/_search", b"").await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after"), "{head}");
    assert_eq!(answer["error"]["code"], "ED-4508");
}

#[tokio::test]
async fn the_list_of_indices_is_text_unless_json_is_asked_for() {
    let address = serve(Some(Fake::Echo)).await;
    let (_, text) = call(address, "GET", "/_cat/indices?v", b"").await;
    assert_eq!(text, json!("health index docs.count\ngreen  logs  12\ngreen  audit 7\n"));
    let (head, rows) = call(address, "GET", "/_cat/indices/logs?format=json", b"").await;
    assert!(head.contains("x-elastic-product: Elasticsearch"), "{head}");
    assert_eq!(rows[0]["index"], "logs");
}
