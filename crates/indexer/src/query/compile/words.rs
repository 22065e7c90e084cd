//! Words, phrases, whole strings and typed values: what `term`, `match` and `match_phrase` look for.

use std::ops::Bound;

use eddy_types::Millis;
use tantivy::Term;
use tantivy::query::{BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, PhraseQuery, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::ranges::{dates, numbers};
use super::terms::{FIELDS, exact_term, text_term};
use super::{Boxed, Compiler, any, best, constant, constant_if};
use crate::fields::hash_of;
use crate::query::dates::DateForm;
use crate::query::highlight::words;
use crate::query::literal::{Literal, Number};
use crate::query::name::Name;
use crate::query::tree::Combine;

impl Compiler<'_> {
    pub(super) fn term(&mut self, name: &Name, value: &Literal) -> Boxed {
        match name {
            Name::Value { path, whole: true } => self.whole(path, &value.text()),
            Name::Value { path, whole: false } => {
                let token = word(text_term(path, &value.text()));
                best(std::iter::once(token).chain(typed(path, value)).collect())
            }
            Name::Anywhere => best(vec![self.anywhere(&value.text()), key(value)]),
            Name::Key => key(value),
            Name::Header(header) => {
                let mut term = Term::from_field_json_path(FIELDS.headers, header, true);
                term.append_type_and_str(&value.text());
                exact(term)
            }
            Name::Topic => constant_if(value.text() == self.topic),
            Name::Partition => constant_if(value.number() == Some(Number::Int(i64::from(self.partition)))),
            Name::Offset => match value.number() {
                Some(number) => numbers(Bound::Included(number), Bound::Included(number)),
                None => Box::new(EmptyQuery),
            },
            Name::Timestamp => match instants(value) {
                Some((begin, end)) => dates(None, Bound::Included(begin), Bound::Included(end)),
                None => Box::new(EmptyQuery),
            },
        }
    }

    pub(super) fn words(&mut self, name: &Name, value: &Literal, combine: Combine) -> Boxed {
        let make: &dyn Fn(&str) -> Boxed = match name {
            Name::Anywhere => &|token| self.anywhere(token),
            Name::Value { path, whole: false } => &|token| word(text_term(path, token)),
            _ => return self.term(name, value),
        };
        let tokens: Vec<Boxed> =
            words(&mut self.analyzer.clone(), &value.text()).iter().map(|token| make(token)).collect();
        let least = match combine {
            Combine::All => tokens.len(),
            Combine::Least(least) => least.of(tokens.len()).max(1),
        };
        let found: Boxed = if tokens.is_empty() || least > tokens.len() {
            Box::new(EmptyQuery)
        } else {
            let clauses = tokens.into_iter().map(|token| (Occur::Should, token)).collect();
            Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least))
        };
        or_typed(name, value, found)
    }

    pub(super) fn phrase(&mut self, name: &Name, value: &Literal, slop: u32) -> Boxed {
        let tokens = self.tokens(&value.text());
        let found: Boxed = match (name, tokens.as_slice()) {
            (Name::Anywhere | Name::Value { whole: false, .. }, []) => Box::new(EmptyQuery),
            (Name::Anywhere, [(_, token)]) => self.anywhere(token),
            (Name::Anywhere, _) => {
                let mut found =
                    vec![phrase(&tokens, slop, |token| Term::from_field_text(FIELDS.text, token))];
                for path in self.paths {
                    if tokens.iter().all(|(_, token)| self.has(&text_term(path, token))) {
                        found.push(phrase(&tokens, slop, |token| text_term(path, token)));
                    }
                }
                best(found)
            }
            (Name::Value { path, whole: false }, _) => phrase(&tokens, slop, |token| text_term(path, token)),
            _ => return self.term(name, value),
        };
        or_typed(name, value, found)
    }

    /// A word, or a number, in any field of the value, or in a value without fields.
    fn anywhere(&self, token: &str) -> Boxed {
        let mut found = vec![word(Term::from_field_text(FIELDS.text, token))];
        let number = Number::parse(token);
        for path in self.paths {
            let term = text_term(path, token);
            if self.has(&term) {
                found.push(word(term));
            }
            if let Some(number) = number {
                let mut term = Term::from_field_json_path(FIELDS.value, path, true);
                append(&mut term, number);
                if self.has(&term) {
                    found.push(constant(exact(term)));
                }
            }
        }
        best(found)
    }

    /// The whole of a string. The words find it, where there are any, and the columns confirm it.
    fn whole(&mut self, path: &str, text: &str) -> Boxed {
        let equal = |term: Term| -> Boxed {
            Box::new(RangeQuery::new(Bound::Included(term.clone()), Bound::Included(term)))
        };
        let mut hash = Term::from_field_json_path(FIELDS.hash, path, true);
        hash.append_type_and_fast_value(hash_of(text));
        let equal = any(vec![equal(exact_term(path, text)), equal(hash)]);
        let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, constant(equal))];
        for (_, token) in self.tokens(text) {
            let token: Boxed = exact(text_term(path, &token));
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(token, 0.0))));
        }
        Box::new(BooleanQuery::new(clauses))
    }

    /// Whether the split has a term at all: most paths have few words of a query.
    fn has(&self, term: &Term) -> bool {
        self.searcher.doc_freq(term).is_ok_and(|docs| docs > 0)
    }

    /// The words of a text, and their positions.
    pub(super) fn tokens(&mut self, text: &str) -> Vec<(usize, String)> {
        let mut tokens = Vec::new();
        self.analyzer
            .token_stream(text)
            .process(&mut |token| tokens.push((token.position, token.text.clone())));
        tokens
    }
}

