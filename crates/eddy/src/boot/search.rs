//! Lends the HTTP routes the index and who searches it.

use std::sync::Arc;

use eddy_admin::search::{Answer, Ask, Native, Refusal, Searcher};
use eddy_indexer::{IndexStatus, Indexer, NativeQuery, Search, SearchError, Wait};
use eddy_metadata::Topic;
use eddy_types::{Millis, Offset};
use serde_json::{Value, json};

/// Answers what is asked over HTTP.
pub(super) struct Searches {
    search: Search,
    indexer: Arc<Indexer>,
}

impl Searches {
    pub(super) fn new(search: Search, indexer: Arc<Indexer>) -> Searches {
        Searches { search, indexer }
    }

    async fn answer(&self, ask: Ask, wait: Wait) -> Result<Value, SearchError> {
        let search = &self.search;
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
            Ask::Indices { targets } => search.indices(targets.as_deref()).await,
            Ask::Native(native) => search.query(query(native, wait)).await.map(|found| json!(found)),
            Ask::Status { targets } => self.status(targets.as_deref()),
        }
    }

    /// How far the indexes on this broker are, of the topics of these names.
    fn status(&self, targets: Option<&str>) -> Result<Value, SearchError> {
        let image = self.indexer.engine().image();
        let topics = match targets {
            Some(names) => names
                .split(',')
                .map(|name| image.topic(name).ok_or_else(|| unknown(name)))
                .collect::<Result<Vec<_>, _>>()?,
            None => image.topics().collect(),
        };
        let topic = |topic: &Arc<Topic>| {
            let status = |index| Some(partition(index, &self.indexer.status(topic.id, index)?));
            let indexes = (0..).zip(&topic.partitions).filter_map(|(index, _)| status(index));
            let partitions: Vec<Value> = indexes.collect();
            let found =
                json!({ "topic": topic.name, "topic_id": topic.id.to_string(), "partitions": partitions });
            (!partitions.is_empty()).then_some(found)
        };
        Ok(json!({ "topics": topics.into_iter().filter_map(topic).collect::<Vec<_>>() }))
    }
}

fn unknown(name: &str) -> SearchError {
    SearchError::UnknownTopic { targets: name.to_owned() }
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

fn partition(index: i32, status: &IndexStatus) -> Value {
    json!({
        "partition": index,
        "state": status.state.name(),
        "searched_through": status.searched_through.0,
        "high_watermark": status.high_watermark.0,
        "lag_records": status.lag_records,
        "lag_seconds": status.lag.0 as f64 / 1000.0,
        "bytes": status.bytes,
        "records": status.records,
        "splits": status.splits,
    })
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
