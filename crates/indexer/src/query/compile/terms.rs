//! Terms and columns, as the schema of every split has them.

use std::sync::LazyLock;

use tantivy::Term;

use crate::fields::Fields;

/// The fields that every split has.
pub(crate) static FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields::schema().1);

/// The fast field of a path.
pub(crate) fn column(path: &str) -> String {
    format!("exact.{path}")
}

pub(super) fn text_term(path: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(FIELDS.value, path, true);
    term.append_type_and_str(text);
    term
}

/// A whole string as a column has it.
pub(super) fn exact_term(path: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(FIELDS.exact, path, true);
    term.append_type_and_str(text);
    term
}
