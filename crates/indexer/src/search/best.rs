//! The best documents of one segment.

use std::sync::Arc;

use tantivy::{DocId, Score, SegmentReader};

use super::columns::{Offsets, SortColumns};
use super::message::Hit;
use super::top::Top;
use crate::View;
use crate::query::sort::{Place, Sort, SortValue};

/// A document of a segment: what it is sorted by, its number and its score.
type Candidate = (Vec<SortValue>, DocId, Score);

/// Takes the matching documents of a segment in their order, and keeps those that come first.
pub(super) struct Best<'a> {
    view: &'a View,
    offsets: &'a Offsets,
    columns: SortColumns,
    top: Top<Candidate>,
    values: Vec<SortValue>,
    only_by_score: bool,
    /// Only scores above this get into `top`. Later documents have greater offsets: of equals, those that are there already stay.
    here: Score,
    /// Only scores of at least this are among the best of all segments so far.
    elsewhere: Score,
}

impl<'a> Best<'a> {
    /// `found` are the best of the segments before; as many are `wanted`.
    pub(super) fn new(
        reader: &SegmentReader,
        offsets: &'a Offsets,
        view: &'a View,
        sort: &Sort,
        (found, wanted): (&Top<Hit>, usize),
    ) -> tantivy::Result<Best<'a>> {
        let columns = SortColumns::open(reader, sort, &view.topic, view.partition)?;
        let only_by_score = columns.sort.only_by_score();
        let elsewhere = found.worst().filter(|_| only_by_score).and_then(|hit| hit.score);
        Ok(Best {
            view,
            offsets,
            columns,
            top: Top::new(wanted),
            values: Vec::new(),
            only_by_score,
            here: Score::NEG_INFINITY,
            elsewhere: elsewhere.unwrap_or(Score::NEG_INFINITY),
        })
    }

    /// Documents that do not score more than this are not among the best.
    pub(super) fn floor(&self) -> Score {
        self.here.max(self.elsewhere.next_down())
    }

    /// Most documents are no better than what is there, which their scores tell before anything else is looked at.
    pub(super) fn take(&mut self, doc: DocId, score: Score) {
        if score <= self.here || score < self.elsewhere {
            return;
        }
        let Best { columns, values, top, .. } = self;
        let sort = &columns.sort;
        columns.values(doc, score, values);
        let wanted = top.wants(|worst| sort.order(values, &worst.0).then(doc.cmp(&worst.1)));
        if wanted && sort.is_after(values, || place(self.view, self.offsets, doc)) {
            top.push((values.clone(), doc, score), |one, two| order(sort, one, two));
            if let Some((.., score)) = top.worst().filter(|_| self.only_by_score) {
                self.here = *score;
            }
        }
    }

    /// Those that were kept, in their order, as hits of a shard.
    pub(super) fn finish(self, shard: u32) -> tantivy::Result<Vec<Hit>> {
        let Best { view, offsets, columns, top, .. } = self;
        let sort = &columns.sort;
        let by_score = sort.by_score();
        let kept = top.finish(|one, two| order(sort, one, two));
        let hit = |(mut values, doc, score): Candidate| {
            columns.resolve(&mut values)?;
            Ok(Hit { shard, place: place(view, offsets, doc), score: by_score.then_some(score), values })
        };
        kept.into_iter().map(hit).collect()
    }
}

fn order(sort: &Sort, one: &Candidate, two: &Candidate) -> std::cmp::Ordering {
    sort.order(&one.0, &two.0).then(one.1.cmp(&two.1))
}

fn place(view: &View, offsets: &Offsets, doc: DocId) -> Place {
    Place { topic: Arc::clone(&view.topic), partition: view.partition, offset: offsets.get(doc) }
}
