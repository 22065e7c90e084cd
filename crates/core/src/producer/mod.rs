//! What a partition remembers of its idempotent producers (KIP-98): the last batches of each, its epoch, its open
//! transaction.
//!
//! The leader asks [`ProducerWindows::admit`] before it appends; leader, followers and recovery alike tell
//! [`ProducerWindows::replay`] what the log holds, so that every replica can refuse a duplicate at once.

mod transactions;
mod window;
mod windows;

pub use transactions::EndedTransaction;
pub use window::{NO_COORDINATOR_EPOCH, ProducerSnapshot, SequenceError, WINDOW_BATCHES, WindowBatch};
pub use windows::{Admission, ProducerLimits, ProducerWindows};

#[cfg(test)]
mod tests;
