//! What a query excludes.

use std::sync::Arc;

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader, TERMINATED, TantivyError};

use crate::search::Budget;

/// Documents looked at before the time is.
const STEP: u64 = 1024;

/// A query whose documents are gathered before anybody moves among them. Whoever excludes documents asks for some that were passed
/// already, for which most of tantivy's own scorers are not made.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) query: Arc<dyn Query>,
    pub(crate) budget: Arc<Budget>,
}

struct GatheredWeight {
    weight: Box<dyn Weight>,
    budget: Arc<Budget>,
}

impl Query for Gathered {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let weight = self.query.weight(scoring)?;
        Ok(Box::new(GatheredWeight { weight, budget: Arc::clone(&self.budget) }))
    }
}

impl Weight for GatheredWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut found = self.weight.scorer(reader, boost)?;
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let (mut doc, mut seen) = (found.doc(), 0_u64);
        while doc != TERMINATED {
            docs.insert(doc);
            seen += 1;
            if seen.is_multiple_of(STEP) {
                self.budget.check()?;
            }
            doc = found.advance();
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("what is excluded is not explained".to_owned()))
    }
}
