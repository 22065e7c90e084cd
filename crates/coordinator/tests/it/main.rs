//! The coordinator on an engine with a simulated disk: what it answered survives, and nothing is answered too early.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod answers;
mod crash;
mod harness;
mod loading;
