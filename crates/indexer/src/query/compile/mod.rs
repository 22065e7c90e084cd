//! The tree becomes tantivy's query over one split.
//!
//! Here is what combines queries; what looks into the index is in [`words`], [`ranges`] and [`patterns`], and how the index
//! names things in [`terms`].

mod gathered;
mod pattern_query;
mod patterns;
mod ranges;
mod terms;
mod words;

use std::ops::Bound;
use std::sync::Arc;

use tantivy::Searcher;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, ExistsQuery, Occur,
    Query,
};
use tantivy::tokenizer::TextAnalyzer;

use self::gathered::Gathered;
use self::ranges::offsets;
pub(crate) use self::terms::{FIELDS, column};
use super::name::Name;
use super::pattern::{Glob, Pattern};
use super::tree::{Bool, Node};
use crate::search::Budget;

type Boxed = Box<dyn Query>;

/// What a query needs of the split that it searches.
pub(crate) struct Compiler<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// What is searched when no field is named.
    pub(crate) paths: &'a [Arc<str>],
    pub(crate) searcher: &'a Searcher,
    /// Cuts texts into words as the split's builder did.
    pub(crate) analyzer: TextAnalyzer,
    pub(crate) budget: &'a Arc<Budget>,
}

impl Compiler<'_> {
    pub(crate) fn query(&mut self, node: &Node) -> Boxed {
        match node {
            Node::All => Box::new(AllQuery),
            Node::None => Box::new(EmptyQuery),
            Node::Term { name, value } => self.term(name, value),
            Node::Match { name, value, combine } => self.words(name, value, *combine),
            Node::Phrase { name, value, slop } => self.phrase(name, value, *slop),
            Node::Range { name, ranges } => self.range(name, ranges),
            Node::Pattern { name, pattern } => self.pattern(name, pattern),
            Node::Exists { name } => self.exists(name),
            Node::Ids(ids) => {
                let here = ids.iter().filter(|(partition, _)| *partition == self.partition);
                any(here
                    .map(|(_, offset)| offsets(Bound::Included(*offset), Bound::Included(*offset)))
                    .collect())
            }
            Node::Bool(all) => self.bool(all),
            Node::Best(nodes) => best(nodes.iter().map(|node| self.query(node)).collect()),
            Node::Boost(node, boost) => Box::new(BoostQuery::new(self.query(node), *boost)),
            Node::Constant(node) => constant(self.query(node)),
        }
    }

    fn bool(&mut self, all: &Bool) -> Boxed {
        let least = all.least_should();
        if least > all.should.len() {
            return Box::new(EmptyQuery);
        }
        let mut clauses: Vec<(Occur, Boxed)> = Vec::new();
        clauses.extend(all.must.iter().map(|node| (Occur::Must, self.query(node))));
        for node in &all.filter {
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(self.query(node), 0.0))));
        }
        clauses.extend(all.should.iter().map(|node| (Occur::Should, self.query(node))));
        if all.must.is_empty() && all.filter.is_empty() && least == 0 {
            // Something must be there for the rest to be taken from.
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0))));
        }
        for node in &all.must_not {
            let excluded = Gathered { query: Arc::from(self.query(node)), budget: Arc::clone(self.budget) };
            clauses.push((Occur::MustNot, Box::new(excluded)));
        }
        Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least))
    }

    fn exists(&mut self, name: &Name) -> Boxed {
        match name {
            Name::Offset | Name::Partition | Name::Topic | Name::Timestamp | Name::Anywhere => {
                Box::new(AllQuery)
            }
            Name::Key => constant(Box::new(ExistsQuery::new("_key".to_owned(), false))),
            Name::Value { path, .. } => {
                let exact = Box::new(ExistsQuery::new(column(path), true));
                let hashes = Box::new(ExistsQuery::new(format!("hash.{path}"), true));
                constant(any(vec![exact, hashes]))
            }
            Name::Header(_) => {
                let pattern = Pattern { parts: vec![Glob::Any], any_case: false, as_words: false };
                self.pattern(name, &pattern)
            }
        }
    }
}

fn constant(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 1.0))
}

fn constant_if(is: bool) -> Boxed {
    if is { Box::new(AllQuery) } else { Box::new(EmptyQuery) }
}

fn any(mut queries: Vec<Boxed>) -> Boxed {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.pop().unwrap_or_else(|| Box::new(EmptyQuery)),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

fn best(mut queries: Vec<Boxed>) -> Boxed {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.pop().unwrap_or_else(|| Box::new(EmptyQuery)),
        _ => Box::new(DisjunctionMaxQuery::new(queries)),
    }
}