/// Words one after the other; a single one is itself.
fn phrase(tokens: &[(usize, String)], slop: u32, make: impl Fn(&str) -> Term) -> Boxed {
    match tokens {
        [] => Box::new(EmptyQuery),
        [(_, token)] => word(make(token)),
        _ => {
            let terms = tokens.iter().map(|(position, token)| (*position, make(token))).collect();
            Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop))
        }
    }
}

fn or_typed(name: &Name, value: &Literal, found: Boxed) -> Boxed {
    match name {
        Name::Value { path, .. } => best(std::iter::once(found).chain(typed(path, value)).collect()),
        Name::Anywhere => best(vec![found, key(value)]),
        _ => found,
    }
}

/// The number, truth value or date that a literal is or says, where records have those.
fn typed(path: &str, value: &Literal) -> Vec<Boxed> {
    let mut found: Vec<Boxed> = Vec::new();
    if let Some(number) = value.number() {
        let mut term = Term::from_field_json_path(FIELDS.value, path, true);
        append(&mut term, number);
        found.push(constant(exact(term)));
    }
    if let Some(value) = value.bool() {
        let mut term = Term::from_field_json_path(FIELDS.value, path, true);
        term.append_type_and_fast_value(value);
        found.push(constant(exact(term)));
    }
    if let Some((begin, end)) = instants(value) {
        found.push(constant(dates(Some(path), Bound::Included(begin), Bound::Included(end))));
    }
    found
}

fn instants(value: &Literal) -> Option<(Millis, Millis)> {
    let form = DateForm::new(Millis(0));
    match value {
        Literal::Number(Number::Int(number)) => Some(form.number(*number)),
        Literal::Text(text) if !text.starts_with("now") => form.text(text),
        _ => None,
    }
}

/// The dictionary has every number as an integer if it is one.
fn append(term: &mut Term, number: Number) {
    match number {
        Number::Int(number) => term.append_type_and_fast_value(number),
        Number::Uint(number) => term.append_type_and_fast_value(number),
        Number::Float(number) => match tantivy::columnar::NumericalValue::F64(number).normalize() {
            tantivy::columnar::NumericalValue::I64(number) => term.append_type_and_fast_value(number),
            tantivy::columnar::NumericalValue::U64(number) => term.append_type_and_fast_value(number),
            tantivy::columnar::NumericalValue::F64(number) => term.append_type_and_fast_value(number),
        },
    }
}

fn key(value: &Literal) -> Boxed {
    exact(Term::from_field_text(FIELDS.key, &value.text()))
}

fn word(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn exact(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}
