//! Names in queries: a record's own fields, and paths of its value.

use std::sync::Arc;

/// What a name in a query stands for. Copies share what is long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// No field given: the text of the value, and the key.
    Anywhere,
    /// `_key`.
    Key,
    /// `_offset`.
    Offset,
    /// `_partition`.
    Partition,
    /// `_topic`, and `_index` as Elasticsearch calls it.
    Topic,
    /// `@timestamp`.
    Timestamp,
    /// `_headers.NAME`.
    Header(Arc<str>),
    /// A path in a JSON value.
    Value {
        /// Segments with dots between.
        path: Arc<str>,
        /// Whole strings (`path.keyword`) in place of their words.
        whole: bool,
    },
}

/// The names of a record's own fields, for messages.
pub(crate) const OWN_NAMES: &str = "_key, _offset, _partition, _topic, @timestamp and _headers.NAME";

impl Name {
    /// What `name` stands for; `None` for a name that begins like a record's own and is none.
    pub(crate) fn parse(name: &str) -> Option<Name> {
        let name = match name {
            "_key" | "_key.keyword" => Name::Key,
            "_offset" => Name::Offset,
            "_partition" => Name::Partition,
            "_topic" | "_index" | "_topic.keyword" => Name::Topic,
            "@timestamp" => Name::Timestamp,
            "_all" | "*" => Name::Anywhere,
            _ => match (name.strip_prefix("_headers."), name.strip_suffix(".keyword")) {
                (Some(header), _) => {
                    let header = header.strip_suffix(".keyword").unwrap_or(header);
                    Name::Header(header.into())
                }
                _ if name.starts_with('_') || name.is_empty() => return None,
                (None, Some(path)) if !path.is_empty() => Name::Value { path: path.into(), whole: true },
                (None, _) => Name::Value { path: name.into(), whole: false },
            },
        };
        Some(name)
    }
}
