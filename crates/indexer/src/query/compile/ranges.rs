//! Ranges of numbers, dates and texts.

use std::ops::Bound;

use eddy_types::Millis;
use tantivy::query::{EmptyQuery, RangeQuery};
use tantivy::{DateTime, Term};

use super::terms::{self, FIELDS};
use super::{Boxed, any, constant, constant_if};
use crate::query::literal::Number;
use crate::query::name::Name;
use crate::query::ranges::whole_numbers;
use crate::query::tree::{Range, Ranges};

/// What is in any of the ranges that a field can be compared with.
pub(super) fn range(name: &Name, ranges: &Ranges, partition: i32) -> Boxed {
    let Ranges { numbers, dates, texts } = ranges;
    let found: Vec<Option<Boxed>> = match name {
        Name::Offset => vec![numbers.as_ref().map(offset_range)],
        Name::Partition => {
            let here = |(first, last)| (first..=last).contains(&i64::from(partition));
            vec![numbers.as_ref().map(|range| constant_if(whole_numbers(range).is_some_and(here)))]
        }
        Name::Timestamp => vec![dates.map(timestamps)],
        Name::Key => {
            vec![texts.as_ref().map(|range| between(range, |key| Term::from_field_text(FIELDS.key, key)))]
        }
        Name::Value { path, .. } => vec![
            numbers.as_ref().map(|range| numbers_of(path, range)),
            dates.map(|range| dates_of(path, range)),
            texts.as_ref().map(|range| between(range, |text| terms::whole(path, text))),
        ],
        // Nothing of them can be compared: no range is read for them.
        Name::Anywhere | Name::Header(_) | Name::Topic => Vec::new(),
    };
    constant(any(found.into_iter().flatten().collect()))
}

/// Offsets from `first` to `last`.
pub(super) fn offsets(first: i64, last: i64) -> Boxed {
    let term = |offset| Bound::Included(Term::from_field_i64(FIELDS.offset, offset));
    constant(Box::new(RangeQuery::new(term(first), term(last))))
}

/// A range of numbers over `_offset`.
pub(super) fn offset_range(range: &Range<Number>) -> Boxed {
    whole_numbers(range)
        .map_or_else(|| -> Boxed { Box::new(EmptyQuery) }, |(first, last)| offsets(first, last))
}

/// A range over `@timestamp`.
pub(super) fn timestamps(range: Range<Millis>) -> Boxed {
    instants(range, |date| Term::from_field_date(FIELDS.timestamp, date))
}

/// A range over the dates of a path.
pub(super) fn dates_of(path: &str, range: Range<Millis>) -> Boxed {
    instants(range, |date| terms::in_column(path, date))
}

/// What is below a millisecond belongs to its millisecond.
fn instants((from, to): Range<Millis>, make: impl Fn(DateTime) -> Term) -> Boxed {
    const MILLIS_MAX: i64 = i64::MAX / 1_000_000 - 1;
    let term = |millis: i64| make(DateTime::from_timestamp_millis(millis.clamp(-MILLIS_MAX, MILLIS_MAX)));
    let from = match from {
        Bound::Excluded(from) => Bound::Included(from.0.saturating_add(1)),
        from => from.map(|from| from.0),
    };
    let to = match to {
        Bound::Included(to) => Bound::Excluded(to.0.saturating_add(1)),
        to => to.map(|to| to.0),
    };
    between(&(from, to), |millis| term(*millis))
}

/// A range over the numbers of a path. Tantivy wants one type for both bounds.
fn numbers_of(path: &str, range: &Range<Number>) -> Boxed {
    let of = |bound: &Bound<Number>| match *bound {
        Bound::Included(number) | Bound::Excluded(number) => Some(number),
        Bound::Unbounded => None,
    };
    let all = |is: fn(&Number) -> bool| [of(&range.0), of(&range.1)].iter().flatten().all(is);
    let ints = all(|number| matches!(number, Number::Int(_)));
    let unsigned = all(|number| matches!(number, Number::Uint(_) | Number::Int(0..)));
    between(range, |number| match *number {
        Number::Int(number) if ints => terms::in_column(path, number),
        Number::Int(number) if unsigned => terms::in_column(path, number.unsigned_abs()),
        Number::Uint(number) if unsigned => terms::in_column(path, number),
        number => terms::in_column(path, number.float()),
    })
}

/// What is open at both ends is `exists`, and never comes here.
fn between<T>((from, to): &Range<T>, term: impl Fn(&T) -> Term) -> Boxed {
    match (from, to) {
        (Bound::Unbounded, Bound::Unbounded) => Box::new(EmptyQuery),
        _ => Box::new(RangeQuery::new(from.as_ref().map(&term), to.as_ref().map(&term))),
    }
}
