//! The search over the splits of this broker. It blocks: it runs on threads of its own.

use std::sync::Arc;

use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::{EnableScoring, Weight};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocSet, SegmentReader, TERMINATED, TantivyError};

use super::budget::Budget;
use super::columns::{Offsets, SortColumns};
use super::error::SearchError;
use super::message::Hit;
use super::statistics::Statistics;
use super::top::Top;
use crate::query::body::Request;
use crate::query::bounds::Bounds;
use crate::query::compile::{Compiler, FIELDS};
use crate::query::sort::{Place, SortValue};
use crate::{SearchableSplit, View};

/// Documents between two looks at the time.
const STEP: usize = 64 * COLLECT_BLOCK_BUFFER_LEN;

/// What was found in the views so far.
pub(crate) struct Findings {
    pub(crate) total: u64,
    pub(crate) hits: Vec<Hit>,
    pub(crate) aggregations: Option<IntermediateAggregationResults>,
    pub(crate) timed_out: bool,
}

/// Why views could not be searched.
pub(crate) enum Failure {
    /// The whole search fails.
    Search(SearchError),
    /// One view cannot be read.
    View(String),
}

/// One search over the views of this broker.
pub(crate) struct LocalSearch<'a> {
    pub(crate) request: &'a Request,
    pub(crate) budget: &'a Arc<Budget>,
    pub(crate) limits: AggregationLimitsGuard,
    bounds: Bounds,
    wanted: usize,
    top: Top<Hit>,
    total: u64,
    aggregations: Option<IntermediateAggregationResults>,
}

impl<'a> LocalSearch<'a> {
    pub(crate) fn new(request: &'a Request, budget: &'a Arc<Budget>, limits: AggregationLimitsGuard) -> Self {
        let wanted = if request.size == 0 { 0 } else { request.from + request.size };
        LocalSearch {
            request,
            budget,
            limits,
            bounds: Bounds::of(&request.query),
            wanted,
            top: Top::new(wanted),
            total: 0,
            aggregations: None,
        }
    }

