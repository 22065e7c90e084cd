//! From fetched bytes to records.

use std::collections::BTreeSet;

use eddy_batch::{Batch, BatchError, DecompressLimit, batches};
use eddy_types::ControlKind;

use super::fetch::Chunk;
use crate::error::{CliError, Exit};
use crate::record::Record;

/// Calls `each` for the records of a chunk, in order, until it returns false; checks checksums. Markers of transactions are not data and
/// are left out, as are the records of aborted transactions where the broker named them.
///
/// # Errors
/// A batch that cannot be read, or what `each` returned.
pub(crate) fn records(
    chunk: &Chunk,
    mut each: impl FnMut(Record) -> Result<bool, CliError>,
) -> Result<bool, CliError> {
    let mut aborted = Aborted::new(&chunk.aborted);
    for batch in batches(chunk.batches.clone()) {
        let batch = match batch {
            Ok(batch) => batch,
            // A fetch may end within a batch.
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => return Err(unreadable(chunk, chunk.from, &error)),
        };
        let base = batch.header.base_offset.0;
        batch.verify_crc().map_err(|error| unreadable(chunk, base, &error))?;
        if aborted.leaves_out(&batch) {
            continue;
        }
        let limit = DecompressLimit::default();
        for record in batch.records(&limit).map_err(|error| unreadable(chunk, base, &error))? {
            let record = record.map_err(|error| unreadable(chunk, base, &error))?;
            let offset = record.offset.0;
            if offset < chunk.from || chunk.until.is_some_and(|until| offset >= until) {
                continue;
            }
            if !each(Record::new(chunk.topic.clone(), chunk.partition, &batch, record))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn unreadable(chunk: &Chunk, offset: i64, error: &BatchError) -> CliError {
    let (topic, partition) = (&chunk.topic, chunk.partition);
    CliError::new(
        Exit::Failed,
        format!("cannot read the batch of {topic}-{partition} at offset {offset}: {error}"),
    )
    .fix(format!("eddy consume {topic} -p {partition} --offset {}", offset + 1), "go on behind it")
}

/// Which producers are within a transaction that was aborted, as batches pass by (KIP-98).
struct Aborted {
    /// Producer and first offset, the next to begin last.
    coming: Vec<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl Aborted {
    fn new(named: &[(i64, i64)]) -> Aborted {
        let mut coming = named.to_vec();
        coming.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
        Aborted { coming, open: BTreeSet::new() }
    }

    /// Whether a batch is a marker or belongs to an aborted transaction. Must see every batch.
    fn leaves_out(&mut self, batch: &Batch) -> bool {
        let producer = batch.header.producer_id.0;
        while let Some((producer, _)) =
            self.coming.pop_if(|(_, first)| *first <= batch.header.last_offset().0)
        {
            self.open.insert(producer);
        }
        if batch.header.attributes.is_control() {
            if batch.facts().control == Some(ControlKind::Abort) {
                self.open.remove(&producer);
            }
            return true;
        }
        batch.header.attributes.is_transactional() && self.open.contains(&producer)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eddy_batch::{BatchBuilder, Compression};
    use eddy_types::{Millis, Offset, ProducerEpoch, ProducerId};

    use super::*;

    fn batch(base: i64, producer: i64, texts: &[&str]) -> Bytes {
        let mut batch = BatchBuilder::new(Compression::Lz4)
            .base_offset(Offset(base))
            .producer(ProducerId(producer), ProducerEpoch(0), 0)
            .transactional();
        for text in texts {
            batch.append(Millis(5), None, Some(text.as_bytes()));
        }
        batch.build().unwrap()
    }

    /// Says that the producer's transaction is aborted.
    fn abort(base: i64, producer: i64) -> Bytes {
        let mut batch = BatchBuilder::new(Compression::None)
            .base_offset(Offset(base))
            .producer(ProducerId(producer), ProducerEpoch(0), -1)
            .transactional()
            .control();
        batch.append(Millis(5), Some(&[0, 0, 0, 0]), Some(&[0; 6]));
        batch.build().unwrap()
    }

    fn read(from: i64, until: Option<i64>, bytes: &[Bytes], aborted: &[(i64, i64)]) -> Vec<String> {
        let chunk = Chunk {
            topic: "t".into(),
            partition: 0,
            from,
            until,
            batches: bytes.concat().into(),
            aborted: aborted.to_vec(),
            took: None,
        };
        let mut got = Vec::new();
        records(&chunk, |record| {
            got.push(format!("{} {}", record.offset, String::from_utf8_lossy(&record.value.unwrap())));
            Ok(true)
        })
        .unwrap();
        got
    }

    #[test]
    fn what_is_outside_of_the_range_or_cut_is_left_out() {
        let whole = batch(10, 1, &["a", "b", "c"]);
        let cut = batch(13, 1, &["d"]);
        let cut = cut.slice(..cut.len() - 1);
        assert_eq!(read(11, None, &[whole.clone(), cut], &[]), ["11 b", "12 c"]);
        assert_eq!(read(10, Some(11), &[whole], &[]), ["10 a"]);
    }

    #[test]
    fn aborted_transactions_are_left_out_until_their_marker() {
        let bytes = [
            batch(0, 7, &["kept"]),
            batch(1, 8, &["aborted"]),
            batch(2, 7, &["kept too"]),
            abort(3, 8),
            batch(4, 8, &["of the next transaction"]),
        ];
        let kept = ["0 kept", "2 kept too", "4 of the next transaction"];
        assert_eq!(read(0, None, &bytes, &[(8, 1)]), kept);
        assert_eq!(read(0, None, &bytes, &[]).len(), 4);
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        let mut bytes = batch(0, 1, &["abc"]).to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let chunk = Chunk {
            topic: "t".into(),
            partition: 0,
            from: 0,
            until: None,
            batches: bytes.into(),
            aborted: Vec::new(),
            took: None,
        };
        let error = records(&chunk, |_| Ok(true)).unwrap_err();
        assert!(error.message().contains("cannot read the batch of t-0 at offset 0"), "{error}");
    }
}
