//! Queries as data: Elasticsearch bodies and query strings become a tree, and the tree becomes tantivy's queries.

pub(crate) mod aggregations;
pub(crate) mod body;
pub(crate) mod bounds;
pub(crate) mod compile;
pub(crate) mod dates;
pub(crate) mod dsl;
pub(crate) mod highlight;
pub(crate) mod literal;
pub(crate) mod name;
mod pattern;
mod place;
mod ranges;
pub(crate) mod sort;
pub(crate) mod source;
pub(crate) mod strings;
mod tokens;
mod tree;
mod wrong;

pub(crate) use place::locate;
