//! Queries as data: Elasticsearch bodies and query strings become a tree, and the tree becomes tantivy's queries.

mod place;

pub(crate) use place::locate;
