//! Lends the HTTP routes the index and who searches it.

use eddy_admin::search::{Answer, Ask, Native, Refusal, Searcher};
use eddy_indexer::{NativeQuery, Search, SearchError, Wait};
use eddy_types::{Millis, Offset};
use serde_json::{Value, json};

/// Answers what is asked over HTTP.
pub(super) struct Searches(pub(super) Search);

impl Searches {
    async fn answer(&self, ask: Ask, wait: Wait) -> Result<Value, SearchError> {
        let Searches(search) = self;
        match ask {
            Ask::Search { targets, body, text } => {
                search.search(&targets, body, wait).await.map_err(|error| error.located(&text))
            }
            Ask::Count { targets, body, text } => {
                search.count(&targets, body, wait).await.map_err(|error| error.located(&text))
            }
            Ask::MultiSearch { lines, targets } => search.msearch(&lines, targets.as_deref(), wait).await,
            Ask::Mapping { targets } => search.mapping(&targets).await,
            Ask::FieldCaps { targets, fields } => search.field_caps(&targets, &fields).await,
            Ask::Indices { targets } => search.indices(targets.as_deref(), wait.timeout).await,
            Ask::Native(native) => search.query(query(native, wait)).await.map(|found| json!(found)),
            Ask::Status { targets } => {
                search.status(targets.as_deref(), wait.timeout).await.map(|found| json!(found))
            }
        }
    }
}

impl Searcher for Searches {
    fn ask(&self, ask: Ask, wait: eddy_admin::search::Wait) -> Answer<'_> {
        let wait = Wait {
            min_offset: wait.min_offset.into_iter().map(|(index, offset)| (index, Offset(offset))).collect(),
            for_all: wait.for_all,
            timeout: wait.timeout,
        };
        Box::pin(async move { self.answer(ask, wait).await.map_err(refusal) })
    }
}

fn query(native: Native, wait: Wait) -> NativeQuery {
    NativeQuery {
        q: native.query,
        topics: native.targets,
        from: native.since.map(Millis),
        // There a bound that is part of the range.
        to: native.until.map(|until| Millis(until.saturating_sub(1))),
        after: native.after,
        limit: native.limit,
        newest_first: native.newest_first,
        wait,
    }
}

fn refusal(error: SearchError) -> Refusal {
    let mut refusal = Refusal::new(error.status(), error.code(), error.kind(), error.to_string());
    match error {
        SearchError::BadQuery { line, column, .. } => {
            let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
            refusal.place = Some((number(line), number(column)));
        }
        SearchError::NotCaughtUp { searched_through, .. } => {
            refusal.searched_through = Some(json!(searched_through));
        }
        _ => {}
    }
    refusal
}
