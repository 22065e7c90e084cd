//! What brokers ask each other: `Service::Search`, in JSON.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use eddy_types::{Millis, TopicId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;

use super::error::SearchError;
use super::left_out::KeptFields;
use super::status::PartitionStatus;
use crate::query::sort::{Place, Sort, SortValue};

/// A partition that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Its number in this search.
    pub(crate) number: u32,
    pub(crate) topic: Arc<str>,
    pub(crate) id: TopicId,
    pub(crate) partition: i32,
}

/// What somebody asked, as every broker is told it.
pub(crate) struct Asked {
    /// Elasticsearch's.
    pub(crate) body: Value,
    /// What `now` is in it.
    pub(crate) now: Millis,
    /// Whether the caller marks words itself.
    pub(crate) native: bool,
    pub(crate) deadline: Instant,
}

/// A question about partitions that the asked broker leads.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) shards: Vec<Shard>,
    /// Milliseconds left for the answer.
    pub(crate) within: u64,
    pub(crate) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// Which records match.
    Query {
        /// Elasticsearch's.
        body: Value,
        /// What `now` is in it.
        now: i64,
        /// Wait for everything below the high watermarks.
        for_all: bool,
        /// Wait for these offsets, by partition.
        min_offset: Vec<(i32, i64)>,
    },
    /// The records themselves.
    Fetch {
        body: Value,
        now: i64,
        /// Whether the caller marks words itself.
        native: bool,
        /// Numbers of shards, and offsets.
        records: Vec<(u32, i64)>,
    },
    /// The fields of values, and their types.
    Fields,
    /// How the indexes stand.
    Status,
}

/// The answer to an [`Ask`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    Found(Box<Found>),
    /// In the order asked for; `None` for a record that is gone.
    Records(Vec<Option<Document>>),
    /// By topic and path.
    Fields(BTreeMap<String, BTreeMap<String, Vec<FieldType>>>),
    Status(Vec<Standing>),
    Refused(SearchError),
}

/// A type that a field has in some records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum FieldType {
    Bool,
    Long,
    Double,
    Date,
    Text,
}

/// What was found in the partitions of one broker.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) total: u64,
    /// The best, in order.
    pub(crate) hits: Vec<Hit>,
    #[serde(with = "intermediate")]
    pub(crate) aggregations: Option<IntermediateAggregationResults>,
    /// The partitions that were searched: first offset that is not indexed yet, and the age of its record in milliseconds.
    pub(crate) searched: Vec<(u32, i64, i64)>,
    /// The partitions that could not be searched, and why.
    pub(crate) missing: Vec<(u32, String)>,
    pub(crate) timed_out: bool,
    /// A partition that was waited for in vain.
    pub(crate) behind: bool,
    /// Where the fields are by which it was sorted or over which it was aggregated.
    #[serde(default)]
    pub(crate) kept: KeptFields,
}

/// A record that matches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hit {
    pub(crate) shard: u32,
    pub(crate) place: Place,
    pub(crate) score: Option<f32>,
    pub(crate) values: Vec<SortValue>,
}

impl Hit {
    pub(crate) fn order(&self, other: &Hit, sort: &Sort) -> Ordering {
        sort.order(&self.values, &other.values).then_with(|| self.place.cmp(&other.place))
    }
}

/// A record as hits show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) timestamp: i64,
    pub(crate) key: Value,
    pub(crate) headers: serde_json::Map<String, Value>,
    /// The value, or what `_source` leaves of it.
    pub(crate) source: Value,
    pub(crate) highlight: Option<Value>,
    /// What `fields` asked for.
    pub(crate) fields: serde_json::Map<String, Value>,
}

/// How the index of one partition stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) shard: u32,
    pub(crate) status: PartitionStatus,
}

/// Aggregations between brokers: their maps have keys that are no strings, and their numbers may be infinite, so JSON carries them as
/// postcard in base64.
mod intermediate {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::{Error as _, Serialize, Serializer};
    use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;

    pub(super) fn serialize<S: Serializer>(
        results: &Option<IntermediateAggregationResults>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let packed = results.as_ref().map(postcard::to_allocvec).transpose().map_err(S::Error::custom)?;
        packed.map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<IntermediateAggregationResults>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        postcard::from_bytes(&bytes).map(Some).map_err(D::Error::custom)
    }
}

/// A message in JSON. It may be large, and is written where that holds up nobody.
pub(crate) async fn encode(message: impl Serialize + Send + 'static) -> Result<Bytes, String> {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&message).map(Bytes::from)).await;
    written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// A message of JSON; see [`encode`].
pub(crate) async fn decode<T: DeserializeOwned + Send + 'static>(bytes: Bytes) -> Result<T, String> {
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes)).await;
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
