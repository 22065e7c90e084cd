//! Tests of the log as its callers see it, on the simulated disk and on the real one.

// Helpers of tests are tests: clippy's leave for `#[test]` functions does not reach them.
#![allow(clippy::unwrap_used)]

mod clean;
mod clean_model;
mod crash;
mod deleted;
mod files;
mod meanwhile;
mod model;
mod reads;
mod retention;
mod support;
mod time;
