//! `query_string`, `simple_query_string` and the native language: strings become trees.
//!
//! OR binds least, AND more, NOT and the signs most. Words side by side are joined by the default operator. A word that the
//! tokenizer cuts into several is a phrase.

use std::ops::Bound;

use super::dates::DateForm;
use super::lexer::{Kind, Language, LexError, Token, glob_char, lex};
use super::ranges::ranges;
use super::tree::{Bool, Combine, Glob, Least, Literal, Name, Node, OWN_NAMES, Pattern};

/// How a query string is read.
#[derive(Clone, Debug)]
pub(crate) struct StringForm {
    pub(crate) language: Language,
    /// What joins words side by side: AND, else OR.
    pub(crate) and: bool,
    /// Fields that words without one search, and their weights.
    pub(crate) fields: Vec<(Name, f32)>,
    pub(crate) dates: DateForm,
    /// Groups within groups.
    pub(crate) depth_max: usize,
    /// Words, phrases and ranges.
    pub(crate) clauses_max: usize,
}

/// Reads a query string. What it asks for is counted into `clauses`.
///
/// # Errors
/// What is wrong, and how many characters stand before it.
pub(crate) fn parse(text: &str, form: &StringForm, clauses: &mut usize) -> Result<Node, LexError> {
    let tokens = lex(text, form.language)?;
    let end = text.chars().count();
    let mut parser = Parser { form, tokens, next: 0, end, clauses, field: None };
    if parser.tokens.is_empty() {
        return Ok(Node::All);
    }
    let node = parser.any(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(Kind::Close) => Err(("this ')' has no '('".to_owned(), parser.at())),
        Some(_) => Err(("this is not expected here".to_owned(), parser.at())),
    }
}

struct Parser<'a> {
    form: &'a StringForm,
    tokens: Vec<Token>,
    next: usize,
    /// Characters in the whole text.
    end: usize,
    clauses: &'a mut usize,
    /// The field of the group that is read.
    field: Option<Name>,
}

