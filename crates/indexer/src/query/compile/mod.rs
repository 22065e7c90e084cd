//! The tree becomes tantivy's query over one split.
//!
//! Here is what combines queries; what looks into the index is in [`words`], [`ranges`] and [`patterns`], and how the index
//! names things in [`terms`].

mod exact_phrase;
mod gathered;
mod pattern_query;
mod patterns;
mod ranges;
mod terms;
mod words;

use std::sync::Arc;

use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, ExistsQuery, Occur,
    Query,
};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Searcher, TantivyError, Term};

pub(crate) use self::exact_phrase::ExactPhrase;
use self::gathered::Gathered;
pub(crate) use self::terms::{FIELDS, column, hash_column, path_of};
use super::name::Name;
use super::pattern::Pattern;
use super::tree::{Bool, Node};
use crate::search::Budget;

/// Terms that one query may look up in one split: a word without a field is a term in each field that has it.
const TERMS_MAX: usize = 16 << 10;

/// Times that one query may look in one split whether a field has a word at all.
const LOOKUPS_MAX: usize = 64 << 10;

/// Of these, how many are made between two looks at the time.
const LOOKUPS_STEP: usize = 256;

type Boxed = Box<dyn Query>;

/// Makes one query for the split that it searches.
pub(crate) struct Compiler<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// What is searched when no field is named.
    pub(crate) paths: &'a [Arc<str>],
    pub(crate) searcher: &'a Searcher,
    /// Cuts texts into words as the split's builder did.
    pub(crate) analyzer: TextAnalyzer,
    pub(crate) budget: &'a Arc<Budget>,
    terms_left: usize,
    lookups_left: usize,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        (topic, partition): (&'a str, i32),
        paths: &'a [Arc<str>],
        searcher: &'a Searcher,
        analyzer: TextAnalyzer,
        budget: &'a Arc<Budget>,
    ) -> Compiler<'a> {
        let (terms_left, lookups_left) = (TERMS_MAX, LOOKUPS_MAX);
        Compiler { topic, partition, paths, searcher, analyzer, budget, terms_left, lookups_left }
    }

    /// # Errors
    /// The split cannot be read, the time is over, or the query has too many terms there.
    pub(crate) fn query(&mut self, node: &Node) -> tantivy::Result<Boxed> {
        Ok(match node {
            Node::All => Box::new(AllQuery),
            Node::None => Box::new(EmptyQuery),
            Node::Term { name, value } => self.term(name, value)?,
            Node::Match { name, value, combine } => self.words(name, value, *combine)?,
            Node::Phrase { name, value, slop } => self.phrase(name, value, *slop)?,
            Node::Range { name, ranges } => ranges::range(name, ranges, self.partition),
            Node::Pattern { name, pattern } => self.pattern(name, pattern),
            Node::Exists { name } => self.exists(name),
            Node::Ids(ids) => {
                let here = ids.iter().filter(|(partition, _)| *partition == self.partition);
                any(here.map(|(_, offset)| ranges::offsets(*offset, *offset)).collect())
            }
            Node::Bool(all) => self.bool(all)?,
            Node::Best(nodes) => best(self.all(nodes)?),
            Node::Boost(node, boost) => match self.query(node)? {
                query if is_nothing(&query) => query,
                query => Box::new(BoostQuery::new(query, *boost)),
            },
            Node::Constant(node) => match self.query(node)? {
                query if is_nothing(&query) => query,
                query => constant(query),
            },
        })
    }

    fn all(&mut self, nodes: &[Node]) -> tantivy::Result<Vec<Boxed>> {
        nodes.iter().map(|node| self.query(node)).collect()
    }

    fn bool(&mut self, all: &Bool) -> tantivy::Result<Boxed> {
        let least = all.least_should();
        let mut clauses: Vec<(Occur, Boxed)> = Vec::new();
        // What a split has nowhere ends the matter there: most splits lack some word of a long text.
        for (nodes, is_scored) in [(&all.must, true), (&all.filter, false)] {
            for node in nodes {
                match self.query(node)? {
                    query if is_nothing(&query) => return Ok(query),
                    query => clauses.push((Occur::Must, if is_scored { query } else { unscored(query) })),
                }
            }
        }
        let should = self.some(&all.should, least)?;
        if should.len() < least {
            return Ok(Box::new(EmptyQuery));
        }
        clauses.extend(should.into_iter().map(|query| (Occur::Should, query)));
        if all.must.is_empty() && all.filter.is_empty() && least == 0 {
            // Something must be there for the rest to be taken from.
            clauses.push((Occur::Must, unscored(Box::new(AllQuery))));
        }
        for query in self.all(&all.must_not)?.into_iter().filter(|query| !is_nothing(query)) {
            let excluded = Gathered { query: Arc::from(query), budget: Arc::clone(self.budget) };
            clauses.push((Occur::MustNot, Box::new(excluded)));
        }
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least)))
    }

    /// Those queries that can match in this split, of which `least` have to: fewer when that many cannot be found any more.
    fn some(&mut self, nodes: &[Node], least: usize) -> tantivy::Result<Vec<Boxed>> {
        let mut found = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            if found.len() + (nodes.len() - at) < least {
                break;
            }
            let query = self.query(node)?;
            if !is_nothing(&query) {
                found.push(query);
            }
        }
        Ok(found)
    }

    fn exists(&mut self, name: &Name) -> Boxed {
        match name {
            Name::Offset | Name::Partition | Name::Topic | Name::Timestamp | Name::Anywhere => {
                Box::new(AllQuery)
            }
            Name::Key => constant(Box::new(ExistsQuery::new("_key".to_owned(), false))),
            Name::Value { path, .. } => {
                let exact = Box::new(ExistsQuery::new(column(path), true));
                let hashes = Box::new(ExistsQuery::new(hash_column(path), true));
                constant(any(vec![exact, hashes]))
            }
            Name::Header(_) => self.pattern(name, &Pattern::any()),
        }
    }

    /// Whether the split has a term at all: most paths have few words of a query.
    fn has(&mut self, term: &Term) -> tantivy::Result<bool> {
        let left = self.lookups_left.checked_sub(1).ok_or_else(|| {
            let message = format!(
                "the query has too many words for {} fields: more than {LOOKUPS_MAX} words and fields to look them up in; name \
                 fields, or leave out words",
                self.paths.len()
            );
            TantivyError::InvalidArgument(message)
        });
        self.lookups_left = left?;
        if self.lookups_left.is_multiple_of(LOOKUPS_STEP) {
            self.budget.check()?;
        }
        Ok(self.searcher.doc_freq(term)? > 0)
    }

    fn count(&mut self, terms: usize) -> tantivy::Result<()> {
        self.budget.check()?;
        let left = self.terms_left.checked_sub(terms).ok_or_else(|| {
            let message = format!(
                "the words of the query are in too many fields: more than {TERMS_MAX} terms; name fields"
            );
            TantivyError::InvalidArgument(message)
        });
        self.terms_left = left?;
        Ok(())
    }
}

