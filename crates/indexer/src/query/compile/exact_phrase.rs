//! Words that stand one right after the other.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight, EnableScoring, PhraseQuery, Query, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, Term};

/// Documents of a word that are looked at one by one before a search for a later one.
const STEPS: usize = 4;

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

    /// Its matches in a segment; none when the segment lacks one of the words.
    ///
    /// # Errors
    /// The segment cannot be read.
    pub(crate) fn occurrences(
        &self,
        reader: &SegmentReader,
        weight: Bm25Weight,
    ) -> tantivy::Result<Option<Occurrences>> {
        let Some((last, (_, term))) =
            self.terms.iter().map(|(place, _)| *place).max().zip(self.terms.first())
        else {
            return Ok(None);
        };
        let norms = reader.fieldnorms_readers().get_field(term.field())?;
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
        words.sort_by_key(|word| word.postings.size_hint());
        Ok(Some(Occurrences { words, norms, weight, places: Vec::new(), others: Vec::new() }))
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
    /// The first document from `doc` on that has the word.
    fn seek(&mut self, doc: DocId) -> DocId {
        // Of words that are everywhere the next one is near.
        for _ in 0..STEPS {
            let found = self.postings.doc();
            if found >= doc {
                return found;
            }
            self.postings.advance();
        }
        self.postings.seek(doc.max(self.postings.doc()))
    }
}

/// Documents of one segment that have a phrase, in their order.
///
/// Where the words stand is only looked up for documents whose score could be above a floor: a phrase is there no more often than
/// its rarest word. Of words that are everywhere, where they stand costs more than all the rest.
pub(crate) struct Occurrences {
    /// The rarest first.
    words: Vec<Word>,
    norms: FieldNormReader,
    weight: Bm25Weight,
    places: Vec<u32>,
    others: Vec<u32>,
}

impl Occurrences {
    /// The next document from `doc` on whose score is above `floor`, and the score.
    pub(crate) fn next(&mut self, mut doc: DocId, floor: Score) -> Option<(DocId, Score)> {
        loop {
            doc = self.with_all_words(doc);
            if doc == TERMINATED {
                return None;
            }
            let norm = self.norms.fieldnorm_id(doc);
            let most = self.words.iter().map(|word| word.postings.term_freq()).min().unwrap_or(0);
            if self.weight.score(norm, most) > floor {
                let count = self.count();
                let score = self.weight.score(norm, count);
                if count > 0 && score > floor {
                    return Some((doc, score));
                }
            }
            doc += 1;
        }
    }

    /// The first document from `doc` on that has all words.
    fn with_all_words(&mut self, mut doc: DocId) -> DocId {
        let mut agree = 0;
        while agree < self.words.len() && doc != TERMINATED {
            agree = 0;
            for word in &mut self.words {
                let found = word.seek(doc);
                if found > doc {
                    doc = found;
                    break;
                }
                agree += 1;
            }
        }
        doc
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
