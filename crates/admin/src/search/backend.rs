//! What the routes ask, and of whom.

use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

/// Who searches: the binary lends it, so that this crate need not know the index.
pub trait Searcher: Send + Sync + 'static {
    /// Answers a question with a JSON document: of Elasticsearch's shape, but for [`Ask::Native`] and [`Ask::Status`].
    fn ask(&self, ask: Ask, wait: Wait) -> Answer<'_>;
}

/// The answer of a [`Searcher`], when it is there.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send + 'a>>;

/// A question. Targets are names of topics, lists of them separated by commas, and globs.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Elasticsearch's `_search`; an empty body matches everything.
    Search {
        /// Topics.
        targets: String,
        /// An object.
        body: Value,
        /// The body as it was sent, for places in it.
        text: String,
    },
    /// Elasticsearch's `_count`.
    Count {
        /// Topics.
        targets: String,
        /// An object.
        body: Value,
        /// The body as it was sent, for places in it.
        text: String,
    },
    /// Elasticsearch's `_msearch`.
    MultiSearch {
        /// Headers and bodies by turns, one a line.
        lines: Bytes,
        /// Topics of the searches whose header names none.
        targets: Option<String>,
    },
    /// Elasticsearch's `_mapping`.
    Mapping {
        /// Topics.
        targets: String,
    },
    /// Elasticsearch's `_field_caps`.
    FieldCaps {
        /// Topics.
        targets: String,
        /// Names and globs, separated by commas.
        fields: String,
    },
    /// Elasticsearch's `_cat/indices`, as a list of objects.
    Indices {
        /// Topics; all without it.
        targets: Option<String>,
    },
    /// `GET /v1/search`.
    Native(Native),
    /// How far the indexes are, on whichever broker.
    Status {
        /// Topics; all without it.
        targets: Option<String>,
    },
}

/// A question of `GET /v1/search`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// In the query language; empty for everything.
    pub query: String,
    /// Topics.
    pub targets: String,
    /// Only records not before this, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Only records before this, in milliseconds since the epoch.
    pub until: Option<i64>,
    /// `next` of the answer before.
    pub after: Option<String>,
    /// Records at most.
    pub limit: usize,
    /// The newest records first, else the oldest.
    pub newest_first: bool,
}

/// What must be searchable before the answer (read your writes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Partition and an offset that must be searched.
    pub min_offset: Vec<(i32, i64)>,
    /// All that is committed now must be searched.
    pub for_all: bool,
    /// For how long, at most; a search that does not say otherwise takes no longer, either.
    pub timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Of HTTP.
    pub status: u16,
    /// Such as `ED-4503`.
    pub code: &'static str,
    /// Elasticsearch's name for it.
    pub kind: &'static str,
    /// A sentence that says what to do.
    pub reason: String,
    /// Line and column of the query from 1, where it is about a place in one.
    pub place: Option<(u32, u32)>,
    /// How far partitions are searched, where it is about that.
    pub searched_through: Option<Value>,
}

impl Refusal {
    /// One without a place.
    #[must_use]
    pub fn new(status: u16, code: &'static str, kind: &'static str, reason: impl Into<String>) -> Refusal {
        Refusal { status, code, kind, reason: reason.into(), place: None, searched_through: None }
    }

    /// A parameter or body that makes no sense.
    pub(super) fn illegal(reason: impl Into<String>) -> Refusal {
        Refusal::new(400, "ED-4510", "illegal_argument_exception", reason)
    }
}
