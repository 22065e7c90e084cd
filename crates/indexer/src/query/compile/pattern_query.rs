//! Tokens and whole strings that match a pattern.

use std::sync::Arc;

use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};

use crate::query::pattern::Pattern;
use crate::search::Budget;

/// Terms looked at before the time is.
const STEP: u64 = 1024;

/// Where the pattern is looked for.
#[derive(Clone, Debug)]
pub(crate) enum Among {
    /// The terms of an indexed field that begin with these bytes: a path, and its type.
    Terms { field: Field, path: Vec<u8> },
    /// The whole strings of a fast field.
    Strings { column: String },
}

/// Documents with a term that matches a pattern; each counts the same.
#[derive(Clone, Debug)]
pub(crate) struct PatternQuery {
    pub(crate) among: Among,
    pub(crate) pattern: Arc<Pattern>,
    pub(crate) budget: Arc<Budget>,
}

impl Query for PatternQuery {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for PatternQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let docs = match &self.among {
            Among::Terms { field, path } => self.terms(reader, *field, path)?,
            Among::Strings { column } => self.strings(reader, column)?,
        };
        Ok(match docs {
            Some(docs) => Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("a pattern is not explained".to_owned()))
    }
}

impl PatternQuery {
    /// The bytes with which every match begins.
    fn prefix(&self) -> Vec<u8> {
        if self.pattern.any_case { Vec::new() } else { self.pattern.literal_prefix().into_bytes() }
    }

    fn is_match(&self, text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| self.pattern.matches(text))
    }

    fn terms(&self, reader: &SegmentReader, field: Field, path: &[u8]) -> tantivy::Result<Option<BitSet>> {
        let inverted = reader.inverted_index(field)?;
        let begin = [path, &self.prefix()].concat();
        let mut range = inverted.terms().range().ge(&begin);
        if let Some(end) = after_prefix(&begin) {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        let (mut docs, mut seen) = (None, 0_u64);
        while stream.advance() {
            seen += 1;
            if seen.is_multiple_of(STEP) {
                self.budget.check()?;
            }
            if !stream.key().get(path.len()..).is_some_and(|text| self.is_match(text)) {
                continue;
            }
            let docs = docs.get_or_insert_with(|| BitSet::with_max_value(reader.max_doc()));
            let mut postings =
                inverted.read_block_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                for &doc in postings.docs() {
                    docs.insert(doc);
                }
                postings.advance();
            }
        }
        Ok(docs)
    }

    fn strings(&self, reader: &SegmentReader, column: &str) -> tantivy::Result<Option<BitSet>> {
        let Some(column) = reader.fast_fields().str(column)? else { return Ok(None) };
        let begin = self.prefix();
        let dictionary = column.dictionary();
        let mut range = dictionary.range().ge(&begin);
        if let Some(end) = after_prefix(&begin) {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        let ords_max = u32::try_from(column.num_terms()).unwrap_or(u32::MAX);
        let (mut ords, mut seen, mut found) = (BitSet::with_max_value(ords_max), 0_u64, false);
        while stream.advance() {
            seen += 1;
            if seen.is_multiple_of(STEP) {
                self.budget.check()?;
            }
            if self.is_match(stream.key()) {
                ords.insert(u32::try_from(stream.term_ord()).unwrap_or(u32::MAX));
                found = true;
            }
        }
        if !found {
            return Ok(None);
        }
        let mut docs = BitSet::with_max_value(reader.max_doc());
        for doc in 0..reader.max_doc() {
            if u64::from(doc).is_multiple_of(STEP) {
                self.budget.check()?;
            }
            if column.term_ords(doc).any(|ord| ords.contains(u32::try_from(ord).unwrap_or(u32::MAX))) {
                docs.insert(doc);
            }
        }
        Ok(Some(docs))
    }
}

/// The least bytes above everything that begins with `prefix`; `None` if there are none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}
