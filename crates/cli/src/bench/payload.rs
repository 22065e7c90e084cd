//! Records and batches of them.
//!
//! Where nothing in a batch changes, some are made beforehand and sent in turn, again and again: a broker does not look for repetitions
//! without a producer's id, and the client's time goes into requests. Batches whose records carry a [`Stamp`] are made one by one.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression};
use eddy_types::Millis;
use fastrand::Rng;

use super::failed;
use super::ledger::Stamp;
use crate::context::Host;
use crate::error::{CliError, Exit};
use crate::moment::now_ms;

/// Bytes of the values that batches are made of, and of the batches made beforehand.
const POOL_BYTES_MAX: usize = 4 << 20;
/// Batches made beforehand, at most.
const READY_MAX: usize = 16;
/// Bytes of a file of values, at most.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// What batches are made of.
#[derive(Debug)]
pub(super) struct Payload {
    values: Vec<Bytes>,
    records: u32,
    codec: Compression,
    ready: Vec<Batch>,
}

/// A batch as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub bytes: Bytes,
    /// Of the values alone.
    pub value_bytes: u64,
}

/// Values of one size, a share of which compresses to nothing.
pub(super) fn noise(bytes: usize, compressibility: f64, seed: u64) -> Vec<Bytes> {
    let count = (POOL_BYTES_MAX / bytes.max(1)).clamp(1, 1 << 16);
    let mut random = Rng::with_seed(seed);
    (0..count).map(|_| value(bytes, compressibility, &mut random)).collect()
}

fn value(bytes: usize, compressibility: f64, random: &mut Rng) -> Bytes {
    let incompressible = (bytes as f64 * (1.0 - compressibility)).round() as usize;
    let mut value = vec![b'.'; bytes];
    if let Some(noise) = value.get_mut(..incompressible) {
        random.fill(noise);
    }
    value.into()
}

/// The lines of a file that have something in them.
pub(super) fn lines(host: &Host, path: &Path) -> Result<Vec<Bytes>, CliError> {
    let refused =
        |exit, reason: String| CliError::new(exit, format!("cannot read {}: {reason}", path.display()));
    let file = (host.open)(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        refused(exit, error.to_string())
    })?;
    let mut text = Vec::new();
    let read = file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut text);
    if read.map_err(|error| refused(Exit::Failed, error.to_string()))? as u64 > INPUT_BYTES_MAX {
        return Err(refused(Exit::Failed, format!("it is longer than {INPUT_BYTES_MAX} bytes")));
    }
    let text = Bytes::from(text);
    let lines: Vec<Bytes> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| text.slice_ref(line))
        .collect();
    if lines.is_empty() { Err(refused(Exit::Failed, "it has no lines".to_owned())) } else { Ok(lines) }
}

impl Payload {
    /// Batches of `records` of these values, of which there is one at least. Stamped ones are made when they are needed.
    pub(super) fn new(
        values: Vec<Bytes>,
        records: u32,
        codec: Compression,
        is_stamped: bool,
    ) -> Result<Payload, CliError> {
        let mut payload = Payload { values, records, codec, ready: Vec::new() };
        let mut bytes = 0;
        while !is_stamped && payload.ready.len() < READY_MAX && (bytes < POOL_BYTES_MAX || bytes == 0) {
            let batch = payload.make(payload.ready.len() as u64)?;
            bytes += batch.bytes.len();
            payload.ready.push(batch);
        }
        Ok(payload)
    }

    /// Records of a batch.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// One of the batches made beforehand.
    pub(super) fn ready(&self, turn: u64) -> Option<&Batch> {
        self.ready.get(turn as usize % self.ready.len().max(1))
    }

    /// A batch whose records carry stamps: `first`, and the next numbers, due `step_ns` apart.
    pub(super) fn stamped(&self, first: Stamp, step_ns: u64) -> Result<Batch, CliError> {
        let mut scratch = Vec::new();
        self.build(first.number, |index, value, builder, now| {
            scratch.clear();
            scratch.extend_from_slice(value);
            let stamp =
                Stamp { number: first.number + index, due_ns: first.due_ns + index * step_ns, ..first };
            stamp.write(&mut scratch);
            builder.append(now, None, Some(&scratch));
        })
    }

