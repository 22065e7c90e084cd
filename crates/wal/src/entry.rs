//! What the log records, and its bytes.

use std::fmt;

use bytes::Bytes;
use eddy_types::{LeaderEpoch, LocalPartition, Offset, TopicId};

/// Position of an entry: how many entries were submitted before it since the log was created. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One event in the life of a partition. Replaying them in order repeats its history exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A batch at the end of the partition.
    Append {
        /// The partition.
        partition: LocalPartition,
        /// Offset of the batch's first record. It counts, whatever the batch's own header says.
        base_offset: Offset,
        /// The offset after the batch's last record.
        end_offset: Offset,
        /// The leader's epoch under which it was appended. It counts, whatever the batch's own header says.
        leader_epoch: LeaderEpoch,
        /// Where the partition ended before, when the batch does not begin there: the log that it was copied from has
        /// nothing in between, as compaction leaves it. A replay that ends elsewhere has lost something.
        after_gap: Option<Offset>,
        /// The batch as the producer sent it.
        batch: Bytes,
    },
    /// The partition was cut: records from `to` on are gone.
    Truncate {
        /// The partition.
        partition: LocalPartition,
        /// The new end.
        to: Offset,
        /// The leader's epoch that asked for it.
        leader_epoch: LeaderEpoch,
    },
    /// Records below `offset` are gone.
    LogStart {
        /// The partition.
        partition: LocalPartition,
        /// The new start.
        offset: Offset,
    },
    /// From here on `partition` stands for partition `index` of `topic`.
    Name {
        /// The partition.
        partition: LocalPartition,
        /// Its topic.
        topic: TopicId,
        /// Its index in the topic.
        index: i32,
    },
    /// The partition is no longer here; its number may be given to another one.
    Forget {
        /// The partition.
        partition: LocalPartition,
    },
}

/// Bytes of an append before its batch.
const APPEND_BYTES: usize = 32;
/// Bytes more of an append after a gap.
const GAP_BYTES: usize = 8;
/// Bytes that all entries begin with: kind, three zeros, partition.
const COMMON_BYTES: usize = 8;

mod kind {
    pub(super) const APPEND: u8 = 1;
    pub(super) const TRUNCATE: u8 = 2;
    pub(super) const LOG_START: u8 = 3;
    pub(super) const NAME: u8 = 4;
    pub(super) const FORGET: u8 = 5;
    pub(super) const APPEND_AFTER_GAP: u8 = 6;
}

/// Bytes that are no entry. They lie under a checksum, so that no accident of the disk makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("entry ends early")]
    Short,
    #[error("unknown kind of entry {0}")]
    Kind(u8),
    #[error("bytes after the last entry")]
    Rest,
}

impl Entry {
    /// The partition that the entry is about.
    #[must_use]
    pub fn partition(&self) -> LocalPartition {
        match *self {
            Entry::Append { partition, .. }
            | Entry::Truncate { partition, .. }
            | Entry::LogStart { partition, .. }
            | Entry::Name { partition, .. }
            | Entry::Forget { partition } => partition,
        }
    }

    /// The batch, which follows the entry's own bytes.
    pub(crate) fn body(&self) -> &[u8] {
        match self {
            Entry::Append { batch, .. } => batch,
            _ => &[],
        }
    }

    /// Bytes of the entry on disk, its batch included.
    pub(crate) fn bytes_on_disk(&self) -> usize {
        match self {
            Entry::Append { after_gap: None, batch, .. } => APPEND_BYTES + batch.len(),
            Entry::Append { batch, .. } => APPEND_BYTES + GAP_BYTES + batch.len(),
            Entry::Truncate { .. } => COMMON_BYTES + 12,
            Entry::LogStart { .. } => COMMON_BYTES + 8,
            Entry::Name { .. } => COMMON_BYTES + 20,
            Entry::Forget { .. } => COMMON_BYTES,
        }
    }

    /// Adds the entry to `out`, all but its batch.
    pub(crate) fn encode_head(&self, out: &mut Vec<u8>) {
        let mut common = |kind: u8, partition: LocalPartition| {
            out.extend_from_slice(&[kind, 0, 0, 0]);
            out.extend_from_slice(&partition.0.to_le_bytes());
        };
        match self {
            Entry::Append { partition, base_offset, end_offset, leader_epoch, after_gap, batch } => {
                let kind = if after_gap.is_some() { kind::APPEND_AFTER_GAP } else { kind::APPEND };
                common(kind, *partition);
                if let Some(end) = after_gap {
                    out.extend_from_slice(&end.0.to_le_bytes());
                }
                out.extend_from_slice(&base_offset.0.to_le_bytes());
                out.extend_from_slice(&end_offset.0.to_le_bytes());
                out.extend_from_slice(&leader_epoch.0.to_le_bytes());
                // A frame's length is an i32, so that no batch comes near 4 GiB.
                out.extend_from_slice(&(batch.len() as u32).to_le_bytes());
            }
            Entry::Truncate { partition, to, leader_epoch } => {
                common(kind::TRUNCATE, *partition);
                out.extend_from_slice(&to.0.to_le_bytes());
                out.extend_from_slice(&leader_epoch.0.to_le_bytes());
            }
            Entry::LogStart { partition, offset } => {
                common(kind::LOG_START, *partition);
                out.extend_from_slice(&offset.0.to_le_bytes());
            }
            Entry::Name { partition, topic, index } => {
                common(kind::NAME, *partition);
                out.extend_from_slice(&topic.0);
                out.extend_from_slice(&index.to_le_bytes());
            }
            Entry::Forget { partition } => common(kind::FORGET, *partition),
        }
    }

