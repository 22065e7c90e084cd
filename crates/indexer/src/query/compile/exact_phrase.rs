//! Words that stand one right after the other.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{BlockSegmentPostings, Postings, SegmentPostings};
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight, EnableScoring, PhraseQuery, Query, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, Term};

/// Documents of a block of postings, at most.
const BLOCK: usize = 128;

/// A phrase of at least two words of one field, each with its place. As a part of another query it is tantivy's own; alone it can
/// pass over what nobody wants to see.
#[derive(Clone, Debug)]
pub(crate) struct ExactPhrase {
    terms: Vec<(usize, Term)>,
}

impl ExactPhrase {
    pub(super) fn new(terms: Vec<(usize, Term)>) -> ExactPhrase {
        ExactPhrase { terms }
    }

    /// How its matches count.
    ///
    /// # Errors
    /// The statistics cannot be read.
    pub(crate) fn bm25(&self, statistics: &dyn Bm25StatisticsProvider) -> tantivy::Result<Bm25Weight> {
        let terms: Vec<Term> = self.terms.iter().map(|(_, term)| term.clone()).collect();
        Bm25Weight::for_terms(statistics, &terms)
    }

    /// Its matches in a segment from the document `first` on; none when the segment lacks one of the words.
    ///
    /// # Errors
    /// The segment cannot be read.
    pub(crate) fn occurrences(
        &self,
        reader: &SegmentReader,
        weight: Bm25Weight,
        first: DocId,
    ) -> tantivy::Result<Option<Occurrences>> {
        let Some((last, (_, any))) = self.terms.iter().map(|(place, _)| *place).max().zip(self.terms.first())
        else {
            return Ok(None);
        };
        let norms = reader.fieldnorms_readers().get_field(any.field())?;
        let norms = norms.unwrap_or_else(|| FieldNormReader::constant(reader.max_doc(), 1));
        let mut words = Vec::with_capacity(self.terms.len());
        for (place, term) in &self.terms {
            let index = reader.inverted_index(term.field())?;
            let Some(postings) = index.read_postings(term, IndexRecordOption::WithFreqsAndPositions)? else {
                return Ok(None);
            };
            let shift = u32::try_from(last - place).unwrap_or(u32::MAX);
            words.push(Word { postings, shift });
        }
        let Some(pair) = self.pair(reader, first)? else { return Ok(None) };
        Ok(Some(Occurrences { pair, words, norms, weight, places: Vec::new(), others: Vec::new() }))
    }

    /// The two rarest words.
    fn pair(&self, reader: &SegmentReader, first: DocId) -> tantivy::Result<Option<Pair>> {
        let mut blocks = Vec::with_capacity(self.terms.len());
        for (_, term) in &self.terms {
            let index = reader.inverted_index(term.field())?;
            blocks.extend(index.read_block_postings(term, IndexRecordOption::WithFreqs)?);
        }
        blocks.sort_by_key(BlockSegmentPostings::doc_freq);
        let mut blocks = blocks.into_iter();
        let both = blocks.next().zip(blocks.next());
        Ok(both.map(|(one, other)| Pair {
            one,
            other,
            from: first,
            found: [(TERMINATED, 0); BLOCK],
            count: 0,
            given: 0,
        }))
    }
}

impl Query for ExactPhrase {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        PhraseQuery::new_with_offset(self.terms.clone()).weight(scoring)
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.terms.iter().for_each(|(_, term)| visitor(term, true));
    }
}

/// A word of a phrase in one segment.
struct Word {
    postings: SegmentPostings,
    /// Places from here to the last word: the sum is the same for all words of an occurrence.
    shift: u32,
}

impl Word {
    /// Goes to a document that is not before the last one; false when it has not the word.
    fn is_in(&mut self, doc: DocId) -> bool {
        let at = self.postings.doc();
        doc == if at < doc { self.postings.seek(doc) } else { at }
    }
}

/// Documents of one segment that have a phrase, in their order.
///
/// Where the words stand is only looked up for documents whose score could be above a floor: a phrase is there no more often than
/// its rarest word. Of words that are everywhere, where they stand costs more than all the rest.
pub(crate) struct Occurrences {
    pair: Pair,
    words: Vec<Word>,
    norms: FieldNormReader,
    weight: Bm25Weight,
    places: Vec<u32>,
    others: Vec<u32>,
}

impl Occurrences {
    /// The next document whose score is above `floor`, and the score.
    pub(crate) fn next(&mut self, floor: Score) -> Option<(DocId, Score)> {
        loop {
            let (doc, most) = self.pair.next()?;
            let norm = self.norms.fieldnorm_id(doc);
            if self.weight.score(norm, most) > floor && self.words.iter_mut().all(|word| word.is_in(doc)) {
                let count = self.count();
                let score = self.weight.score(norm, count);
                if count > 0 && score > floor {
                    return Some((doc, score));
                }
            }
        }
    }

    /// How often the phrase is in the document that all words are at.
    fn count(&mut self) -> u32 {
        let Some((first, rest)) = self.words.split_first_mut() else { return 0 };
        first.postings.positions_with_offset(first.shift, &mut self.places);
        for word in rest {
            word.postings.positions_with_offset(word.shift, &mut self.others);
            // Both ascend.
            let mut others = self.others.iter().copied().peekable();
            self.places.retain(|place| {
                while others.next_if(|other| other < place).is_some() {}
                others.peek() == Some(place)
            });
        }
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }
}

/// Documents that have two words, and how often the one that is there less often. It compares a block of the one with a block of the
/// other at a time.
struct Pair {
    one: BlockSegmentPostings,
    other: BlockSegmentPostings,
    /// Where the next blocks begin.
    from: DocId,
    found: [(DocId, u32); BLOCK],
    count: usize,
    given: usize,
}

impl Pair {
    fn next(&mut self) -> Option<(DocId, u32)> {
        while self.given == self.count {
            if self.from == TERMINATED {
                return None;
            }
            self.compare();
        }
        let found = self.found.get(self.given).copied();
        self.given += 1;
        found
    }

    fn compare(&mut self) {
        let mut one_at = self.one.seek(self.from);
        let mut other_at = self.other.seek(self.from);
        let (ones, others) = (self.one.docs(), self.other.docs());
        if one_at >= ones.len() || other_at >= others.len() {
            self.from = TERMINATED;
            return;
        }
        let (one_freqs, other_freqs) = (self.one.freqs(), self.other.freqs());
        (self.count, self.given) = (0, 0);
        while let (Some(one), Some(other)) = (ones.get(one_at), others.get(other_at))
            && let (Some(here), Some(there)) = (one_freqs.get(one_at), other_freqs.get(other_at))
            && let Some(found) = self.found.get_mut(self.count)
        {
            // Which is the next cannot be foretold where both words are frequent: no branch depends on it.
            *found = (*one, *here.min(there));
            self.count += usize::from(one == other);
            one_at += usize::from(one <= other);
            other_at += usize::from(other <= one);
        }
        // One block is at its end. What follows it is after all of it, and not before what is left of the other.
        let left = ones.get(one_at).or(others.get(other_at)).copied();
        self.from = left.or(ones.last().map(|last| last + 1)).unwrap_or(TERMINATED);
    }
}
