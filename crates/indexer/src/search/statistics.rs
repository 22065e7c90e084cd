//! How often words occur over all the splits that one search looks at, so that scores can be compared between them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::Term;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;

use super::budget::Budget;
use crate::SearchableSplit;

/// Sums over splits; each is asked once, as long as there is time.
pub(crate) struct Statistics {
    budget: Arc<Budget>,
    splits: Vec<Arc<SearchableSplit>>,
    tokens: Mutex<HashMap<Field, u64>>,
    docs: Mutex<HashMap<Term, u64>>,
}

impl Statistics {
    pub(crate) fn new(splits: Vec<Arc<SearchableSplit>>, budget: &Arc<Budget>) -> Statistics {
        Statistics { budget: Arc::clone(budget), splits, tokens: Mutex::default(), docs: Mutex::default() }
    }
}

impl Bm25StatisticsProvider for Statistics {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        if let Some(tokens) = self.tokens.lock().get(&field) {
            return Ok(*tokens);
        }
        let mut tokens = 0;
        for split in &self.splits {
            tokens += split.searcher.total_num_tokens(field)?;
        }
        self.tokens.lock().insert(field, tokens);
        Ok(tokens)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.splits.iter().map(|split| split.searcher.num_docs()).sum())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        if let Some(docs) = self.docs.lock().get(term) {
            return Ok(*docs);
        }
        self.budget.check()?;
        let mut docs = 0;
        for split in &self.splits {
            docs += split.searcher.doc_freq(term)?;
        }
        self.docs.lock().insert(term.clone(), docs);
        Ok(docs)
    }
}