    /// Takes one entry off the front of `bytes`. The batch is copied: a group's bytes must not be kept alive by one
    /// small batch in a cache.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Entry, DecodeError> {
        let [kind, _, _, _] = take::<4>(bytes)?;
        let partition = LocalPartition(u32::from_le_bytes(take(bytes)?));
        Ok(match kind {
            kind::APPEND | kind::APPEND_AFTER_GAP => {
                let after_gap = match kind {
                    kind::APPEND => None,
                    _ => Some(Offset(i64::from_le_bytes(take(bytes)?))),
                };
                let base_offset = Offset(i64::from_le_bytes(take(bytes)?));
                let end_offset = Offset(i64::from_le_bytes(take(bytes)?));
                let leader_epoch = LeaderEpoch(i32::from_le_bytes(take(bytes)?));
                let length = u32::from_le_bytes(take(bytes)?) as usize;
                let (batch, rest) = bytes.split_at_checked(length).ok_or(DecodeError::Short)?;
                *bytes = rest;
                let batch = Bytes::copy_from_slice(batch);
                Entry::Append { partition, base_offset, end_offset, leader_epoch, after_gap, batch }
            }
            kind::TRUNCATE => {
                let to = Offset(i64::from_le_bytes(take(bytes)?));
                Entry::Truncate { partition, to, leader_epoch: LeaderEpoch(i32::from_le_bytes(take(bytes)?)) }
            }
            kind::LOG_START => {
                Entry::LogStart { partition, offset: Offset(i64::from_le_bytes(take(bytes)?)) }
            }
            kind::NAME => {
                let topic = TopicId(take(bytes)?);
                Entry::Name { partition, topic, index: i32::from_le_bytes(take(bytes)?) }
            }
            kind::FORGET => Entry::Forget { partition },
            other => return Err(DecodeError::Kind(other)),
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(DecodeError::Short)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_entry(batch_bytes_max: usize) -> impl Strategy<Value = Entry> {
        let partition = (0u32..5).prop_map(LocalPartition);
        let append = (
            partition.clone(),
            any::<[i64; 2]>(),
            any::<i32>(),
            any::<Option<i64>>(),
            0..batch_bytes_max,
            any::<u8>(),
        )
            .prop_map(|(partition, [base, end], epoch, gap, length, fill)| Entry::Append {
                partition,
                base_offset: Offset(base),
                end_offset: Offset(end),
                leader_epoch: LeaderEpoch(epoch),
                after_gap: gap.map(Offset),
                batch: vec![fill; length].into(),
            });
        let truncate = (partition.clone(), any::<i64>(), any::<i32>()).prop_map(|(partition, to, epoch)| {
            Entry::Truncate { partition, to: Offset(to), leader_epoch: LeaderEpoch(epoch) }
        });
        let start = (partition.clone(), any::<i64>())
            .prop_map(|(partition, offset)| Entry::LogStart { partition, offset: Offset(offset) });
        let name = (partition.clone(), any::<[u8; 16]>(), any::<i32>())
            .prop_map(|(partition, topic, index)| Entry::Name { partition, topic: TopicId(topic), index });
        let forget = partition.prop_map(|partition| Entry::Forget { partition });
        prop_oneof![6 => append, 1 => truncate, 1 => start, 1 => name, 1 => forget]
    }

    proptest! {
        #[test]
        fn entries_survive_their_bytes(entry in any_entry(100)) {
            let mut bytes = Vec::new();
            entry.encode_head(&mut bytes);
            bytes.extend_from_slice(entry.body());
            prop_assert_eq!(bytes.len(), entry.bytes_on_disk());
            let mut rest = &bytes[..];
            prop_assert_eq!(Entry::decode(&mut rest).unwrap(), entry);
            prop_assert!(rest.is_empty());
            for end in 0..bytes.len() {
                prop_assert_eq!(Entry::decode(&mut &bytes[..end]), Err(DecodeError::Short));
            }
        }
    }
}
