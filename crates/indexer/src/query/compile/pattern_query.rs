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
    Terms {
        field: Field,
        path: Vec<u8>,
        /// Whether they are words, as the tokenizer makes them.
        as_words: bool,
    },
    /// The whole strings of a fast field.
    Strings { column: String },
}

/// Documents with a term that matches a pattern, in any of several places; each counts the same.
#[derive(Clone, Debug)]
pub(crate) struct PatternQuery {
    pub(crate) among: Vec<Among>,
    pub(crate) pattern: Arc<Pattern>,
    /// The pattern as words are.
    pub(crate) for_words: Arc<Pattern>,
    pub(crate) budget: Arc<Budget>,
}

impl Query for PatternQuery {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for PatternQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut scan = Scan { reader, budget: &self.budget, looked_at: 0, docs: None };
        for among in &self.among {
            match among {
                Among::Terms { field, path, as_words } => {
                    let pattern = if *as_words { &self.for_words } else { &self.pattern };
                    scan.terms(pattern, *field, path)?;
                }
                Among::Strings { column } => scan.strings(&self.pattern, column)?,
            }
        }
        Ok(match scan.docs {
            Some(docs) => Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("a pattern is not explained".to_owned()))
    }
}

/// Looks for a pattern in one segment.
struct Scan<'a> {
    reader: &'a SegmentReader,
    budget: &'a Budget,
    /// Terms and documents so far.
    looked_at: u64,
    docs: Option<BitSet>,
}

impl Scan<'_> {
    fn look(&mut self) -> tantivy::Result<()> {
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(STEP) { self.budget.check() } else { Ok(()) }
    }

    fn found(&mut self, doc: DocId) {
        self.docs.get_or_insert_with(|| BitSet::with_max_value(self.reader.max_doc())).insert(doc);
    }

    fn terms(&mut self, pattern: &Pattern, field: Field, path: &[u8]) -> tantivy::Result<()> {
        let inverted = self.reader.inverted_index(field)?;
        let (begin, end) = ends(path, pattern);
        let mut range = inverted.terms().range().ge(begin);
        if let Some(end) = end {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        while stream.advance() {
            self.look()?;
            if !stream.key().get(path.len()..).is_some_and(|text| is_match(pattern, text)) {
                continue;
            }
            let mut postings =
                inverted.read_block_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                postings.docs().iter().for_each(|doc| self.found(*doc));
                postings.advance();
            }
        }
        Ok(())
    }

    fn strings(&mut self, pattern: &Pattern, column: &str) -> tantivy::Result<()> {
        let Some(column) = self.reader.fast_fields().str(column)? else { return Ok(()) };
        let (begin, end) = ends(&[], pattern);
        let mut range = column.dictionary().range().ge(begin);
        if let Some(end) = end {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        let ordinal = |ordinal: u64| u32::try_from(ordinal).unwrap_or(u32::MAX);
        let mut ordinals = BitSet::with_max_value(ordinal(column.num_terms() as u64));
        while stream.advance() {
            self.look()?;
            if is_match(pattern, stream.key()) {
                ordinals.insert(ordinal(stream.term_ord()));
            }
        }
        if ordinals.len() == 0 {
            return Ok(());
        }
        for doc in 0..self.reader.max_doc() {
            self.look()?;
            if column.term_ords(doc).any(|one| ordinals.contains(ordinal(one))) {
                self.found(doc);
            }
        }
        Ok(())
    }
}

/// Between which terms those are that begin as every match does.
fn ends(path: &[u8], pattern: &Pattern) -> (Vec<u8>, Option<Vec<u8>>) {
    let prefix = if pattern.any_case { String::new() } else { pattern.literal_prefix() };
    let begin = [path, prefix.as_bytes()].concat();
    let end = after_prefix(&begin);
    (begin, end)
}

fn is_match(pattern: &Pattern, text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| pattern.matches(text))
}

/// The least bytes above everything that begins with `prefix`; `None` if there are none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}
