//! Operations that a broker does all the time, each small enough to be measured alone: `benches/micro.rs` takes their time, `eddy-instructions`
//! counts their instructions.

mod codec;
mod engine;
mod wal;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression};
use eddy_types::Millis;

/// An operation with all that it needs, to be done again and again.
pub type Operation = Box<dyn FnMut()>;

/// What makes an operation. What that takes is not part of it.
pub type Make = fn() -> Operation;

/// Each operation by name.
pub const OPERATIONS: [(&str, Make); 9] = [
    ("codec: Produce of 16 KiB, decoded, and its answer", codec::produce),
    ("codec: Metadata of 1,000 partitions", codec::metadata),
    ("batch: 16 KiB checked", || codec::validate_batch(Compression::None)),
    ("batch: 16 KiB in snappy checked", || codec::validate_batch(Compression::Snappy)),
    ("wal: one batch of 256 B committed", || wal::commit(1)),
    ("wal: 128 batches of 256 B committed", || wal::commit(128)),
    ("produce: 256 B from the request's records to the acknowledgement", || engine::produce(1)),
    ("produce: 16 KiB from the request's records to the acknowledgement", || engine::produce(64)),
    ("fetch: 64 KiB of what was just written", engine::fetch),
];

/// A batch of records of 256 bytes.
///
/// # Panics
/// Never: the batch is small.
#[must_use]
pub fn batch(records: usize, compression: Compression) -> Bytes {
    let mut random = fastrand::Rng::with_seed(1);
    let mut builder = BatchBuilder::new(compression);
    let mut value = [b'.'; 256];
    for _ in 0..records {
        random.fill(&mut value[..128]);
        builder.append(Millis(1_700_000_000_000), None, Some(&value));
    }
    builder.build().expect("a small batch")
}