/// Whether nothing in the split can match.
fn is_nothing(query: &Boxed) -> bool {
    query.is::<EmptyQuery>()
}

/// Each match counts the same.
fn constant(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 1.0))
}

/// Matches count nothing.
fn unscored(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn constant_if(is: bool) -> Boxed {
    if is { Box::new(AllQuery) } else { Box::new(EmptyQuery) }
}

fn any(queries: Vec<Boxed>) -> Boxed {
    alone_or(queries, |queries| Box::new(BooleanQuery::union(queries)))
}

fn best(queries: Vec<Boxed>) -> Boxed {
    alone_or(queries, |queries| Box::new(DisjunctionMaxQuery::new(queries)))
}

fn alone_or(mut queries: Vec<Boxed>, several: impl FnOnce(Vec<Boxed>) -> Boxed) -> Boxed {
    queries.retain(|query| !is_nothing(query));
    match queries.pop() {
        None => Box::new(EmptyQuery),
        Some(only) if queries.is_empty() => only,
        Some(last) => {
            queries.push(last);
            several(queries)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tantivy::{Index, TantivyDocument};

    use super::*;
    use crate::Fields;
    use crate::query::literal::Literal;
    use crate::query::tree::Combine;

    /// Compiles a match of words in no field over records whose two fields have each of them, with so many terms and look-ups to spend.
    fn compile(words: &str, terms: usize, lookups: usize, time: Duration) -> tantivy::Result<Boxed> {
        let (schema, _) = Fields::schema();
        let mut index = Index::create_in_ram(schema.clone());
        index.set_tokenizers(Fields::tokenizers());
        let mut writer = index.writer_with_num_threads::<TantivyDocument>(1, 15_000_000)?;
        let value = r#"{"value": {"a": "x y z", "b": "x y z"}}"#;
        writer.add_document(TantivyDocument::parse_json(&schema, value).unwrap())?;
        writer.commit()?;
        let searcher = index.reader()?.searcher();
        let analyzer = index.tokenizer_for_field(FIELDS.text)?;
        let budget = Arc::new(Budget::new(Instant::now() + time));
        let paths = ["a".into(), "b".into()];
        let mut compiler = Compiler::new(("t", 0), &paths, &searcher, analyzer, &budget);
        compiler.terms_left = terms;
        compiler.lookups_left = lookups;
        compiler.query(&Node::Match {
            name: Name::Anywhere,
            value: Literal::Text(words.to_owned()),
            combine: Combine::All,
        })
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn assert_refused(found: tantivy::Result<Boxed>) {
        let error = found.unwrap_err();
        assert!(
            matches!(&error, TantivyError::InvalidArgument(text) if text.contains("name fields")),
            "{error}"
        );
    }

    #[test]
    fn words_that_are_in_too_many_fields_are_refused() {
        assert!(compile("x y", 8, 100, HOUR).is_ok());
        assert_refused(compile("x y z", 8, 100, HOUR));
    }

    #[test]
    fn more_words_than_can_be_looked_up_in_all_fields_are_refused() {
        assert!(compile("x y z", 100, 10, HOUR).is_ok());
        assert_refused(compile("x y z", 100, 9, HOUR));
    }

    #[test]
    fn a_word_that_is_nowhere_leaves_nothing_to_look_up() {
        assert!(!is_nothing(&compile("x y z", 100, 10, HOUR).unwrap()));
        assert!(is_nothing(&compile("nowhere x y z", 100, 4, HOUR).unwrap()));
    }

    #[test]
    fn a_query_is_made_within_its_time() {
        assert!(compile("x", 8, 100, Duration::ZERO).is_err());
    }
}
