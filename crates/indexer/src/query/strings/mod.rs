//! `query_string`, `simple_query_string` and the native language: strings become trees.
//!
//! OR binds least, AND more, NOT and the signs most. Words side by side are joined by the default operator. A word that the
//! tokenizer cuts into several is a phrase. Here clauses are combined; [`clause`] reads one.

mod clause;
pub(crate) mod lexer;

use self::lexer::{Kind, Language, LexError, Token, lex};
use super::dates::DateForm;
use super::name::Name;
use super::tree::{Bool, Least, Node};

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
    /// Words, patterns and ranges, each as often as there are fields for it.
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
            let ends = matches!(self.peek(), None | Some(Kind::Close));
            match (or, ends) {
                (false, true) => return Ok(join(clauses)),
                (true, true) => return Err(("something must follow OR".to_owned(), self.at())),
                (_, false) => {}
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

    /// Counts what is looked for in each field that is searched.
    fn count(&mut self, words: usize) -> Result<(), LexError> {
        let fields = if self.field.is_some() { 1 } else { self.form.fields.len() };
        *self.clauses = self.clauses.saturating_add(words.saturating_mul(fields));
        if *self.clauses > self.form.clauses_max {
            return Err((format!("the query has more than {} clauses", self.form.clauses_max), self.at()));
        }
        Ok(())
    }

    fn group(&mut self, at: usize, depth: usize) -> Result<Node, LexError> {
        if self.take(&Kind::Close) {
            return Err(("the group is empty".to_owned(), at));
        }
        let node = self.any(depth + 1)?;
        if self.take(&Kind::Close) { Ok(node) } else { Err(("this '(' has no ')'".to_owned(), at)) }
    }
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
