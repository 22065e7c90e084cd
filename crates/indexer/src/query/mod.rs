//! Queries as data: Elasticsearch bodies and query strings become a tree, and the tree becomes tantivy's queries.

pub(crate) mod aggregations;
pub(crate) mod body;
pub(crate) mod bounds;
pub(crate) mod compile;
pub(crate) mod dates;
pub(crate) mod dsl;
mod gathered;
pub(crate) mod highlight;
mod lexer;
mod pattern;
mod place;
mod ranges;
pub(crate) mod sort;
pub(crate) mod source;
pub(crate) mod strings;
pub(crate) mod tree;
mod wrong;

pub(crate) use place::locate;
