//! Execution of queries: over the views of the partitions led here, and over those of other brokers.
//!
//! A search has two rounds. In the first each broker is asked which of its records match ([`message::What::Query`]): it gives
//! the best of them by their places and sort values, counts, and aggregations not yet finished. In the second the brokers of
//! the hits that are shown are asked for the records ([`message::What::Fetch`]), which they read from their logs. Whoever was
//! asked first merges. Nothing of this runs on the threads of the broker's runtime, but waiting.

mod answer;
mod api;
mod best;
mod budget;
mod columns;
mod describe;
mod documents;
mod error;
mod fetch;
mod gather;
mod left_out;
mod local;
mod message;
mod multi;
mod native;
mod node;
mod part;
mod pool;
mod serve;
mod statistics;
mod status;
#[cfg(test)]
mod tests;
mod top;

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_peer::{Peers, Service};
use parking_lot::Mutex;
use serde_json::Value;

pub use api::{Missing, NativeAnswer, NativeHit, NativeQuery, SearchLimits, Wait};
pub(crate) use budget::Budget;
pub use error::{SearchError, SearchedThrough};
pub use status::{IndexesStatus, PartitionStatus, TopicStatus};

use self::node::{Broker, Node};
use self::pool::Pool;
use self::serve::Serving;
use crate::Indexer;
use crate::counters::Times;

/// Searches topics, here and on the other brokers: a handle, cheap to clone. Other brokers are served as long as there is one.
#[derive(Clone)]
pub struct Search {
    inner: Arc<Inner>,
}

/// What searches have done since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchStats {
    /// How long each search of a client took, whether it was answered or failed.
    pub seconds: Times,
    /// Searches that failed.
    pub failed: u64,
}

/// [`SearchStats`], as they are counted.
#[derive(Debug, Default)]
pub struct SearchCounters(Mutex<SearchStats>);

impl SearchCounters {
    /// What searches have done since the start.
    #[must_use]
    pub fn stats(&self) -> SearchStats {
        self.0.lock().clone()
    }

    fn add(&self, took: Duration, failed: bool) {
        let mut stats = self.0.lock();
        stats.seconds.add(took);
        stats.failed += u64::from(failed);
    }
}

pub(crate) struct Inner {
    node: Arc<dyn Node>,
    pool: Pool,
    limits: SearchLimits,
    counters: Arc<SearchCounters>,
}

impl Search {
    /// Starts: serves the searches of other brokers from now on. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(indexer: Arc<Indexer>, peers: Option<Peers>, limits: SearchLimits) -> Search {
        let search = Search::over(Arc::new(Broker { indexer, peers: peers.clone() }), limits);
        if let Some(peers) = peers {
            peers.serve(Service::Search, Arc::new(Serving(Arc::downgrade(&search.inner))));
        }
        search
    }

    pub(crate) fn over(node: Arc<dyn Node>, limits: SearchLimits) -> Search {
        let inner = Arc::new(Inner { node, pool: Pool::new(&limits), limits, counters: Arc::default() });
        Search { inner }
    }

    /// Counts searches; outlives them, and keeps nothing else alive.
    #[must_use]
    pub fn counters(&self) -> Arc<SearchCounters> {
        Arc::clone(&self.inner.counters)
    }

    /// Answers an Elasticsearch search body (`{}` matches everything) over `targets`: names, globs, lists with commas.
    ///
    /// # Errors
    /// See [`SearchError`]; one for a part of the partitions is in the answer's `_shards`.
    pub async fn search(&self, targets: &str, body: Value, wait: Wait) -> Result<Value, SearchError> {
        self.timed(async { Ok(self.inner.run(targets, body, wait, false).await?.elastic()) }).await
    }

    /// Answers `_count`: the body has a query and nothing else.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn count(&self, targets: &str, body: Value, wait: Wait) -> Result<Value, SearchError> {
        self.timed(async {
            Ok(self.inner.run(targets, answer::count_body(body)?, wait, false).await?.count())
        })
        .await
    }

    /// Answers `_msearch`: pairs of lines, a header and a body.
    ///
    /// # Errors
    /// If the lines cannot be taken apart. What is wrong with one search is in its place of the answer.
    pub async fn msearch(
        &self,
        lines: &[u8],
        default_targets: Option<&str>,
        wait: Wait,
    ) -> Result<Value, SearchError> {
        let begin = Instant::now();
        let mut responses = Vec::new();
        for one in multi::parse(lines, default_targets)? {
            responses.push(match self.search(&one.targets, one.body, wait.clone()).await {
                Ok(Value::Object(mut answer)) => {
                    answer.insert("status".to_owned(), 200.into());
                    Value::Object(answer)
                }
                Ok(answer) => answer,
                Err(error) => error.elastic(),
            });
        }
        Ok(serde_json::json!({"took": millis(begin.elapsed()), "responses": responses}))
    }

    /// Answers a query in the native language.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn query(&self, query: NativeQuery) -> Result<NativeAnswer, SearchError> {
        self.timed(async {
            let body = native::body(&query)?;
            let outcome = self.inner.run(&query.topics, body, query.wait.clone(), true).await?;
            Ok(native::answer(outcome, query.limit))
        })
        .await
    }

    async fn timed<T>(&self, search: impl Future<Output = Result<T, SearchError>>) -> Result<T, SearchError> {
        let begin = Instant::now();
        let result = search.await;
        self.inner.counters.add(begin.elapsed(), result.is_err());
        result
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
