//! Records of internal topics: keys paired with their values.

use std::collections::BTreeMap;

use crate::schema::{Kind, Message};

type Result<T> = std::result::Result<T, String>;

/// Which records get a codec: those that a broker reads or writes. The others' schemas wait for their coordinator.
const NAMES: &[&str] = &[
    "LegacyOffsetCommit",
    "OffsetCommit",
    "GroupMetadata",
    "ConsumerGroupMetadata",
    "ConsumerGroupPartitionMetadata",
    "ConsumerGroupMemberMetadata",
    "ConsumerGroupTargetAssignmentMetadata",
    "ConsumerGroupTargetAssignmentMember",
    "ConsumerGroupCurrentMemberAssignment",
    "ConsumerGroupRegularExpression",
    "TransactionLog",
];

/// A key with its value.
pub(crate) struct Record {
    /// Such as `OffsetCommit`.
    pub(crate) name: &'static str,
    pub(crate) key: Message,
    pub(crate) value: Message,
}

/// The records named above, in that order.
pub(crate) fn pair(mut messages: BTreeMap<String, Message>) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in NAMES {
        let mut take = |suffix: &str, kind: Kind| {
            let full = format!("{name}{suffix}");
            let message = messages.remove(&full).ok_or_else(|| format!("no schema of {full}"))?;
            match message.kind == kind {
                true => Ok(message),
                false => Err(format!("{full} is a {:?}", message.kind)),
            }
        };
        let (key, value) = (take("Key", Kind::StoredKey)?, take("Value", Kind::StoredValue)?);
        // A key carries its type where a value carries its version, so it can have only one.
        if key.api_key != value.api_key || (key.valid.min, key.valid.max) != (0, 0) {
            return Err(format!("key and value of {name} differ in type, or the key has versions"));
        }
        records.push(Record { name, key, value });
    }
    Ok(records)
}
