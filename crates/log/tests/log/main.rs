//! Tests of the log as its callers see it, on the simulated disk and on the real one.

mod crash;
mod files;
mod model;
mod reads;
mod retention;
mod support;
mod time;