    fn make(&self, turn: u64) -> Result<Batch, CliError> {
        let first = turn * u64::from(self.records);
        self.build(first, |_, value, builder, now| builder.append(now, None, Some(value)))
    }

    fn build(
        &self,
        first: u64,
        mut append: impl FnMut(u64, &[u8], &mut BatchBuilder, Millis),
    ) -> Result<Batch, CliError> {
        let mut builder = BatchBuilder::new(self.codec);
        let now = Millis(now_ms());
        let mut value_bytes = 0;
        let start = first as usize % self.values.len().max(1);
        let values = self.values.iter().cycle().skip(start).take(self.records as usize);
        for (index, value) in (0..).zip(values) {
            append(index, value, &mut builder, now);
            value_bytes += value.len() as u64;
        }
        let built = builder.build();
        let bytes = built.map_err(|error| failed(format!("cannot build a batch: {error}")))?;
        Ok(Batch { bytes, value_bytes })
    }
}

#[cfg(test)]
mod tests {
    use eddy_batch::{Batch as Parsed, DecompressLimit};

    use super::*;
    use crate::bench::ledger::STAMP_BYTES;

    fn values_of(batch: &Batch) -> Vec<Bytes> {
        let parsed = Parsed::parse(&batch.bytes).unwrap();
        parsed.verify_crc().unwrap();
        let records = parsed.records(&DecompressLimit::default()).unwrap();
        records.map(|record| record.unwrap().value.unwrap()).collect()
    }

    fn compressed_share(compressibility: f64) -> f64 {
        let values = noise(1024, compressibility, 1);
        let payload = Payload::new(values, 64, Compression::Zstd, false).unwrap();
        let batch = payload.ready(0).unwrap();
        batch.bytes.len() as f64 / batch.value_bytes as f64
    }

    #[test]
    fn batches_compress_by_the_share_that_was_asked_for() {
        for (compressibility, expected) in [(0.0, 1.0), (0.5, 0.5), (0.75, 0.25), (1.0, 0.0)] {
            let share = compressed_share(compressibility);
            assert!((share - expected).abs() < 0.05, "{compressibility}: {share}");
        }
    }

    #[test]
    fn a_seed_decides_the_bytes() {
        assert_eq!(noise(100, 0.5, 7), noise(100, 0.5, 7));
        assert_ne!(noise(100, 0.5, 7).first(), noise(100, 0.5, 8).first());
        for bytes in [1, 7, 64, 1000] {
            assert!(noise(bytes, 0.3, 1).iter().take(9).all(|value| value.len() == bytes));
        }
    }

    #[test]
    fn the_batches_made_beforehand_differ() {
        let payload = Payload::new(noise(100, 0.0, 1), 10, Compression::None, false).unwrap();
        let (first, second) = (payload.ready(0).unwrap(), payload.ready(1).unwrap());
        assert_ne!(values_of(first), values_of(second));
        assert_eq!((values_of(first).len(), first.value_bytes), (10, 1000));
        assert_eq!(payload.ready(READY_MAX as u64).unwrap().bytes, first.bytes);
    }

    #[test]
    fn every_record_of_a_stamped_batch_has_its_number_and_its_time() {
        for codec in [Compression::None, Compression::Lz4] {
            let payload = Payload::new(noise(STAMP_BYTES, 0.0, 1), 3, codec, true).unwrap();
            let first = Stamp { run: 1, client: 2, number: 40, due_ns: 500 };
            let values = values_of(&payload.stamped(first, 7).unwrap());
            let stamps: Vec<_> = values.iter().map(|value| Stamp::read(value).unwrap()).collect();
            let expected = [(40, 500), (41, 507), (42, 514)];
            assert_eq!(stamps, expected.map(|(number, due_ns)| Stamp { number, due_ns, ..first }));
        }
    }
}
