//! Words, phrases, whole strings and typed values: what `term`, `match` and `match_phrase` look for.

use std::ops::Bound;

use eddy_types::Millis;
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, PhraseQuery, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::Token;

use super::exact_phrase::ExactPhrase;
use super::ranges::{dates_of, offset_range, timestamps};
use super::terms::{self, FIELDS};
use super::{Boxed, Compiler, any, best, constant, constant_if, is_nothing, unscored};
use crate::query::dates::DateForm;
use crate::query::literal::{Literal, Number};
use crate::query::name::Name;
use crate::query::tokens::tokens;
use crate::query::tree::{Combine, Range};

/// Words that are looked up for a whole string before its columns are asked.
const WHOLE_WORDS_MAX: usize = 64;

impl Compiler<'_> {
    /// One word, or one value.
    pub(super) fn term(&mut self, name: &Name, value: &Literal) -> tantivy::Result<Boxed> {
        Ok(match name {
            Name::Value { path, whole: true } => self.whole(path, &value.text())?,
            Name::Value { path, whole: false } => {
                self.count(1)?;
                self.or_typed(name, value, word(terms::word(path, &value.text())))?
            }
            Name::Anywhere => {
                let found = self.anywhere(&value.text())?;
                self.or_typed(name, value, found)?
            }
            Name::Key => exact(key(value)),
            Name::Header(header) => exact(terms::header(header, &value.text())),
            Name::Topic => constant_if(value.text() == self.topic),
            Name::Partition => constant_if(value.number() == Some(Number::Int(i64::from(self.partition)))),
            Name::Offset => match value.number() {
                Some(number) => offset_range(&(Bound::Included(number), Bound::Included(number))),
                None => Box::new(EmptyQuery),
            },
            Name::Timestamp => instants(value).map_or_else(|| -> Boxed { Box::new(EmptyQuery) }, timestamps),
        })
    }

    /// The words of a text.
    pub(super) fn words(&mut self, name: &Name, value: &Literal, combine: Combine) -> tantivy::Result<Boxed> {
        let path = match name {
            Name::Anywhere => None,
            Name::Value { path, whole: false } => Some(path),
            _ => return self.term(name, value),
        };
        let tokens = tokens(&mut self.analyzer, &value.text());
        self.count(tokens.len())?;
        let least = match combine {
            Combine::All => tokens.len(),
            Combine::Least(least) => least.of(tokens.len()).max(1),
        };
        let mut found = Vec::with_capacity(tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            if found.len() + (tokens.len() - at) < least {
                break;
            }
            let query = match path {
                Some(path) => word(terms::word(path, &token.text)),
                None => self.anywhere(&token.text)?,
            };
            if !is_nothing(&query) {
                found.push(query);
            }
        }
        let found: Boxed = if found.is_empty() || least > found.len() {
            Box::new(EmptyQuery)
        } else {
            let clauses = found.into_iter().map(|word| (Occur::Should, word)).collect();
            Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least))
        };
        self.or_typed(name, value, found)
    }

    /// The words of a text, one after the other.
    pub(super) fn phrase(&mut self, name: &Name, value: &Literal, slop: u32) -> tantivy::Result<Boxed> {
        let tokens = tokens(&mut self.analyzer, &value.text());
        self.count(tokens.len())?;
        let found = match (name, tokens.as_slice()) {
            (Name::Anywhere, [token]) => self.anywhere(&token.text)?,
            (Name::Anywhere, _) => self.phrase_anywhere(&tokens, slop)?,
            (Name::Value { path, whole: false }, _) => {
                phrase(&tokens, slop, |token| terms::word(path, token))
            }
            _ => return self.term(name, value),
        };
        self.or_typed(name, value, found)
    }

    /// Several words, one after the other, in any field of the value, or in a value without fields.
    fn phrase_anywhere(&mut self, tokens: &[Token], slop: u32) -> tantivy::Result<Boxed> {
        let mut found = Vec::new();
        let text = |token: &str| Term::from_field_text(FIELDS.text, token);
        if self.has_all(tokens, text)? {
            found.push(phrase(tokens, slop, text));
        }
        for path in self.paths {
            let in_path = |token: &str| terms::word(path, token);
            if self.has_all(tokens, in_path)? {
                self.count(tokens.len())?;
                found.push(phrase(tokens, slop, in_path));
            }
        }
        Ok(best(found))
    }

    /// Whether the split has all these words.
    fn has_all(&mut self, tokens: &[Token], term: impl Fn(&str) -> Term) -> tantivy::Result<bool> {
        for token in tokens {
            if !self.has(&term(&token.text))? {
                return Ok(false);
            }
        }
        Ok(!tokens.is_empty())
    }

    /// A word, or a number, in any of the fields that have it, or in a value without fields.
    fn anywhere(&mut self, token: &str) -> tantivy::Result<Boxed> {
        let mut found = Vec::new();
        let text = Term::from_field_text(FIELDS.text, token);
        if self.has(&text)? {
            found.push(word(text));
        }
        let number = Number::parse(token);
        for path in self.paths {
            let term = terms::word(path, token);
            if self.has(&term)? {
                found.push(word(term));
            }
            if let Some(number) = number {
                let term = terms::number(path, number);
                if self.has(&term)? {
                    found.push(constant(exact(term)));
                }
            }
        }
        self.count(found.len())?;
        Ok(best(found))
    }

    /// What was found of a text, or what it says as a value of another type.
    fn or_typed(&mut self, name: &Name, value: &Literal, found: Boxed) -> tantivy::Result<Boxed> {
        Ok(match name {
            Name::Value { path, .. } => best(std::iter::once(found).chain(typed(path, value)).collect()),
            Name::Anywhere => {
                let key = key(value);
                if self.has(&key)? { best(vec![found, exact(key)]) } else { found }
            }
            _ => found,
        })
    }

    /// The whole of a string. The words find it, where there are any, and the columns confirm it.
    fn whole(&mut self, path: &str, text: &str) -> tantivy::Result<Boxed> {
        let equal = |term: Term| -> Boxed {
            Box::new(RangeQuery::new(Bound::Included(term.clone()), Bound::Included(term)))
        };
        let equal = any(vec![equal(terms::whole(path, text)), equal(terms::whole_hash(path, text))]);
        let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, constant(equal))];
        for token in tokens(&mut self.analyzer, text).iter().take(WHOLE_WORDS_MAX) {
            clauses.push((Occur::Must, unscored(exact(terms::word(path, &token.text)))));
        }
        self.count(clauses.len())?;
        Ok(Box::new(BooleanQuery::new(clauses)))
    }
}

