//! A batch as bytes, and the walk from batch to batch.

use bytes::Bytes;
use eddy_types::{BatchFacts, ControlKind};

use crate::header::{HEADER_BYTES, checksum};
use crate::{BatchError, BatchHeader, DecompressLimit, Records, control};

/// A whole batch with its header read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What stands in the first 61 bytes.
    pub header: BatchHeader,
    /// The whole batch, header included.
    pub bytes: Bytes,
}

impl Batch {
    /// The batch at the start of `bytes`; what follows it is left out. No CRC is computed.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`]; [`BatchError::Truncated`] also when the records are not whole.
    pub fn parse(bytes: &Bytes) -> Result<Batch, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needs = header.total_bytes();
        if needs > bytes.len() {
            return Err(BatchError::Truncated { needs, has: bytes.len() });
        }
        Ok(Batch { header, bytes: bytes.slice(..needs) })
    }

    /// Computes the CRC and compares it with the header's.
    ///
    /// # Errors
    /// [`BatchError::Crc`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let stored = self.header.crc;
        match checksum(&self.bytes) {
            Some(computed) if computed == stored => Ok(()),
            computed => Err(BatchError::Crc { stored, computed: computed.unwrap_or(0) }),
        }
    }

    /// The records, in order. A compressed batch is decompressed as the iterator goes; keys and values are slices of
    /// the batch or of the decompressed bytes, never copies.
    ///
    /// # Errors
    /// [`BatchError::Codec`], or [`BatchError::Payload`] when the compressed bytes do not even begin well. What is wrong
    /// further on comes from the iterator, which then ends.
    pub fn records(&self, limit: &DecompressLimit) -> Result<Records, BatchError> {
        Records::new(self, limit)
    }

    /// The compressed or plain records: everything after the header.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES.min(self.bytes.len())..)
    }

    /// Facts of the batch, with the kind of a control batch read from its record.
    #[must_use]
    pub fn facts(&self) -> BatchFacts {
        let control = self.header.attributes.is_control().then(|| self.control_kind());
        BatchFacts { control, ..self.header.facts() }
    }

    fn control_kind(&self) -> ControlKind {
        let first = self.records(&DecompressLimit::default()).ok().and_then(|mut records| records.next());
        let key = first.and_then(Result::ok).and_then(|record| record.key);
        key.map_or(ControlKind::Other(-1), |key| control::kind(&key))
    }
}

/// Walks the batches of a byte range, such as a segment's contents or a fetch answer. No CRC is computed.
///
/// The first error ends the walk. [`BatchError::Truncated`] is how a range ends that was cut inside a batch: a fetch answer
/// may, and a torn tail does.
pub fn batches(bytes: Bytes) -> impl Iterator<Item = Result<Batch, BatchError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(&rest);
        rest = match &batch {
            Ok(batch) => rest.slice(batch.bytes.len()..),
            Err(_) => Bytes::new(),
        };
        Some(batch)
    })
}
