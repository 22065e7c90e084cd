//! The query as a tree.

use std::ops::Bound;

use eddy_types::Millis;

use super::literal::{Literal, Number};
use super::name::Name;
use super::pattern::Pattern;

/// From and to.
pub(crate) type Range<T> = (Bound<T>, Bound<T>);

/// A range, read in each way in which all its bounds can be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranges {
    pub(crate) numbers: Option<Range<Number>>,
    pub(crate) dates: Option<Range<Millis>>,
    pub(crate) texts: Option<Range<String>>,
}

/// How the words of a match combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    All,
    /// At least so many.
    Least(Least),
}

/// Elasticsearch's `minimum_should_match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// So many; negative: all but so many.
    Count(i64),
    /// This share of them, rounded down; negative: all but this share.
    Percent(i64),
}

impl Least {
    /// How many of `all`.
    pub(crate) fn of(self, all: usize) -> usize {
        let all = i64::try_from(all).unwrap_or(i64::MAX);
        let count = match self {
            Least::Count(count) if count < 0 => all.saturating_add(count),
            Least::Count(count) => count,
            Least::Percent(percent) if percent < 0 => all - all.saturating_mul(-percent) / 100,
            Least::Percent(percent) => all.saturating_mul(percent) / 100,
        };
        usize::try_from(count).unwrap_or(0)
    }
}

/// Places by which the words of a phrase may be off, all together.
pub(crate) const SLOP_MAX: u32 = 1000;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All,
    None,
    /// The token, or the typed value.
    Term {
        name: Name,
        value: Literal,
    },
    /// The words of a text.
    Match {
        name: Name,
        value: Literal,
        combine: Combine,
    },
    /// The words of a text, one after the other.
    Phrase {
        name: Name,
        value: Literal,
        slop: u32,
    },
    Range {
        name: Name,
        ranges: Ranges,
    },
    /// Tokens that a pattern matches.
    Pattern {
        name: Name,
        pattern: Pattern,
    },
    Exists {
        name: Name,
    },
    /// Partitions and offsets.
    Ids(Vec<(i32, i64)>),
    Bool(Box<Bool>),
    /// The best of several.
    Best(Vec<Node>),
    Boost(Box<Node>, f32),
    /// Counts the same for every match.
    Constant(Box<Node>),
}

impl Node {
    /// Its matches count so many times as much.
    pub(crate) fn boosted(self, boost: f32) -> Node {
        if (boost - 1.0).abs() < f32::EPSILON { self } else { Node::Boost(Box::new(self), boost) }
    }
}

/// Clauses of a bool query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bool {
    pub(crate) must: Vec<Node>,
    pub(crate) should: Vec<Node>,
    pub(crate) filter: Vec<Node>,
    pub(crate) must_not: Vec<Node>,
    pub(crate) least: Option<Least>,
}

impl Bool {
    /// How many of the `should` clauses must match.
    pub(crate) fn least_should(&self) -> usize {
        match self.least {
            Some(least) => least.of(self.should.len()),
            None => usize::from(self.must.is_empty() && self.filter.is_empty() && !self.should.is_empty()),
        }
    }
}
