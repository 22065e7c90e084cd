//! Record batches, format v2: written for a producer, walked for a consumer.

use bytes::{Bytes, BytesMut};
use eddy_types::{Offset, ProducerEpoch, ProducerId};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

use crate::error::CallError;
use crate::topics::PartitionName;
use crate::writer::ProducerIdentity;

/// Base offset and length: what stands before the bytes that the length counts.
const BATCH_OVERHEAD_BYTES: usize = 12;

/// An uncompressed batch of records without keys.
///
/// `sequence` is the producer's identity and the sequence number of the first record; `None` for a producer without idempotence.
/// `timestamp` is in milliseconds since the epoch, and that of each record. No values, no batch: the result is empty.
///
/// # Panics
/// Never for less than 2 GiB of values: then the format has no number for the length.
#[must_use]
pub fn encode_batch(values: &[Bytes], timestamp: i64, sequence: Option<(ProducerIdentity, i32)>) -> Bytes {
    let (producer, base_sequence) = match sequence {
        Some((identity, base)) => (identity, base),
        None => (ProducerIdentity { id: ProducerId(-1), epoch: ProducerEpoch::NONE }, -1),
    };
    let records: Vec<Record> = (0i64..)
        .zip(values)
        .map(|(offset, value)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            timestamp_type: TimestampType::Creation,
            offset,
            // The codec ends a batch where offset and sequence do not rise together, and takes the first one's as base.
            sequence: base_sequence.wrapping_add(offset as i32),
            timestamp,
            key: None,
            value: Some(value.clone()),
            headers: Default::default(),
        })
        .collect();
    let room = values.iter().map(|value| value.len() + 24).sum::<usize>() + 64;
    let mut bytes = BytesMut::with_capacity(room);
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    #[allow(clippy::expect_used, reason = "the only failure is a length above the format's")]
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("a batch is below 2 GiB");
    bytes.freeze()
}

/// Calls `each` for every record from `from` on, in the batches of a fetch; checks their checksums. Gives the offset after the last
/// whole batch, or `from` when there is none.
///
/// A fetch may end within a batch, and may begin with a batch that began before `from`: both are left out. Control records are
/// not data and are left out too.
///
/// # Errors
/// [`CallError::Batch`] with what the codec said; compressed batches are refused, no codec is built in.
pub fn walk(
    partition: &PartitionName,
    from: Offset,
    mut bytes: Bytes,
    mut each: impl FnMut(Offset, Bytes),
) -> Result<Offset, CallError> {
    let failed = |reason: String| CallError::Batch { about: partition.to_string(), reason };
    let mut next = from;
    while let Some((mut batch, end)) = split_batch(&mut bytes) {
        let set = RecordBatchDecoder::decode(&mut batch).map_err(|error| failed(format!("{error:#}")))?;
        for record in set.records {
            if record.offset >= from.0 && !record.control {
                each(Offset(record.offset), record.value.unwrap_or_default());
            }
        }
        next = next.max(end);
    }
    Ok(next)
}

/// The offset after the last whole batch of a fetch, or `from` when there is none; looks at headers only.
#[must_use]
pub fn batches_end(from: Offset, mut bytes: Bytes) -> Offset {
    let mut next = from;
    while let Some((_, end)) = split_batch(&mut bytes) {
        next = next.max(end);
    }
    next
}

/// Takes off the first batch if it is whole, with the offset after it: that of the header, not after the last record, which compaction
/// may have removed.
fn split_batch(bytes: &mut Bytes) -> Option<(Bytes, Offset)> {
    let field: [u8; 4] = bytes.get(8..BATCH_OVERHEAD_BYTES)?.try_into().ok()?;
    let length = usize::try_from(i32::from_be_bytes(field)).ok()? + BATCH_OVERHEAD_BYTES;
    if length > bytes.len() {
        return None;
    }
    let base = i64::from_be_bytes(*bytes.first_chunk()?);
    let last_delta = i32::from_be_bytes(bytes.get(23..27)?.try_into().ok()?);
    Some((bytes.split_to(length), Offset(base) + i64::from(last_delta) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    fn partition() -> PartitionName {
        PartitionName { topic: "t".to_owned().into(), topic_id: eddy_types::TopicId::ZERO, index: 0 }
    }

    fn read(from: i64, bytes: Bytes) -> (Vec<(i64, String)>, i64) {
        let mut got = Vec::new();
        let next = walk(&partition(), Offset(from), bytes, |offset, value| {
            got.push((offset.0, String::from_utf8(value.to_vec()).unwrap()));
        });
        (got, next.unwrap().0)
    }

    #[test]
    fn one_call_makes_one_batch_also_where_sequences_wrap() {
        let identity = ProducerIdentity { id: ProducerId(7), epoch: ProducerEpoch(1) };
        for base in [0, i32::MAX - 1] {
            let mut batch = encode_batch(&values(&["a", "b", "c"]), 5, Some((identity, base)));
            let infos = RecordBatchDecoder::decode_batch_info(&mut batch).unwrap();
            assert_eq!(infos.len(), 1);
            assert_eq!((infos[0].producer_id, infos[0].producer_epoch), (7, 1));
            assert_eq!((infos[0].base_sequence, infos[0].record_count), (base, 3));
        }
        assert!(encode_batch(&[], 5, None).is_empty());
    }

    #[test]
    fn a_walk_leaves_out_what_was_not_asked_for_and_what_is_cut() {
        let batch = encode_batch(&values(&["a", "b", "c"]), 5, None);
        assert_eq!(read(1, batch.clone()), (vec![(1, "b".to_owned()), (2, "c".to_owned())], 3));
        let mut cut = BytesMut::from(&batch[..]);
        cut.extend_from_slice(&batch[..batch.len() - 1]);
        let all = vec![(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
        assert_eq!(read(0, cut.freeze()), (all, 3));
        assert_eq!(read(9, Bytes::new()), (vec![], 9));
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        let batch = encode_batch(&values(&["abc"]), 5, None);
        let mut flipped = batch.to_vec();
        let last = flipped.len() - 2;
        flipped[last] ^= 1;
        let refused = walk(&partition(), Offset(0), flipped.into(), |_, _| {});
        assert!(matches!(refused, Err(CallError::Batch { .. })));
    }
}
