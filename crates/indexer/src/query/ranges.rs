//! The bounds of a range, read as numbers, as dates and as texts.

use std::ops::Bound;

use eddy_types::Millis;

use super::dates::DateForm;
use super::literal::{Literal, Number};
use super::name::Name;
use super::tree::{Range, Ranges};

/// Reads the bounds in each way in which the field may be compared.
///
/// A value field is compared as number, as date and as text, whichever the record has: as number if both bounds are
/// numbers, as date if both are dates, as text if both are texts and no numbers.
///
/// # Errors
/// A sentence, if the field cannot be compared with these bounds.
pub(crate) fn ranges(
    name: &Name,
    from: Bound<Literal>,
    to: Bound<Literal>,
    form: &DateForm,
) -> Result<Ranges, String> {
    let numbers = both(&from, &to, |literal| literal.number());
    let dates = dates(&from, &to, form);
    let now = |literal: &Literal| literal.text().trim_start().starts_with("now");
    let texts = both(&from, &to, |literal| match literal {
        Literal::Text(text) if !now(literal) => Some(text.clone()),
        _ => None,
    });
    let none = Ranges { numbers: None, dates: None, texts: None };
    match name {
        Name::Timestamp if dates.is_none() => Err(format!(
            "cannot read {} as a date; write 2024-01-31, 2024-01-31T10:00:00Z, now-1h or milliseconds",
            shown(&from, &to)
        )),
        Name::Timestamp => Ok(Ranges { dates, ..none }),
        Name::Offset | Name::Partition if numbers.is_none() => {
            Err(format!("cannot read {} as a number", shown(&from, &to)))
        }
        Name::Offset | Name::Partition => Ok(Ranges { numbers, ..none }),
        Name::Value { whole: true, .. } | Name::Key => {
            let texts = both(&from, &to, |literal| Some(literal.text()));
            Ok(Ranges { texts, ..none })
        }
        Name::Value { whole: false, .. } => {
            let texts = if numbers.is_some() { None } else { texts };
            if numbers.is_none() && dates.is_none() && texts.is_none() {
                return Err(format!("cannot compare with {}", shown(&from, &to)));
            }
            Ok(Ranges { numbers, dates, texts })
        }
        Name::Anywhere | Name::Header(_) | Name::Topic => {
            Err("a range needs a field of the value, _key, _offset, _partition or @timestamp".to_owned())
        }
    }
}

/// Elasticsearch's rounding: `>` and `<=` mean the end of what a date names, `>=` and `<` its begin.
fn dates(from: &Bound<Literal>, to: &Bound<Literal>, form: &DateForm) -> Option<Range<Millis>> {
    let read = |literal: &Literal| match literal {
        Literal::Number(Number::Int(number)) => Some(form.number(*number)),
        Literal::Text(text) => form.text(text),
        Literal::Number(_) | Literal::Bool(_) => None,
    };
    let from = match from {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(literal) => Bound::Included(read(literal)?.0),
        Bound::Excluded(literal) => Bound::Excluded(read(literal)?.1),
    };
    let to = match to {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(literal) => Bound::Included(read(literal)?.1),
        Bound::Excluded(literal) => Bound::Excluded(read(literal)?.0),
    };
    Some((from, to))
}

fn both<T>(
    from: &Bound<Literal>,
    to: &Bound<Literal>,
    read: impl Fn(&Literal) -> Option<T>,
) -> Option<Range<T>> {
    let one = |bound: &Bound<Literal>| match bound {
        Bound::Unbounded => Some(Bound::Unbounded),
        Bound::Included(literal) => read(literal).map(Bound::Included),
        Bound::Excluded(literal) => read(literal).map(Bound::Excluded),
    };
    Some((one(from)?, one(to)?))
}

fn shown(from: &Bound<Literal>, to: &Bound<Literal>) -> String {
    let one = |bound: &Bound<Literal>| match bound {
        Bound::Unbounded => None,
        Bound::Included(literal) | Bound::Excluded(literal) => Some(format!("[{}]", literal.text())),
    };
    [one(from), one(to)].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// The whole numbers of a range, both ends included; `None` when there are none.
pub(crate) fn whole_numbers((from, to): &Range<Number>) -> Option<(i64, i64)> {
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