    /// The splits of a view that can have a match.
    fn splits<'v>(&self, view: &'v View) -> impl Iterator<Item = &'v Arc<SearchableSplit>> + use<'v> {
        let (bounds, start) = (self.bounds, view.log_start);
        view.splits.iter().filter(move |split| {
            let times = (split.timestamps.0.0, split.timestamps.1.0);
            let offsets = (split.offsets.start.max(start).0, split.offsets.end.0);
            split.offsets.end > start && bounds.touch(times, offsets)
        })
    }

    /// Searches views. `failed` learns which of them cannot be read, and why.
    pub(crate) fn run(
        mut self,
        views: &[(u32, View)],
        mut failed: impl FnMut(u32, String),
    ) -> Result<Findings, SearchError> {
        let all = views.iter().flat_map(|(_, view)| self.splits(view).cloned()).collect();
        let statistics = Statistics::new(all);
        let mut timed_out = false;
        'views: for (shard, view) in views {
            for split in self.splits(view) {
                match self.split(*shard, view, split, &statistics) {
                    Ok(()) => {}
                    Err(_) if self.budget.is_spent() => {
                        timed_out = true;
                        break 'views;
                    }
                    Err(error) => match failure(&error) {
                        Failure::Search(error) => return Err(error),
                        Failure::View(reason) => {
                            failed(*shard, reason);
                            continue 'views;
                        }
                    },
                }
            }
        }
        let sort = &self.request.sort;
        let hits = self.top.finish(|one, two| one.order(two, sort));
        Ok(Findings { total: self.total, hits, aggregations: self.aggregations, timed_out })
    }

    fn split(
        &mut self,
        shard: u32,
        view: &View,
        split: &SearchableSplit,
        statistics: &Statistics,
    ) -> tantivy::Result<()> {
        self.budget.check()?;
        let searcher = &split.searcher;
        let analyzer = analyzer_of(split)?;
        let mut compiler = Compiler {
            topic: &view.topic,
            partition: view.partition,
            paths: &view.paths,
            searcher,
            analyzer,
            budget: self.budget,
        };
        let query = compiler.query(&self.request.query);
        let scoring = if self.wanted > 0 && self.request.sort.by_score() {
            EnableScoring::enabled_from_statistics_provider(statistics, searcher)
        } else {
            EnableScoring::disabled_from_searcher(searcher)
        };
        let weight = query.weight(scoring)?;
        for (ordinal, reader) in searcher.segment_readers().iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            self.segment(shard, view, weight.as_ref(), reader, ordinal)?;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        shard: u32,
        view: &View,
        weight: &dyn Weight,
        reader: &SegmentReader,
        ordinal: u32,
    ) -> tantivy::Result<()> {
        let offsets = Offsets::open(reader)?;
        let first = offsets.first_from(view.log_start, reader.max_doc());
        let aggregations = self.request.aggregations.as_ref().map(|(aggregations, _)| aggregations);
        if self.wanted == 0 && aggregations.is_none() && first == 0 {
            self.total += u64::from(weight.count(reader)?);
            return Ok(());
        }
        let mut collector = match aggregations {
            Some(aggregations) => Some(self.collector(aggregations).for_segment(ordinal, reader)?),
            None => None,
        };
        let mut scorer = weight.scorer(reader, 1.0)?;
        if scorer.doc() < first {
            scorer.seek(first);
        }
        if self.wanted == 0 {
            let mut docs = [0; COLLECT_BLOCK_BUFFER_LEN];
            loop {
                let count = scorer.fill_buffer(&mut docs);
                let Some(found) = docs.get(..count).filter(|found| !found.is_empty()) else { break };
                self.total += count as u64;
                if let Some(collector) = &mut collector {
                    collector.collect_block(found);
                }
                if self.total % (STEP as u64) < count as u64 {
                    self.budget.check()?;
                }
            }
        } else {
            self.hits((shard, view), reader, &offsets, scorer.as_mut(), &mut collector)?;
        }
        if let Some(collector) = collector {
            let found = collector.harvest()?;
            match &mut self.aggregations {
                Some(aggregations) => aggregations.merge_fruits(found)?,
                None => self.aggregations = Some(found),
            }
        }
        Ok(())
    }

    fn hits<C: SegmentCollector>(
        &mut self,
        (shard, view): (u32, &View),
        reader: &SegmentReader,
        offsets: &Offsets,
        scorer: &mut dyn tantivy::query::Scorer,
        collector: &mut Option<C>,
    ) -> tantivy::Result<()> {
        let columns = SortColumns::open(reader, &self.request.sort, &view.topic, view.partition)?;
        let sort = &columns.sort;
        let by_score = sort.by_score();
        let mut top: Top<(Vec<SortValue>, u32, f32)> = Top::new(self.wanted);
        let order = |one: &(Vec<SortValue>, u32, f32), two: &(Vec<SortValue>, u32, f32)| {
            sort.order(&one.0, &two.0).then(one.1.cmp(&two.1))
        };
        let mut values = Vec::new();
        let mut seen = 0_usize;
        loop {
            let doc = scorer.doc();
            if doc == TERMINATED {
                break;
            }
            seen += 1;
            if seen.is_multiple_of(STEP) {
                self.budget.check()?;
            }
            if let Some(collector) = collector {
                collector.collect(doc, 0.0);
            }
            let score = if by_score { scorer.score() } else { 0.0 };
            columns.values(doc, score, &mut values);
            // Later documents have greater offsets: of equals, those that are there already stay.
            let wanted = top.wants(|worst| sort.order(&values, &worst.0).then(doc.cmp(&worst.1)));
            let place = || Place {
                topic: Arc::clone(&view.topic),
                partition: view.partition,
                offset: offsets.get(doc),
            };
            if wanted && sort.is_after(&values, place) {
                top.push((values.clone(), doc, score), order);
            }
            scorer.advance();
        }
        self.total += seen as u64;
        for (mut values, doc, score) in top.finish(order) {
            columns.resolve(&mut values)?;
            let hit = Hit {
                shard,
                place: Place {
                    topic: Arc::clone(&view.topic),
                    partition: view.partition,
                    offset: offsets.get(doc),
                },
                score: by_score.then_some(score),
                values,
            };
            let sort = &self.request.sort;
            if self.top.wants(|worst| hit.order(worst, sort)) {
                self.top.push(hit, |one, two| one.order(two, sort));
            }
        }
        Ok(())
    }

    fn collector(&self, aggregations: &Aggregations) -> DistributedAggregationCollector {
        let context = AggContextParams::new(self.limits.clone(), TokenizerManager::default());
        DistributedAggregationCollector::from_aggs(aggregations.clone(), context)
    }
}

/// What cuts a split's texts into words.
pub(crate) fn analyzer_of(split: &SearchableSplit) -> tantivy::Result<TextAnalyzer> {
    split.searcher.index().tokenizer_for_field(FIELDS.text)
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
