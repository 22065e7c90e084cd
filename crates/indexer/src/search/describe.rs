//! What there is to search: `_mapping`, `_field_caps`, `_cat/indices`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::error::SearchError;
use super::gather::numbered;
use super::message::{FieldType, Told, What};
use super::status::PartitionStatus;
use super::{Inner, Search};
use crate::query::source::glob;

type TypesByPath = BTreeMap<String, Vec<FieldType>>;

/// The fields that every record has, and their types.
const OWN: [(&str, &str); 4] =
    [("@timestamp", "date"), ("_key", "keyword"), ("_offset", "long"), ("_partition", "integer")];

impl Search {
    /// Answers `_mapping`.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn mapping(&self, targets: &str) -> Result<Value, SearchError> {
        let topics = self.inner.describe(targets).await?;
        let mapping = |(topic, fields): (String, TypesByPath)| {
            (topic, json!({"mappings": {"properties": properties(&fields)}}))
        };
        Ok(Value::Object(topics.into_iter().map(mapping).collect()))
    }

    /// Answers `_field_caps` for field names and globs, with commas between.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn field_caps(&self, targets: &str, fields: &str) -> Result<Value, SearchError> {
        let wanted: Vec<_> = fields.split(',').map(|name| glob(name.trim())).collect();
        let topics = self.inner.describe(targets).await?;
        let mut types: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (name, kind) in OWN {
            types.entry(name.to_owned()).or_default().insert(kind);
        }
        for (path, kinds) in topics.values().flatten() {
            for kind in kinds {
                types.entry(path.clone()).or_default().insert(type_name(*kind));
                if *kind == FieldType::Text {
                    types.entry(format!("{path}.keyword")).or_default().insert("keyword");
                }
            }
        }
        let mut caps = Map::new();
        for (name, kinds) in
            types.into_iter().filter(|(name, _)| wanted.iter().any(|glob| glob.matches(name)))
        {
            let cap = |kind: &str| {
                let cap = json!({
                    "type": kind,
                    "metadata_field": name.starts_with('_'),
                    "searchable": true,
                    "aggregatable": kind != "text" && name != "_partition",
                });
                (kind.to_owned(), cap)
            };
            caps.insert(name.clone(), Value::Object(kinds.into_iter().map(cap).collect()));
        }
        let indices: Vec<&String> = topics.keys().collect();
        Ok(json!({"indices": indices, "fields": caps}))
    }

    /// Answers `_cat/indices` as JSON: one object a topic, its values text as there. A topic of which a partition is not known is `red`
    /// and has the reason in `partial`. `timeout` as in [`Search::status`].
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn indices(&self, targets: Option<&str>, timeout: Duration) -> Result<Value, SearchError> {
        let found = match (self.inner.targets(targets.unwrap_or("*")), targets) {
            (Err(SearchError::UnknownTopic { .. } | SearchError::NotIndexed { .. }), None) => Vec::new(),
            (found, _) => found?,
        };
        let shards = numbered(&found);
        let standings = self.inner.standings(shards.clone(), timeout).await;
        let mut rows = Vec::new();
        for target in &found {
            let of: Vec<_> = shards.iter().filter(|(shard, _)| shard.id == target.id).collect();
            let known: Vec<&PartitionStatus> =
                of.iter().filter_map(|(shard, _)| standings.known.get(&shard.number)).collect();
            let sum = |of: fn(&PartitionStatus) -> u64| known.iter().map(|status| of(status)).sum::<u64>();
            let health = if known.len() == of.len() { "green" } else { "red" };
            let size = sum(|status| status.bytes).to_string();
            let states: BTreeSet<&str> = known.iter().map(|status| status.state.as_str()).collect();
            let mut row = json!({
                "health": health,
                "status": "open",
                "index": target.topic,
                "uuid": target.id.to_string(),
                "pri": of.len().to_string(),
                "rep": "0",
                "docs.count": sum(|status| status.records).to_string(),
                "docs.deleted": "0",
                "store.size": size,
                "pri.store.size": size,
                "segments.count": known.iter().map(|status| status.splits).sum::<usize>().to_string(),
                "lag.records": sum(|status| status.lag_records).to_string(),
                "state": states.into_iter().collect::<Vec<_>>().join(","),
            });
            let partial: Vec<_> =
                of.iter().filter_map(|(shard, _)| standings.missing.get(&shard.number)).collect();
            if let (Value::Object(row), false) = (&mut row, partial.is_empty()) {
                row.insert("partial".to_owned(), json!(partial));
            }
            rows.push(row);
        }
        Ok(Value::Array(rows))
    }
}

impl Inner {
    /// The fields of each topic.
    async fn describe(
        self: &std::sync::Arc<Self>,
        targets: &str,
    ) -> Result<BTreeMap<String, TypesByPath>, SearchError> {
        let found = self.targets(targets)?;
        let deadline = Instant::now() + self.limits.timeout_default;
        let mut topics: BTreeMap<String, TypesByPath> =
            found.iter().map(|target| (target.topic.to_string(), TypesByPath::new())).collect();
        for reply in self.ask_all(numbered(&found), || What::Fields, deadline).await {
            match reply.told {
                Ok(Told::Fields(told)) => {
                    for (topic, fields) in told {
                        let known = topics.entry(topic).or_default();
                        for (path, kinds) in fields {
                            let all = known.entry(path).or_default();
                            all.extend(kinds);
                            all.sort();
                            all.dedup();
                        }
                    }
                }
                Ok(Told::Refused(error @ SearchError::TooBusy { .. })) => return Err(error),
                // Whoever does not answer knows fields that others do not; what is known is shown.
                _ => {}
            }
        }
        Ok(topics)
    }
}

fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Bool => "boolean",
        FieldType::Long => "long",
        FieldType::Double => "double",
        FieldType::Date => "date",
        FieldType::Text => "text",
    }
}

/// Paths as objects within objects. A field of several types has the one that takes the others in.
fn properties(fields: &TypesByPath) -> Value {
    let mut root = Map::new();
    for (name, kind) in OWN {
        root.insert(name.to_owned(), json!({"type": kind}));
    }
    for (path, kinds) in fields {
        let Some(kind) = kinds.iter().max() else { continue };
        let mut at = &mut root;
        let mut segments = path.split('.').peekable();
        while let Some(segment) = segments.next() {
            let Value::Object(field) = at.entry(segment).or_insert_with(|| json!({})) else { break };
            if segments.peek().is_none() {
                field.insert("type".to_owned(), json!(type_name(*kind)));
                if *kind == FieldType::Text {
                    field.insert("fields".to_owned(), json!({"keyword": {"type": "keyword"}}));
                }
                break;
            }
            let Value::Object(inner) = field.entry("properties").or_insert_with(|| json!({})) else { break };
            at = inner;
        }
    }
    Value::Object(root)
}
