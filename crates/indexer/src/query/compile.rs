//! The tree becomes tantivy's query over one split.

use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use eddy_types::Millis;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, ExistsQuery, Occur,
    PhraseQuery, Query, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DateTime, Searcher, Term};

use super::dates::DateForm;
use super::gathered::Gathered;
use super::highlight::words;
use super::pattern::{Among, PatternQuery};
use super::tree::{Bool, Combine, Glob, Literal, Name, Node, Number, Pattern, Ranges};
use crate::fields::{Fields, hash_of};
use crate::search::Budget;

/// The fields that every split has.
pub(crate) static FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields::schema().1);

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

    fn term(&mut self, name: &Name, value: &Literal) -> Boxed {
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

    /// Whether the split has a term at all: most paths have few words of a query.
    fn has(&self, term: &Term) -> bool {
        self.searcher.doc_freq(term).is_ok_and(|docs| docs > 0)
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

    /// The words of a text, and their positions.
    fn tokens(&mut self, text: &str) -> Vec<(usize, String)> {
        let mut tokens = Vec::new();
        self.analyzer
            .token_stream(text)
            .process(&mut |token| tokens.push((token.position, token.text.clone())));
        tokens
    }

    fn words(&mut self, name: &Name, value: &Literal, combine: Combine) -> Boxed {
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

    fn phrase(&mut self, name: &Name, value: &Literal, slop: u32) -> Boxed {
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

    fn range(&mut self, name: &Name, ranges: &Ranges) -> Boxed {
        let mut found: Vec<Boxed> = Vec::new();
        let path = match name {
            Name::Value { path, .. } => Some(path.as_str()),
            _ => None,
        };
        if let Some((from, to)) = &ranges.numbers {
            found.push(match (name, path) {
                (Name::Partition, _) => {
                    let here = Number::Int(i64::from(self.partition));
                    constant_if(within(&here, from, to, |one, two| one.order(*two)))
                }
                (_, Some(path)) => json_numbers(path, from, to),
                (_, None) => numbers(*from, *to),
            });
        }
        if let Some((from, to)) = ranges.dates {
            found.push(dates(path, from, to));
        }
        if let Some((from, to)) = &ranges.texts {
            let make = |text: &String| match path {
                Some(path) => exact_term(path, text),
                None => Term::from_field_text(FIELDS.key, text),
            };
            found.push(match (map(from, make), map(to, make)) {
                (Bound::Unbounded, Bound::Unbounded) => Box::new(EmptyQuery),
                (from, to) => Box::new(RangeQuery::new(from, to)),
            });
        }
        constant(any(found))
    }

    fn pattern(&mut self, name: &Name, pattern: &Pattern) -> Boxed {
        let lower = pattern.as_words && self.tokens("A").first().is_some_and(|(_, token)| token == "a");
        let as_words = Arc::new(if lower { lower_case(pattern) } else { pattern.clone() });
        let as_is = Arc::new(pattern.clone());
        let among = |among, pattern: &Arc<Pattern>| -> Boxed {
            Box::new(PatternQuery { among, pattern: Arc::clone(pattern), budget: Arc::clone(self.budget) })
        };
        let terms = |field, path: Vec<u8>| Among::Terms { field, path };
        match name {
            Name::Topic => constant_if(pattern.matches(self.topic)),
            Name::Partition => constant_if(pattern.matches(&self.partition.to_string())),
            Name::Offset | Name::Timestamp => constant_if(pattern.is_any()),
            Name::Key => among(terms(FIELDS.key, Vec::new()), &as_is),
            Name::Header(header) => {
                let mut term = Term::from_field_json_path(FIELDS.headers, header, true);
                term.append_type_and_str("");
                among(terms(FIELDS.headers, term.serialized_value_bytes().to_vec()), &as_is)
            }
            Name::Value { path, whole: true } => among(Among::Strings { column: column(path) }, &as_is),
            Name::Value { path, whole: false } => {
                let path = text_term(path, "").serialized_value_bytes().to_vec();
                among(terms(FIELDS.value, path), &as_words)
            }
            Name::Anywhere => {
                let mut found = vec![
                    among(terms(FIELDS.text, Vec::new()), &as_words),
                    among(terms(FIELDS.key, Vec::new()), &as_is),
                ];
                found.extend(self.paths.iter().map(|path| {
                    let path = text_term(path, "").serialized_value_bytes().to_vec();
                    among(terms(FIELDS.value, path), &as_words)
                }));
                constant(any(found))
            }
        }
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

/// The fast field of a path.
pub(crate) fn column(path: &str) -> String {
    format!("exact.{path}")
}

fn lower_case(pattern: &Pattern) -> Pattern {
    let mut parts = Vec::with_capacity(pattern.parts.len());
    for part in &pattern.parts {
        match part {
            Glob::Char(char) => parts.extend(char.to_lowercase().map(Glob::Char)),
            other => parts.push(*other),
        }
    }
    Pattern { parts, ..*pattern }
}

fn text_term(path: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(FIELDS.value, path, true);
    term.append_type_and_str(text);
    term
}

/// A whole string as a column has it.
fn exact_term(path: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(FIELDS.exact, path, true);
    term.append_type_and_str(text);
    term
}

fn word(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn exact(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn key(value: &Literal) -> Boxed {
    exact(Term::from_field_text(FIELDS.key, &value.text()))
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

fn or_typed(name: &Name, value: &Literal, found: Boxed) -> Boxed {
    match name {
        Name::Value { path, .. } => best(std::iter::once(found).chain(typed(path, value)).collect()),
        Name::Anywhere => best(vec![found, key(value)]),
        _ => found,
    }
}

fn instants(value: &Literal) -> Option<(Millis, Millis)> {
    let form = DateForm::new(Millis(0));
    match value {
        Literal::Number(Number::Int(number)) => Some(form.number(*number)),
        Literal::Text(text) if !text.starts_with("now") => form.text(text),
        _ => None,
    }
}

fn map<T, U>(bound: &Bound<T>, of: impl Fn(&T) -> U) -> Bound<U> {
    match bound {
        Bound::Included(value) => Bound::Included(of(value)),
        Bound::Excluded(value) => Bound::Excluded(of(value)),
        Bound::Unbounded => Bound::Unbounded,
    }
}

fn within<T>(
    value: &T,
    from: &Bound<T>,
    to: &Bound<T>,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> bool {
    let above = match from {
        Bound::Unbounded => true,
        Bound::Included(from) => order(value, from).is_ge(),
        Bound::Excluded(from) => order(value, from).is_gt(),
    };
    let below = match to {
        Bound::Unbounded => true,
        Bound::Included(to) => order(value, to).is_le(),
        Bound::Excluded(to) => order(value, to).is_lt(),
    };
    above && below
}

/// A range over `_offset`.
fn numbers(from: Bound<Number>, to: Bound<Number>) -> Boxed {
    match whole_numbers(&from, &to) {
        Some((from, to)) => offsets(Bound::Included(from), Bound::Included(to)),
        None => Box::new(EmptyQuery),
    }
}

/// The whole numbers of a range, both ends included; `None` when there are none.
pub(crate) fn whole_numbers(from: &Bound<Number>, to: &Bound<Number>) -> Option<(i64, i64)> {
    let least = match *from {
        Bound::Unbounded => i64::MIN,
        Bound::Included(Number::Int(number)) => number,
        Bound::Excluded(Number::Int(number)) => number.checked_add(1)?,
        Bound::Included(Number::Uint(_)) | Bound::Excluded(Number::Uint(_)) => return None,
        Bound::Included(Number::Float(number)) => number.ceil() as i64,
        Bound::Excluded(Number::Float(number)) => (number.floor() as i64).checked_add(1)?,
    };
    let greatest = match *to {
        Bound::Unbounded | Bound::Included(Number::Uint(_)) | Bound::Excluded(Number::Uint(_)) => i64::MAX,
        Bound::Included(Number::Int(number)) => number,
        Bound::Excluded(Number::Int(number)) => number.checked_sub(1)?,
        Bound::Included(Number::Float(number)) => number.floor() as i64,
        Bound::Excluded(Number::Float(number)) => (number.ceil() as i64).checked_sub(1)?,
    };
    (least <= greatest).then_some((least, greatest))
}

fn offsets(from: Bound<i64>, to: Bound<i64>) -> Boxed {
    let term = |offset: &i64| Term::from_field_i64(FIELDS.offset, *offset);
    constant(Box::new(RangeQuery::new(map(&from, term), map(&to, term))))
}

/// A range over the numbers of a path. Both bounds must have one type.
fn json_numbers(path: &str, from: &Bound<Number>, to: &Bound<Number>) -> Boxed {
    let of = |bound: &Bound<Number>| match bound {
        Bound::Included(number) | Bound::Excluded(number) => Some(*number),
        Bound::Unbounded => None,
    };
    let given: Vec<Number> = [of(from), of(to)].into_iter().flatten().collect();
    let ints = given.iter().all(|number| matches!(number, Number::Int(_)));
    let unsigned = given.iter().all(|number| matches!(number, Number::Uint(_) | Number::Int(0..)));
    let term = |number: &Number| {
        let mut term = Term::from_field_json_path(FIELDS.exact, path, true);
        match *number {
            Number::Int(number) if ints => term.append_type_and_fast_value(number),
            Number::Int(number) if unsigned => term.append_type_and_fast_value(number.unsigned_abs()),
            Number::Uint(number) if unsigned => term.append_type_and_fast_value(number),
            number => term.append_type_and_fast_value(number.float()),
        }
        term
    };
    if given.is_empty() {
        return Box::new(EmptyQuery);
    }
    Box::new(RangeQuery::new(map(from, term), map(to, term)))
}

/// A range over the dates of a path, or over `@timestamp`. What is below a millisecond belongs to its millisecond.
fn dates(path: Option<&str>, from: Bound<Millis>, to: Bound<Millis>) -> Boxed {
    const MILLIS_MAX: i64 = i64::MAX / 1_000_000 - 1;
    let term = |millis: i64| {
        let date = DateTime::from_timestamp_millis(millis.clamp(-MILLIS_MAX, MILLIS_MAX));
        match path {
            None => Term::from_field_date(FIELDS.timestamp, date),
            Some(path) => {
                let mut term = Term::from_field_json_path(FIELDS.exact, path, true);
                term.append_type_and_fast_value(date);
                term
            }
        }
    };
    let from = match from {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(from) => Bound::Included(term(from.0)),
        Bound::Excluded(from) => Bound::Included(term(from.0.saturating_add(1))),
    };
    let to = match to {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(to) => Bound::Excluded(term(to.0.saturating_add(1))),
        Bound::Excluded(to) => Bound::Excluded(term(to.0)),
    };
    match (&from, &to) {
        (Bound::Unbounded, Bound::Unbounded) => Box::new(AllQuery),
        _ => Box::new(RangeQuery::new(from, to)),
    }
}
