//! Record batches, format v2: validate, stamp, iterate, compress, build.
//!
//! A batch is the unit of everything the broker does with data: it is checked once, when a producer sends it
//! ([`validate`]), gets its place in the log ([`stamp`]), and is from then on carried as the bytes it came in. Only compaction,
//! indexing and coordinators look inside again ([`batches`], [`Batch::records`]).
//!
//! Layout (KIP-98, R-3.12), all numbers big-endian:
//!
//! | bytes | field | | bytes | field |
//! |---|---|---|---|---|
//! | 0–7 | base offset | | 27–34 | base timestamp |
//! | 8–11 | length of what follows | | 35–42 | max timestamp |
//! | 12–15 | partition leader epoch | | 43–50 | producer id |
//! | 16 | magic, 2 | | 51–52 | producer epoch |
//! | 17–20 | CRC-32C of bytes 21 to the end | | 53–56 | base sequence |
//! | 21–22 | attributes | | 57–60 | number of records |
//! | 23–26 | last offset delta | | 61– | records, compressed as the attributes say |
//!
//! Nothing here allocates by a number that it read: memory grows with the bytes that are there, and what comes out of a
//! decompressor is counted against a [`DecompressLimit`].

#![deny(clippy::indexing_slicing)]

mod batch;
mod build;
mod codec;
mod control;
mod error;
mod header;
mod input;
mod record;
mod rewrite;
mod validate;
mod varint;
mod walk;

pub use batch::{Batch, batches};
pub use build::BatchBuilder;
pub use codec::{Compression, DecompressLimit, decompress};
pub use control::end_transaction_marker;
pub use error::{BatchError, Malformed};
pub use header::{Attributes, BatchHeader, HEADER_BYTES, TimestampType, stamp};
pub use record::{Header, Record, Records};
pub use validate::{Accepted, Rejected, RejectedRecord, Rules, validate};
