//! What groups committed.

use std::collections::BTreeMap;

use super::record::{CommittedOffset, Str};

/// Committed offsets by group, topic and partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OffsetStore {
    groups: BTreeMap<Str, BTreeMap<Str, BTreeMap<i32, CommittedOffset>>>,
}
