//! Terms and columns, as the schema of every split has them.

use std::sync::LazyLock;

use tantivy::Term;
use tantivy::columnar::NumericalValue;
use tantivy::fastfield::FastValue;
use tantivy::schema::Field;

use crate::fields::{Fields, hash_of};
use crate::query::literal::Number;

/// The fields that every split has.
pub(crate) static FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields::schema().1);

/// The fast field of a path.
pub(crate) fn column(path: &str) -> String {
    format!("exact.{path}")
}

/// The path whose fast field this is, if it is one.
pub(crate) fn path_of(column: &str) -> Option<&str> {
    column.strip_prefix("exact.")
}

/// The fast field of those strings of a path that [`column`] does not have.
pub(crate) fn hash_column(path: &str) -> String {
    format!("hash.{path}")
}

/// A word of a path.
pub(super) fn word(path: &str, word: &str) -> Term {
    text_of(FIELDS.value, path, word)
}

/// A header's value.
pub(super) fn header(name: &str, value: &str) -> Term {
    text_of(FIELDS.headers, name, value)
}

/// A whole string, as its column has it.
pub(super) fn whole(path: &str, text: &str) -> Term {
    text_of(FIELDS.exact, path, text)
}

/// What stands for a whole string that its column has not.
pub(super) fn whole_hash(path: &str, text: &str) -> Term {
    value_of(FIELDS.hash, path, hash_of(text))
}

/// A truth value of a path.
pub(super) fn bool(path: &str, value: bool) -> Term {
    value_of(FIELDS.value, path, value)
}

/// A number of a path. The dictionary has every number as an integer if it is one.
pub(super) fn number(path: &str, number: Number) -> Term {
    let value = match number {
        Number::Int(number) => NumericalValue::I64(number),
        Number::Uint(number) => NumericalValue::U64(number),
        Number::Float(number) => NumericalValue::F64(number).normalize(),
    };
    match value {
        NumericalValue::I64(number) => value_of(FIELDS.value, path, number),
        NumericalValue::U64(number) => value_of(FIELDS.value, path, number),
        NumericalValue::F64(number) => value_of(FIELDS.value, path, number),
    }
}

/// A number, a truth value or a date, as the column of a path has it.
pub(super) fn in_column<T: FastValue>(path: &str, value: T) -> Term {
    value_of(FIELDS.exact, path, value)
}

fn text_of(field: Field, path: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(field, path, true);
    term.append_type_and_str(text);
    term
}

fn value_of<T: FastValue>(field: Field, path: &str, value: T) -> Term {
    let mut term = Term::from_field_json_path(field, path, true);
    term.append_type_and_fast_value(value);
    term
}
