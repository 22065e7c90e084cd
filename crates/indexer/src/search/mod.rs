//! Execution of queries: over the views of the partitions led here, and over those of other brokers.

mod api;
mod budget;
mod error;

use serde_json::Value;

pub use api::{Missing, NativeAnswer, NativeHit, NativeQuery, SearchLimits, Wait};
pub(crate) use budget::Budget;
pub use error::{SearchError, SearchedThrough};

/// Searches topics, here and on the other brokers: a handle, cheap to clone.
#[derive(Clone)]
pub struct Search {}

impl Search {
    /// Answers an Elasticsearch search body (`{}` matches everything) over `targets`: names, globs, lists with commas.
    ///
    /// # Errors
    /// See [`SearchError`]; one for a part of the partitions is in the answer's `_shards`.
    pub async fn search(&self, _targets: &str, _body: Value, _wait: Wait) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers `_count`.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn count(&self, _targets: &str, _body: Value, _wait: Wait) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers `_msearch`: pairs of lines, a header and a body.
    ///
    /// # Errors
    /// If the lines cannot be taken apart. What is wrong with one search is in its place of the answer.
    pub async fn msearch(
        &self,
        _lines: &[u8],
        _default_targets: Option<&str>,
        _wait: Wait,
    ) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers `_mapping`.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn mapping(&self, _targets: &str) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers `_field_caps` for field names and globs.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn field_caps(&self, _targets: &str, _fields: &str) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers `_cat/indices` as JSON.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn indices(&self, _targets: Option<&str>) -> Result<Value, SearchError> {
        Err(not_yet())
    }

    /// Answers a query in the native language.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn query(&self, _query: NativeQuery) -> Result<NativeAnswer, SearchError> {
        Err(not_yet())
    }
}

fn not_yet() -> SearchError {
    SearchError::Unavailable { reason: "the search is not served yet".to_owned() }
}
