//! What one thread finds of a search.

use std::sync::Arc;

use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, DistributedAggregationCollector};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::{EnableScoring, Scorer, Weight};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocSet, SegmentReader, TERMINATED};

use super::columns::{Offsets, SortColumns};
use super::error::SearchError;
use super::local::{Failure, LocalSearch, failure};
use super::message::Hit;
use super::top::Top;
use crate::query::compile::{Compiler, FIELDS};
use crate::query::sort::{Place, SortValue};
use crate::{SearchableSplit, View};

/// Documents between two looks at the time.
const STEP: usize = 64 * COLLECT_BLOCK_BUFFER_LEN;

/// A document of a segment: what it is sorted by, its number and its score.
type Candidate = (Vec<SortValue>, u32, f32);

/// What was found in the splits so far.
pub(super) struct Part<'a> {
    search: &'a LocalSearch<'a>,
    wanted: usize,
    pub(super) top: Top<Hit>,
    pub(super) total: u64,
    pub(super) aggregations: Option<IntermediateAggregationResults>,
    pub(super) timed_out: bool,
}

impl<'a> Part<'a> {
    pub(super) fn new(search: &'a LocalSearch<'a>) -> Part<'a> {
        let request = search.request;
        let wanted = if request.size == 0 { 0 } else { request.from + request.size };
        Part { search, wanted, top: Top::new(wanted), total: 0, aggregations: None, timed_out: false }
    }

    /// Adds what another thread found.
    ///
    /// # Errors
    /// The aggregations of both take too much.
    pub(super) fn merge(&mut self, other: Part<'_>) -> Result<(), SearchError> {
        self.total += other.total;
        self.timed_out |= other.timed_out;
        let sort = &self.search.request.sort;
        for hit in other.top.finish(|one, two| one.order(two, sort)) {
            self.top.push(hit, |one, two| one.order(two, sort));
        }
        let merged = match other.aggregations {
            Some(found) => self.add_aggregations(found),
            None => Ok(()),
        };
        merged.map_err(|error| match failure(&error) {
            Failure::Search(error) => error,
            Failure::View(reason) => SearchError::Unavailable { reason },
        })
    }

    /// Searches a split.
    ///
    /// # Errors
    /// See [`failure`]; or the time is over.
    pub(super) fn split(&mut self, shard: u32, view: &View, split: &SearchableSplit) -> tantivy::Result<()> {
        let LocalSearch { request, budget, statistics, .. } = self.search;
        budget.check()?;
        let searcher = &split.searcher;
        let analyzer = analyzer_of(split)?;
        let partition = (&*view.topic, view.partition);
        let mut compiler = Compiler::new(partition, &view.paths, searcher, analyzer, budget);
        let query = compiler.query(&request.query)?;
        let scoring = if self.wanted > 0 && request.sort.by_score() {
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
        let aggregations = &self.search.request.aggregations;
        if self.wanted == 0 && aggregations.is_none() && first == 0 {
            self.total += u64::from(weight.count(reader)?);
            return Ok(());
        }
        let mut collector = match aggregations {
            Some((aggregations, _)) => {
                let context = AggContextParams::new(self.search.limits.clone(), TokenizerManager::default());
                let collector = DistributedAggregationCollector::from_aggs(aggregations.clone(), context);
                Some(collector.for_segment(ordinal, reader)?)
            }
            None => None,
        };
        let mut scorer = weight.scorer(reader, 1.0)?;
        if scorer.doc() < first {
            scorer.seek(first);
        }
        if self.wanted == 0 {
            self.count(scorer.as_mut(), &mut collector)?;
        } else {
            self.hits((shard, view), reader, &offsets, scorer.as_mut(), &mut collector)?;
        }
        match collector {
            Some(collector) => self.add_aggregations(collector.harvest()?),
            None => Ok(()),
        }
    }

    fn add_aggregations(&mut self, found: IntermediateAggregationResults) -> tantivy::Result<()> {
        match &mut self.aggregations {
            Some(aggregations) => aggregations.merge_fruits(found)?,
            None => self.aggregations = Some(found),
        }
        Ok(())
    }

    /// Counts and aggregates without a look at any hit.
    fn count<C: SegmentCollector>(
        &mut self,
        scorer: &mut dyn Scorer,
        collector: &mut Option<C>,
    ) -> tantivy::Result<()> {
        let mut docs = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let count = scorer.fill_buffer(&mut docs);
            let Some(found) = docs.get(..count).filter(|found| !found.is_empty()) else { return Ok(()) };
            self.total += count as u64;
            if let Some(collector) = collector {
                collector.collect_block(found);
            }
            if self.total % (STEP as u64) < count as u64 {
                self.search.budget.check()?;
            }
        }
    }

    fn hits<C: SegmentCollector>(
        &mut self,
        (shard, view): (u32, &View),
        reader: &SegmentReader,
        offsets: &Offsets,
        scorer: &mut dyn Scorer,
        collector: &mut Option<C>,
    ) -> tantivy::Result<()> {
        let columns = SortColumns::open(reader, &self.search.request.sort, &view.topic, view.partition)?;
        let sort = &columns.sort;
        let place = |doc| Place {
            topic: Arc::clone(&view.topic),
            partition: view.partition,
            offset: offsets.get(doc),
        };
        let (by_score, only_by_score) = (sort.by_score(), sort.only_by_score());
        let mut top: Top<Candidate> = Top::new(self.wanted);
        let order = |one: &Candidate, two: &Candidate| sort.order(&one.0, &two.0).then(one.1.cmp(&two.1));
        // Most documents are no better than what is there, which their scores tell before anything else is looked at.
        let elsewhere = self.top.worst().filter(|_| only_by_score).and_then(|hit| hit.score);
        let elsewhere = elsewhere.unwrap_or(f32::NEG_INFINITY);
        let mut here = f32::NEG_INFINITY;
        let mut values = Vec::new();
        let mut seen = 0_usize;
        while scorer.doc() != TERMINATED {
            let doc = scorer.doc();
            seen += 1;
            if seen.is_multiple_of(STEP) {
                self.search.budget.check()?;
            }
            if let Some(collector) = collector {
                collector.collect(doc, 0.0);
            }
            let score = if by_score { scorer.score() } else { 0.0 };
            // Later documents have greater offsets: of equals, those that are there already stay.
            if score > here && score >= elsewhere {
                columns.values(doc, score, &mut values);
                let wanted = top.wants(|worst| sort.order(&values, &worst.0).then(doc.cmp(&worst.1)));
                if wanted && sort.is_after(&values, || place(doc)) {
                    top.push((values.clone(), doc, score), order);
                    here = top.worst().filter(|_| only_by_score).map_or(here, |(.., score)| *score);
                }
            }
            scorer.advance();
        }
        self.total += seen as u64;
        let sort = &self.search.request.sort;
        for (mut values, doc, score) in top.finish(order) {
            columns.resolve(&mut values)?;
            let hit = Hit { shard, place: place(doc), score: by_score.then_some(score), values };
            if self.top.wants(|worst| hit.order(worst, sort)) {
                self.top.push(hit, |one, two| one.order(two, sort));
            }
        }
        Ok(())
    }
}

/// What cuts a split's texts into words.
pub(super) fn analyzer_of(split: &SearchableSplit) -> tantivy::Result<TextAnalyzer> {
    split.searcher.index().tokenizer_for_field(FIELDS.text)
}