/// How a clause takes part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Plain,
    Must,
    Not,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    /// Characters before the next token.
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.at)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek() == Some(kind);
        self.next += usize::from(found);
        found
    }

    /// Clauses joined by OR, or side by side when that means OR.
    fn any(&mut self, depth: usize) -> Result<Node, LexError> {
        if depth > self.form.depth_max {
            return Err((format!("groups nest deeper than {}", self.form.depth_max), self.at()));
        }
        let mut clauses = Vec::new();
        let mut or = false;
        loop {
            let (part, node) = self.all(depth)?;
            let after = std::mem::replace(&mut or, self.take(&Kind::Or));
            clauses.push(match part {
                // `a OR NOT b` says what it says; `a -b` excludes b.
                Part::Not if after || or => (Part::Plain, join(vec![(Part::Not, node)])),
                _ => (part, node),
            });
            if !or && (matches!(self.peek(), None | Some(Kind::Close))) {
                return Ok(join(clauses));
            }
            if or && matches!(self.peek(), None | Some(Kind::Close)) {
                return Err(("something must follow OR".to_owned(), self.at()));
            }
        }
    }

    /// Clauses joined by AND, or side by side when that means AND.
    fn all(&mut self, depth: usize) -> Result<(Part, Node), LexError> {
        let first = self.one(depth)?;
        let mut clauses = vec![first];
        loop {
            let simple = self.form.language == Language::Simple;
            let and = self.take(&Kind::And) || (simple && self.take(&Kind::Plus));
            if !and {
                let ends = matches!(self.peek(), None | Some(Kind::Close | Kind::Or));
                if ends || !self.form.and {
                    break;
                }
            }
            clauses.push(self.one(depth)?);
        }
        if clauses.len() == 1 {
            return Ok(clauses.pop().unwrap_or((Part::Plain, Node::None)));
        }
        let must = |(part, node)| (if part == Part::Not { Part::Not } else { Part::Must }, node);
        Ok((Part::Plain, join(clauses.into_iter().map(must).collect())))
    }

    fn one(&mut self, depth: usize) -> Result<(Part, Node), LexError> {
        let simple = self.form.language == Language::Simple;
        let mut part = Part::Plain;
        loop {
            let at = self.at();
            part = match self.peek() {
                Some(Kind::Not | Kind::Minus) if part == Part::Not => {
                    return Err(("NOT stands here twice".to_owned(), at));
                }
                Some(Kind::Not | Kind::Minus) => Part::Not,
                Some(Kind::Plus) if !simple && part == Part::Plain => Part::Must,
                _ => break,
            };
            self.next += 1;
        }
        let node = self.clause(depth)?;
        Ok((part, self.boosted(node)))
    }

    fn boosted(&mut self, node: Node) -> Node {
        match self.peek() {
            Some(&Kind::Boost(boost)) => {
                self.next += 1;
                Node::Boost(Box::new(node), boost)
            }
            _ => node,
        }
    }

    fn count(&mut self) -> Result<(), LexError> {
        *self.clauses += 1;
        if *self.clauses > self.form.clauses_max {
            return Err((format!("the query has more than {} clauses", self.form.clauses_max), self.at()));
        }
        Ok(())
    }

    fn clause(&mut self, depth: usize) -> Result<Node, LexError> {
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

    fn group(&mut self, at: usize, depth: usize) -> Result<Node, LexError> {
        if self.take(&Kind::Close) {
            return Err(("the group is empty".to_owned(), at));
        }
        let node = self.any(depth + 1)?;
        if self.take(&Kind::Close) { Ok(node) } else { Err(("this '(' has no ')'".to_owned(), at)) }
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
            self.count()?;
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
        let weighted = |(name, boost): &(Name, f32)| {
            let node = of(name.clone());
            if (*boost - 1.0).abs() < f32::EPSILON { node } else { Node::Boost(Box::new(node), *boost) }
        };
        let mut nodes: Vec<Node> = self.form.fields.iter().map(weighted).collect();
        if nodes.len() == 1 { nodes.pop().unwrap_or(Node::None) } else { Node::Best(nodes) }
    }

    fn word(&mut self, parts: Vec<Glob>, at: usize) -> Result<Node, LexError> {
        self.count()?;
        if matches!(self.peek(), Some(Kind::Tilde(_))) {
            return Err(("fuzzy words are not served; use wildcards".to_owned(), self.at()));
        }
        if parts == [Glob::Any] {
            return Ok(match &self.field {
                Some(name) => Node::Exists { name: name.clone() },
                None => Node::All,
            });
        }
        if parts.iter().any(|part| !matches!(part, Glob::Char(_))) {
            let pattern = Pattern { parts, any_case: false, as_words: true };
            check_pattern(&pattern).map_err(|message| (message, at))?;
            return Ok(self.over_fields(|name| Node::Pattern { name, pattern: pattern.clone() }));
        }
        let text: String = parts.iter().map(glob_char).collect();
        Ok(self.text(text, 0))
    }

    fn phrase(&mut self, text: String) -> Result<Node, LexError> {
        self.count()?;
        let slop = match self.peek() {
            Some(Kind::Tilde(slop)) => slop.unwrap_or(0),
            _ => return Ok(self.text(text, 0)),
        };
        self.next += 1;
        Ok(self.text(text, slop))
    }

    fn text(&self, text: String, slop: u32) -> Node {
        self.over_fields(|name| {
            let value = Literal::Text(text.clone());
            match &name {
                Name::Value { whole: true, .. } | Name::Key | Name::Header(_) => Node::Term { name, value },
                Name::Anywhere | Name::Value { .. } => Node::Phrase { name, value, slop },
                Name::Offset | Name::Partition | Name::Topic | Name::Timestamp => {
                    Node::Match { name, value, combine: Combine::All }
                }
            }
        })
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
        self.count()?;
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

/// Patterns that would look at every word of a topic for nothing, or have no end.
pub(crate) fn check_pattern(pattern: &Pattern) -> Result<(), String> {
    const PARTS_MAX: usize = 256;
    const WILDCARDS_MAX: usize = 16;
    let wildcards = pattern.parts.iter().filter(|part| **part == Glob::Any).count();
    if pattern.parts.len() > PARTS_MAX {
        return Err(format!("the pattern is longer than {PARTS_MAX} characters"));
    }
    if wildcards > WILDCARDS_MAX {
        return Err(format!("the pattern has more than {WILDCARDS_MAX} wildcards *"));
    }
    Ok(())
}

fn join(mut clauses: Vec<(Part, Node)>) -> Node {
    if let [(Part::Plain | Part::Must, _)] = clauses.as_slice() {
        return clauses.pop().map_or(Node::None, |(_, node)| node);
    }
    let mut all = Bool::default();
    for (part, node) in clauses {
        match part {
            Part::Plain => all.should.push(node),
            Part::Must => all.must.push(node),
            Part::Not => all.must_not.push(node),
        }
    }
    if !all.should.is_empty() && all.must.is_empty() {
        all.least = Some(Least::Count(1));
    }
    Node::Bool(Box::new(all))
}
