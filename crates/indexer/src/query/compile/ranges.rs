//! Ranges of numbers, dates and texts.

use std::ops::Bound;

use eddy_types::Millis;
use tantivy::query::{AllQuery, EmptyQuery, RangeQuery};
use tantivy::{DateTime, Term};

use super::terms::{FIELDS, exact_term};
use super::{Boxed, Compiler, any, constant, constant_if};
use crate::query::literal::Number;
use crate::query::name::Name;
use crate::query::ranges::whole_numbers;
use crate::query::tree::Ranges;

impl Compiler<'_> {
    pub(super) fn range(&mut self, name: &Name, ranges: &Ranges) -> Boxed {
        let mut found: Vec<Boxed> = Vec::new();
        let path = match name {
            Name::Value { path, .. } => Some(&**path),
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
}

/// A range over `_offset`.
pub(super) fn numbers(from: Bound<Number>, to: Bound<Number>) -> Boxed {
    match whole_numbers(&from, &to) {
        Some((from, to)) => offsets(Bound::Included(from), Bound::Included(to)),
        None => Box::new(EmptyQuery),
    }
}

pub(super) fn offsets(from: Bound<i64>, to: Bound<i64>) -> Boxed {
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
pub(super) fn dates(path: Option<&str>, from: Bound<Millis>, to: Bound<Millis>) -> Boxed {
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
