//! What one thread finds of a search.

use std::sync::atomic::Ordering;

use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, DistributedAggregationCollector};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::{Bm25Weight, EnableScoring, Scorer, Weight};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, Score, SegmentReader, TERMINATED};

use super::best::Best;
use super::columns::Offsets;
use super::error::SearchError;
use super::local::{Failure, LocalSearch, failure};
use super::message::Hit;
use super::top::Top;
use crate::query::compile::{Compiler, ExactPhrase, FIELDS};
use crate::{SearchableSplit, View};

/// Documents between two looks at the time.
const STEP: usize = 64 * COLLECT_BLOCK_BUFFER_LEN;

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
        self.keep(other.top.finish(|one, two| one.order(two, sort)));
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
        if let (Some(enough), Some(phrase)) = (request.counted_up_to(), query.downcast_ref::<ExactPhrase>())
            && self.wanted > 0
        {
            let weight = phrase.bm25(statistics)?;
            for reader in searcher.segment_readers() {
                self.phrase((shard, view), reader, (phrase, &weight), enough)?;
            }
            return Ok(());
        }
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
            let sort = &self.search.request.sort;
            let best = Best::new(reader, &offsets, view, sort, (&self.top, self.wanted))?;
            self.hits(best, shard, scorer.as_mut(), &mut collector)?;
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
        mut best: Best<'_>,
        shard: u32,
        scorer: &mut dyn Scorer,
        collector: &mut Option<C>,
    ) -> tantivy::Result<()> {
        let by_score = self.search.request.sort.by_score();
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
            best.take(doc, if by_score { scorer.score() } else { 0.0 });
            scorer.advance();
        }
        self.total += seen as u64;
        self.keep(best.finish(shard)?);
        Ok(())
    }

    /// The hits of a phrase, best first. When more than `enough` were counted, those that are not among the best are passed over.
    fn phrase(
        &mut self,
        (shard, view): (u32, &View),
        reader: &SegmentReader,
        (phrase, weight): (&ExactPhrase, &Bm25Weight),
        enough: u64,
    ) -> tantivy::Result<()> {
        let offsets = Offsets::open(reader)?;
        let first = offsets.first_from(view.log_start, reader.max_doc());
        let Some(mut occurrences) = phrase.occurrences(reader, weight.clone(), first)? else {
            return Ok(());
        };
        let mut best =
            Best::new(reader, &offsets, view, &self.search.request.sort, (&self.top, self.wanted))?;
        let counted = &self.search.counted;
        loop {
            let is_enough = counted.load(Ordering::Relaxed) > enough;
            let floor = if is_enough { best.floor() } else { Score::NEG_INFINITY };
            let Some((doc, score)) = occurrences.next(floor) else { break };
            counted.fetch_add(1, Ordering::Relaxed);
            self.total += 1;
            if self.total.is_multiple_of(STEP as u64) {
                self.search.budget.check()?;
            }
            best.take(doc, score);
        }
        self.keep(best.finish(shard)?);
        Ok(())
    }

    fn keep(&mut self, hits: Vec<Hit>) {
        let sort = &self.search.request.sort;
        for hit in hits {
            if self.top.wants(|worst| hit.order(worst, sort)) {
                self.top.push(hit, |one, two| one.order(two, sort));
            }
        }
    }
}

/// What cuts a split's texts into words.
pub(super) fn analyzer_of(split: &SearchableSplit) -> tantivy::Result<TextAnalyzer> {
    split.searcher.index().tokenizer_for_field(FIELDS.text)
}
