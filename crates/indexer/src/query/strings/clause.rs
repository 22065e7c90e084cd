//! One clause of a query string: a word, a phrase, a pattern or a range, with its field.

use std::ops::Bound;

use super::Parser;
use super::lexer::{Kind, LexError, glob_char};
use crate::query::literal::Literal;
use crate::query::name::{Name, OWN_NAMES};
use crate::query::pattern::{Glob, Pattern};
use crate::query::ranges::ranges;
use crate::query::tree::{Combine, Node, SLOP_MAX};

impl Parser<'_> {
    pub(super) fn clause(&mut self, depth: usize) -> Result<Node, LexError> {
        let at = self.at();
        let Some(token) = self.tokens.get(self.next) else {
            return Err(("the query ends where a word is expected".to_owned(), at));
        };
        let kind = token.kind.clone();
        self.next += 1;
        match kind {
            Kind::Field(field) => self.of_field(&field, at, depth),
            Kind::Open => self.group(at, depth),
            Kind::Word(parts) => self.word(parts, at),
            Kind::Quoted(text) => self.phrase(text),
            Kind::RangeOpen(closed) => self.range(closed, at),
            Kind::Compare { less, equal } => self.compare(less, equal),
            Kind::And | Kind::Or => Err(("a word must stand before this operator".to_owned(), at)),
            Kind::Close => Err(("a word is expected before this ')'".to_owned(), at)),
            Kind::Not | Kind::Plus | Kind::Minus => Err(("a word must follow the sign".to_owned(), at)),
            Kind::To | Kind::RangeClose(_) => Err(("this bracket has no first one".to_owned(), at)),
            Kind::Boost(_) | Kind::Tilde(_) => Err(("a word must stand before this sign".to_owned(), at)),
        }
    }

    fn of_field(&mut self, field: &str, at: usize, depth: usize) -> Result<Node, LexError> {
        if matches!(self.peek(), Some(Kind::Field(_))) {
            return Err(("a second ':'; put text with a colon in quotes".to_owned(), self.at()));
        }
        if field == "_exists_" {
            let Some(Kind::Word(parts)) = self.peek() else {
                return Err(("a field name must follow _exists_:".to_owned(), self.at()));
            };
            let name: String = parts.iter().map(glob_char).collect();
            let name = self.name(&name, self.at())?;
            self.next += 1;
            self.count(1)?;
            return Ok(Node::Exists { name });
        }
        if field == "*" && matches!(self.peek(), Some(Kind::Word(parts)) if *parts == [Glob::Any]) {
            self.next += 1;
            return Ok(Node::All);
        }
        let name = self.name(field, at)?;
        let before = self.field.replace(name);
        let node = self.clause(depth);
        self.field = before;
        node
    }

    fn name(&self, name: &str, at: usize) -> Result<Name, LexError> {
        Name::parse(name)
            .ok_or_else(|| (format!("no field [{name}]; a record's own fields are {OWN_NAMES}"), at))
    }

    /// The clause for the field that was given, or the best of it for all default fields.
    fn over_fields(&self, of: impl Fn(Name) -> Node) -> Node {
        if let Some(name) = &self.field {
            return of(name.clone());
        }
        let weighted = |(name, weight): &(Name, f32)| of(name.clone()).boosted(*weight);
        let mut nodes: Vec<Node> = self.form.fields.iter().map(weighted).collect();
        if nodes.len() == 1 { nodes.pop().unwrap_or(Node::None) } else { Node::Best(nodes) }
    }

    fn word(&mut self, parts: Vec<Glob>, at: usize) -> Result<Node, LexError> {
        if matches!(self.peek(), Some(Kind::Tilde(_))) {
            return Err(("fuzzy words are not served; use wildcards".to_owned(), self.at()));
        }
        if parts == [Glob::Any] {
            self.count(1)?;
            return Ok(match &self.field {
                Some(name) => Node::Exists { name: name.clone() },
                None => Node::All,
            });
        }
        if parts.iter().any(|part| !matches!(part, Glob::Char(_))) {
            let pattern = Pattern { parts, any_case: false, as_words: true };
            pattern.check().map_err(|message| (message, at))?;
            self.count(1)?;
            return Ok(self.over_fields(|name| Node::Pattern { name, pattern: pattern.clone() }));
        }
        let text: String = parts.iter().map(glob_char).collect();
        self.text(text, 0)
    }

    fn phrase(&mut self, text: String) -> Result<Node, LexError> {
        let slop = match self.peek() {
            Some(Kind::Tilde(slop)) => slop.unwrap_or(0).min(SLOP_MAX),
            _ => return self.text(text, 0),
        };
        self.next += 1;
        self.text(text, slop)
    }

    fn text(&mut self, text: String, slop: u32) -> Result<Node, LexError> {
        let value = Literal::Text(text);
        self.count(value.words_at_most().max(1))?;
        Ok(self.over_fields(|name| {
            let value = value.clone();
            match &name {
                Name::Value { whole: true, .. } | Name::Key | Name::Header(_) => Node::Term { name, value },
                Name::Anywhere | Name::Value { .. } => Node::Phrase { name, value, slop },
                Name::Offset | Name::Partition | Name::Topic | Name::Timestamp => {
                    Node::Match { name, value, combine: Combine::All }
                }
            }
        }))
    }

    fn range(&mut self, closed: bool, at: usize) -> Result<Node, LexError> {
        let from = self.bound()?;
        if !self.take(&Kind::To) {
            return Err(("TO must stand between the bounds of a range".to_owned(), self.at()));
        }
        let to = self.bound()?;
        let end_closed = match self.peek() {
            Some(&Kind::RangeClose(end_closed)) => end_closed,
            _ => return Err(("this range has no end; write [a TO b]".to_owned(), at)),
        };
        self.next += 1;
        let wrap = |bound: Option<Literal>, closed| match bound {
            None => Bound::Unbounded,
            Some(bound) if closed => Bound::Included(bound),
            Some(bound) => Bound::Excluded(bound),
        };
        self.range_of(wrap(from, closed), wrap(to, end_closed), at)
    }

    fn bound(&mut self) -> Result<Option<Literal>, LexError> {
        let bound = match self.peek() {
            Some(Kind::Word(parts)) if *parts == [Glob::Any] => None,
            Some(Kind::Word(parts)) => Some(Literal::Text(parts.iter().map(glob_char).collect())),
            Some(Kind::Quoted(text)) => Some(Literal::Text(text.clone())),
            _ => return Err(("a bound of the range is missing; write [a TO b]".to_owned(), self.at())),
        };
        self.next += 1;
        Ok(bound)
    }

    fn compare(&mut self, less: bool, equal: bool) -> Result<Node, LexError> {
        let at = self.at();
        let value = match self.peek() {
            Some(Kind::Word(parts)) => parts.iter().map(glob_char).collect(),
            Some(Kind::Quoted(text)) => text.clone(),
            Some(Kind::Minus) => match self.tokens.get(self.next + 1).map(|token| &token.kind) {
                Some(Kind::Word(parts)) => {
                    let text = std::iter::once('-').chain(parts.iter().map(glob_char)).collect();
                    self.next += 1;
                    text
                }
                _ => return Err(("a value must follow the comparison".to_owned(), at)),
            },
            _ => return Err(("a value must follow the comparison".to_owned(), at)),
        };
        self.next += 1;
        let value = Literal::Text(value);
        let bound = if equal { Bound::Included(value) } else { Bound::Excluded(value) };
        let (from, to) = if less { (Bound::Unbounded, bound) } else { (bound, Bound::Unbounded) };
        self.range_of(from, to, at)
    }

    fn range_of(&mut self, from: Bound<Literal>, to: Bound<Literal>, at: usize) -> Result<Node, LexError> {
        self.count(1)?;
        let name = match &self.field {
            Some(name) => name.clone(),
            None => return Err(("a range needs a field: field:[a TO b]".to_owned(), at)),
        };
        if from == Bound::Unbounded && to == Bound::Unbounded {
            return Ok(Node::Exists { name });
        }
        let ranges = ranges(&name, from, to, &self.form.dates).map_err(|message| (message, at))?;
        Ok(Node::Range { name, ranges })
    }
}
