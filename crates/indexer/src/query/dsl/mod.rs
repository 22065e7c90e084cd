//! Elasticsearch's query language in JSON becomes a tree.
//!
//! Here a query's kind is told, and what it asks for is counted. Each kind is read in one of the modules; what several of them have
//! in common is in [`keys`].

mod compound;
mod keys;
mod text;
mod values;

use eddy_types::Millis;

use self::keys::keys;
use super::strings::lexer::Language;
use super::tree::Node;
use super::wrong::{Part, Wrong};

/// Queries within queries.
pub(crate) const DEPTH_MAX: usize = 32;
/// Clauses in one query: its words, once for each field in which they are looked for, patterns, ranges, values of a `terms`.
pub(crate) const CLAUSES_MAX: usize = 1024;
/// Bytes of one query string.
pub(crate) const STRING_MAX: usize = 16 << 10;

const KINDS: &str = "match, match_phrase, match_all, match_none, multi_match, term, terms, range, bool, constant_score, \
                     dis_max, prefix, wildcard, exists, query_string, simple_query_string and ids";

/// Reads queries, and counts what they ask for.
pub(crate) struct Dsl {
    now: Millis,
    clauses: usize,
}

impl Dsl {
    pub(crate) fn new(now: Millis) -> Dsl {
        Dsl { now, clauses: 0 }
    }

    /// Reads `{"kind": {…}}`.
    pub(crate) fn query(&mut self, part: &Part<'_>, depth: usize) -> Result<Node, Wrong> {
        if depth > DEPTH_MAX {
            return Err(part.too_much(format!("queries nest deeper than {DEPTH_MAX}")));
        }
        let (kind, body) = part.only("a query")?;
        self.count(1, part)?;
        match kind {
            "match_all" => match_all(&body),
            "match_none" => Ok(Node::None),
            "match" => self.matches(&body),
            "match_phrase" => self.phrase(&body),
            "multi_match" => self.multi_match(&body),
            "term" => values::term(&body),
            "terms" => self.terms(&body),
            "range" => self.range(&body),
            "bool" => self.bool(&body, depth),
            "constant_score" => self.constant(&body, depth),
            "dis_max" => self.dis_max(&body, depth),
            "prefix" => values::pattern(&body, false),
            "wildcard" => values::pattern(&body, true),
            "exists" => values::exists(&body),
            "ids" => values::ids(&body),
            "query_string" => self.string(&body, Language::Full),
            "simple_query_string" => self.string(&body, Language::Simple),
            other => Err(body.unknown("query", other, KINDS)),
        }
    }

    fn count(&mut self, clauses: usize, part: &Part<'_>) -> Result<(), Wrong> {
        self.clauses = self.clauses.saturating_add(clauses);
        if self.clauses > CLAUSES_MAX {
            return Err(part.too_much(format!(
                "the query has more than {CLAUSES_MAX} clauses; use a range, a prefix or several queries"
            )));
        }
        Ok(())
    }
}

fn match_all(body: &Part<'_>) -> Result<Node, Wrong> {
    let (keys, boost) = keys(body, "[match_all]")?;
    match keys.first() {
        None => Ok(Node::All.boosted(boost)),
        Some((key, part)) => Err(part.unknown("key in [match_all]", key, "boost")),
    }
}
