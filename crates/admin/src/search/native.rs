//! `/v1/search`: search without knowing Elasticsearch.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::backend::{Ask, Native, Refusal};
use super::elastic::answer;
use super::parameters::Parameters;
use super::{Searches, error, respond};

/// Records of an answer unless it says.
const LIMIT_DEFAULT: u64 = 100;
/// Records of an answer at most; `next` leads to the others.
const LIMIT_MAX: u64 = 10_000;

type Shared = State<Arc<Searches>>;

pub(super) async fn search(State(searches): Shared, uri: Uri) -> Response {
    let run = async {
        let mut given = Parameters::of(&uri)?;
        let pretty = given.flag("pretty")?;
        let wait = given.wait()?;
        let limit = given.number("limit")?.unwrap_or(LIMIT_DEFAULT);
        if limit > LIMIT_MAX {
            let reason = format!("limit must be at most {LIMIT_MAX}; next leads on from there: {limit}");
            return Err(Refusal::illegal(reason));
        }
        let newest_first = match given.take("order").as_deref() {
            None | Some("newest") => true,
            Some("oldest") => false,
            Some(other) => return Err(Refusal::illegal(format!("order must be newest or oldest: {other}"))),
        };
        let topics = given.take("topics").filter(|topics| !topics.is_empty());
        let question = Native {
            query: given.take("q").unwrap_or_default(),
            targets: topics.ok_or_else(|| {
                Refusal::illegal(
                    "topics is missing: names of topics, lists with commas, globs such as logs-*",
                )
            })?,
            since: given.moment("since")?,
            until: given.moment("until")?,
            after: given.take("after"),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            newest_first,
        };
        given.finish("/v1/search")?;
        Ok(answer(searches.ask(Ask::Native(question), wait).await?, pretty).await)
    };
    respond(run.await, error::problem)
}

pub(super) async fn status(State(searches): Shared, uri: Uri) -> Response {
    let run = async {
        let mut given = Parameters::of(&uri)?;
        let (pretty, wait) = (given.flag("pretty")?, given.wait()?);
        let targets = given.take("topics");
        given.finish("/v1/search/status")?;
        Ok(answer(searches.ask(Ask::Status { targets }, wait).await?, pretty).await)
    };
    respond(run.await, error::problem)
}