/// Words one after the other; a single one is itself.
fn phrase(tokens: &[Token], slop: u32, term: impl Fn(&str) -> Term) -> Boxed {
    match tokens {
        [] => Box::new(EmptyQuery),
        [token] => word(term(&token.text)),
        _ => {
            let terms = tokens.iter().map(|token| (token.position, term(&token.text))).collect();
            match slop {
                0 => Box::new(ExactPhrase::new(terms)),
                slop => Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop)),
            }
        }
    }
}

/// The number, truth value or date that a literal is or says, where records have those.
fn typed(path: &str, value: &Literal) -> impl Iterator<Item = Boxed> {
    let number = value.number().map(|number| constant(exact(terms::number(path, number))));
    let truth = value.bool().map(|value| constant(exact(terms::bool(path, value))));
    let date = instants(value).map(|range| constant(dates_of(path, range)));
    [number, truth, date].into_iter().flatten()
}

/// The milliseconds that a literal names.
fn instants(value: &Literal) -> Option<Range<Millis>> {
    let form = DateForm::new(Millis(0));
    let (first, last) = match value {
        Literal::Number(Number::Int(number)) => form.number(*number),
        Literal::Text(text) if !text.starts_with("now") => form.text(text)?,
        _ => return None,
    };
    Some((Bound::Included(first), Bound::Included(last)))
}

fn key(value: &Literal) -> Term {
    Term::from_field_text(FIELDS.key, &value.text())
}

/// The more often it is there, the better.
fn word(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn exact(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}
