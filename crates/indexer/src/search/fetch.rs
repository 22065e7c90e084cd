//! The second round: the records of the hits that are shown, from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use eddy_batch::{BatchError, DecompressLimit, Record, batches};
use eddy_types::{Offset, TopicId};
use serde_json::json;
use tantivy::tokenizer::TextAnalyzer;
use tokio::runtime::Handle;

use super::Inner;
use super::documents::Shown;
use super::error::SearchError;
use super::message::{Asked, Document, Shard};
use super::node::Node;
use super::part::analyzer_of;
use crate::query::body::Request;
use crate::query::highlight::{Highlight, Marks};
use crate::{Fields, Words};

/// Bytes of log read at a time.
const READ_BYTES: usize = 64 << 10;

impl Inner {
    /// The records at places (partition and offset), as hits show them, in their order; `None` for those that are gone.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        shards: Vec<Shard>,
        asked: Asked,
        wanted: Vec<(u32, i64)>,
    ) -> Result<Vec<Option<Document>>, SearchError> {
        let inner = Arc::clone(self);
        self.pool.run(asked.deadline, move || inner.documents(&shards, &asked, &wanted)).await?
    }

    fn documents(
        &self,
        shards: &[Shard],
        asked: &Asked,
        wanted: &[(u32, i64)],
    ) -> Result<Vec<Option<Document>>, SearchError> {
        let request = Request::parse(&asked.body, asked.now)?;
        let highlight = if asked.native { Some(Highlight::native()) } else { request.highlight.clone() };
        let found = self.records(shards, wanted, asked.deadline)?;
        let mut by_shard = BTreeMap::new();
        let mut documents = Vec::with_capacity(wanted.len());
        let begin = Instant::now();
        for place in wanted {
            if Instant::now() >= asked.deadline {
                return Err(SearchError::Timeout { after: begin.elapsed() });
            }
            let (shown, analyzer) = by_shard.entry(place.0).or_insert_with(|| {
                let mut analyzer = self.analyzer(shards, place.0);
                let marks = Marks::of(&request.query, &mut analyzer);
                let highlight = highlight.clone();
                (Shown { request: &request, marks, highlight, native: asked.native }, analyzer)
            });
            documents.push(found.get(place).map(|record| shown.document(record, analyzer)));
        }
        Ok(documents)
    }

    /// What cut the values of a partition into words.
    fn analyzer(&self, shards: &[Shard], number: u32) -> TextAnalyzer {
        let shard = shards.iter().find(|shard| shard.number == number);
        let view = shard.and_then(|shard| self.node.view(shard.id, shard.partition).ok());
        let split = view.as_ref().and_then(|view| view.splits.first());
        let analyzer = split.and_then(|split| analyzer_of(split).ok());
        analyzer.unwrap_or_else(|| Fields::tokenizers().get(Words::Default.name()).unwrap_or_default())
    }

    fn records(
        &self,
        shards: &[Shard],
        wanted: &[(u32, i64)],
        deadline: Instant,
    ) -> Result<BTreeMap<(u32, i64), Record>, SearchError> {
        let mut by_shard: BTreeMap<u32, BTreeSet<i64>> = BTreeMap::new();
        for (shard, offset) in wanted {
            by_shard.entry(*shard).or_default().insert(*offset);
        }
        let mut bytes_left = self.limits.answer_bytes_max;
        let mut records = BTreeMap::new();
        for (number, offsets) in by_shard {
            let Some(shard) = shards.iter().find(|shard| shard.number == number) else { continue };
            let offsets: Vec<i64> = offsets.into_iter().collect();
            let log = Log {
                node: self.node.as_ref(),
                topic: shard.id,
                partition: shard.partition,
                deadline,
                bytes_max: self.limits.answer_bytes_max,
            };
            let found = log.records(&offsets, &mut bytes_left)?;
            let found = offsets.into_iter().zip(found);
            records.extend(found.filter_map(|(offset, record)| Some(((number, offset), record?))));
        }
        Ok(records)
    }
}

/// The log of one partition.
struct Log<'a> {
    node: &'a dyn Node,
    topic: TopicId,
    partition: i32,
    deadline: Instant,
    /// Bytes of all records in one answer.
    bytes_max: usize,
}

impl Log<'_> {
    /// The records at `offsets`, which ascend; `None` for those that are gone. Takes their bytes off `bytes_left`; one that fits no
    /// answer comes without its value. Blocks.
    ///
    /// # Errors
    /// The log cannot be read, or not in time; or the records are too many bytes.
    fn records(&self, offsets: &[i64], bytes_left: &mut usize) -> Result<Vec<Option<Record>>, SearchError> {
        let unreadable = |error: BatchError| SearchError::Unavailable { reason: error.to_string() };
        let too_large = || SearchError::TooExpensive {
            message: "the records found are too large for one answer; ask for fewer with size".to_owned(),
        };
        let mut found: Vec<Option<Record>> = Vec::with_capacity(offsets.len());
        while let Some(&next) = offsets.get(found.len()) {
            let before = found.len();
            for batch in self.read(next)?.into_iter().flat_map(batches) {
                // A range that ends within a batch is read again from there.
                let Ok(batch) = batch else { break };
                if batch.header.attributes.is_control() {
                    continue;
                }
                for record in batch.records(&DecompressLimit::default()).map_err(unreadable)? {
                    let mut record = record.map_err(unreadable)?;
                    while offsets.get(found.len()).is_some_and(|wanted| *wanted < record.offset.0) {
                        found.push(None);
                    }
                    if offsets.get(found.len()) == Some(&record.offset.0) {
                        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
                        let value_bytes = length(&record.value);
                        // Or no page that it is on could ever be shown.
                        if value_bytes > self.bytes_max {
                            record.value = Some(json!({"omitted_bytes": value_bytes}).to_string().into());
                        }
                        let bytes = length(&record.value) + length(&record.key);
                        *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(too_large)?;
                        found.push(Some(record));
                    }
                }
            }
            if found.len() == before {
                // It is gone; what follows may be there.
                found.push(None);
            }
        }
        Ok(found)
    }

    fn read(&self, offset: i64) -> Result<Vec<Bytes>, SearchError> {
        let reading = self.node.read(self.topic, self.partition, Offset(offset), READ_BYTES);
        let begin = Instant::now();
        let timed = async { tokio::time::timeout_at(self.deadline.into(), reading).await };
        match Handle::current().block_on(timed) {
            Ok(Ok(slices)) => Ok(slices),
            Ok(Err(reason)) => Err(SearchError::Unavailable { reason }),
            Err(_) => Err(SearchError::Timeout { after: begin.elapsed() }),
        }
    }
}
