//! Whether an entry of a produce request may be appended.

use std::sync::Arc;

use eddy_batch::{Accepted, BatchHeader, Compression, validate};
use eddy_core::Acks;
use eddy_engine::{Partition, PartitionKey};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, Millis};
use eddy_wire::Records;
use eddy_wire::messages::produce::{PartitionProduceData, TopicProduceData};

use super::failure::Failure;
use super::{IDS_FROM, TopicPlace};
use crate::call::Call;
use crate::resolve;
use crate::rules::batch_rules;
use crate::topics;

/// zstd may be sent from this version on.
const ZSTD_FROM: i16 = 7;

/// What every entry of a request is checked against.
pub(super) struct Checks<'a> {
    pub(super) call: &'a Call,
    pub(super) image: &'a Image,
    pub(super) places: &'a [TopicPlace],
    /// `None` when the request has others than Kafka knows.
    pub(super) acks: Option<Acks>,
    pub(super) now: Millis,
}

impl Checks<'_> {
    /// Finds the partition and validates the batch (R-3.1… … ), in Kafka's order.
    pub(super) async fn check(
        &self,
        topic: usize,
        data: PartitionProduceData,
    ) -> Result<(Arc<Partition>, Accepted), Failure> {
        let place = self.places.get(topic).ok_or_else(|| Failure::of(ErrorCode::UnknownTopicOrPartition))?;
        let topic = resolve::topic(self.image, self.call.version >= IDS_FROM, place.id, &place.name)
            .map_err(Failure::of)?;
        let key = PartitionKey { topic: topic.id, index: data.index };
        let partition = self.call.ctx.engine.partition(self.image, key).await?;
        if self.acks.is_none() {
            return Err(Failure::of(ErrorCode::InvalidRequiredAcks));
        }
        if data.records.as_ref().is_some_and(is_transactional) {
            // What Kafka's coordinator says of an id that it does not know, and there is no coordinator that could know one.
            return Err(Failure::of(ErrorCode::InvalidProducerIdMapping)
                .because("no coordinator has given out this transactional id: transactions are not served"));
        }
        if topics::is_internal(&topic.name) && !self.call.from_admin_client {
            return Err(
                Failure::of(ErrorCode::InvalidTopicException).because("only the broker writes to this topic")
            );
        }
        let records = data.records.map(Records::into_bytes).unwrap_or_default();
        if records.is_empty() {
            return Err(Failure::of(ErrorCode::InvalidRecord).because("there is no record batch"));
        }
        let accepted = validate(records, &batch_rules(&topic.config, self.now))
            .map_err(|rejected| Failure::from(rejected).with_log_start(&partition))?;
        if accepted.codec == Compression::Zstd && self.call.version < ZSTD_FROM {
            return Err(Failure::of(ErrorCode::UnsupportedCompressionType)
                .because("zstd needs version 7 of the produce API"));
        }
        Ok((partition, accepted))
    }
}

/// Whether any batch for a topic belongs to a transaction.
pub(super) fn writes_in_transaction(topic: &TopicProduceData) -> bool {
    topic.partition_data.iter().filter_map(|data| data.records.as_ref()).any(is_transactional)
}

/// Looks at the header alone: what is no batch is found out later.
fn is_transactional(records: &Records) -> bool {
    let header = records.segments().first().and_then(|bytes| BatchHeader::parse(bytes).ok());
    header.is_some_and(|header| header.attributes.is_transactional())
}
