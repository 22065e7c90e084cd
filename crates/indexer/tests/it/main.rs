//! The indexer over a running engine.

mod damage;
mod follow;
mod harness;
mod many;
mod removal;
