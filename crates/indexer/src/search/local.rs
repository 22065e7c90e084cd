//! The search over the splits of this broker. It blocks: it runs on threads of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tantivy::TantivyError;
use tantivy::aggregation::AggregationLimitsGuard;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;

use super::budget::Budget;
use super::error::SearchError;
use super::left_out::KeptFields;
use super::message::Hit;
use super::part::Part;
use super::statistics::Statistics;
use crate::query::body::Request;
use crate::query::bounds::Bounds;
use crate::{SearchableSplit, View};

/// What was found in the views.
pub(crate) struct Findings {
    pub(crate) total: u64,
    pub(crate) hits: Vec<Hit>,
    pub(crate) aggregations: Option<IntermediateAggregationResults>,
    pub(crate) timed_out: bool,
    /// Views that cannot be read, by the numbers of their partitions, and why.
    pub(crate) failed: BTreeMap<u32, String>,
}

/// Why views could not be searched.
pub(crate) enum Failure {
    /// The whole search fails.
    Search(SearchError),
    /// One view cannot be read.
    View(String),
}

/// A split to search: of which partition, and which view has it.
type Task<'v> = (u32, &'v View, &'v Arc<SearchableSplit>);

/// One search over the views of this broker.
pub(crate) struct LocalSearch<'a> {
    pub(super) request: &'a Request,
    pub(super) budget: &'a Arc<Budget>,
    pub(super) limits: AggregationLimitsGuard,
    pub(super) statistics: Statistics,
    /// Hits that the threads have counted, where it matters when there are enough.
    pub(super) counted: AtomicU64,
    tasks: Vec<Task<'a>>,
    next: AtomicUsize,
    failed: Mutex<BTreeMap<u32, String>>,
}

impl<'a> LocalSearch<'a> {
    pub(crate) fn new(
        request: &'a Request,
        views: &'a [(u32, View)],
        budget: &'a Arc<Budget>,
        limits: AggregationLimitsGuard,
    ) -> Self {
        let bounds = Bounds::of(&request.query);
        let splits = |(shard, view): &'a (u32, View)| {
            let can_match = move |split: &&Arc<SearchableSplit>| {
                let times = (split.timestamps.0.0, split.timestamps.1.0);
                let offsets = (split.offsets.start.max(view.log_start).0, split.offsets.end.0);
                split.offsets.end > view.log_start && bounds.touch(times, offsets)
            };
            view.splits.iter().filter(can_match).map(move |split| (*shard, view, split))
        };
        let mut tasks: Vec<Task<'a>> = views.iter().flat_map(splits).collect();
        let splits = tasks.iter().map(|(.., split)| Arc::clone(split)).collect();
        let statistics = Statistics::new(splits, budget);
        // Threads that take the largest first end at about the same time.
        tasks.sort_by_key(|(.., split)| std::cmp::Reverse(split.searcher.num_docs()));
        LocalSearch {
            request,
            budget,
            limits,
            statistics,
            counted: AtomicU64::new(0),
            tasks,
            next: AtomicUsize::new(0),
            failed: Mutex::default(),
        }
    }

    /// Where the splits have the fields that the request sorts by or aggregates over.
    pub(crate) fn kept(&self) -> KeptFields {
        KeptFields::of(self.request, self.tasks.iter().map(|(_, view, split)| (*view, split.as_ref())))
    }

    /// How many records there are to look at.
    pub(crate) fn records(&self) -> u64 {
        self.tasks.iter().map(|(.., split)| split.searcher.num_docs()).sum()
    }

    /// Searches, on this thread and, if `helped`, on another one.
    ///
    /// # Errors
    /// The query is wrong, or takes too much. A view that cannot be read is in the findings.
    pub(crate) fn run(self, helped: bool) -> Result<Findings, SearchError> {
        let (part, other) = std::thread::scope(|scope| {
            let helper = || std::thread::Builder::new().name("search".to_owned());
            // Without a second thread it only takes longer.
            let other = helped.then(|| helper().spawn_scoped(scope, || self.part()).ok()).flatten();
            (self.part(), other.map(|other| other.join()))
        });
        let mut part = part?;
        if let Some(other) = other {
            let other = other.map_err(|_| SearchError::Unavailable {
                reason: "the search failed; see the broker's log".to_owned(),
            })?;
            part.merge(other?)?;
        }
        Ok(Findings {
            total: part.total,
            timed_out: part.timed_out,
            hits: part.top.finish(|one, two| one.order(two, &self.request.sort)),
            aggregations: part.aggregations,
            failed: self.failed.into_inner(),
        })
    }

    /// Takes splits that nobody has taken until there is none.
    fn part(&self) -> Result<Part<'_>, SearchError> {
        let mut part = Part::new(self);
        while let Some((shard, view, split)) = self.tasks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            match part.split(*shard, view, split) {
                Ok(()) => {}
                Err(_) if self.budget.is_spent() => {
                    part.timed_out = true;
                    break;
                }
                Err(error) => match failure(&error) {
                    Failure::Search(error) => return Err(error),
                    Failure::View(reason) => {
                        self.failed.lock().insert(*shard, reason);
                    }
                },
            }
        }
        Ok(part)
    }
}

/// Whose fault it is.
pub(crate) fn failure(error: &TantivyError) -> Failure {
    match error {
        TantivyError::AggregationError(error) => Failure::Search(SearchError::TooExpensive {
            message: format!(
                "the aggregations take too much: {error}; use larger intervals, fewer terms, or a narrower query"
            ),
        }),
        TantivyError::InvalidArgument(message) | TantivyError::SchemaError(message) => {
            Failure::Search(SearchError::BadQuery {
                message: message.clone(),
                line: 1,
                column: 1,
                pointer: String::new(),
            })
        }
        error => Failure::View(error.to_string()),
    }
}
