//! The indexer over a running engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod follow;
mod harness;
mod many;
mod removal;
