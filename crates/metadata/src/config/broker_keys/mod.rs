//! The broker keys: ours, and those of Kafka 4.3 with its types and defaults.

mod cluster;
mod groups;
mod inert;
mod process;
mod service;
mod topics;

pub(in crate::config) use cluster::RACK_AWARE_SELECTOR;

use super::key::Key;

/// Every broker key: ours, then Kafka's by subject, those that change nothing here last.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [process::KEYS, cluster::KEYS, topics::KEYS, service::KEYS, groups::KEYS, inert::KEYS]
        .into_iter()
        .flatten()
}
