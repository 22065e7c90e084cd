//! Where the partitions of a group end after it.

use std::collections::HashMap;

use eddy_types::{LocalPartition, Offset};

use crate::Entry;

/// Ends of the partitions that a group appended to, each once. Kept from group to group for its memory.
#[derive(Default)]
pub(crate) struct Ends {
    ends: Vec<(LocalPartition, Offset)>,
    /// Index in `ends`.
    places: HashMap<LocalPartition, usize>,
}

impl Ends {
    pub(crate) fn clear(&mut self) {
        self.ends.clear();
        self.places.clear();
    }

    pub(crate) fn as_slice(&self) -> &[(LocalPartition, Offset)] {
        &self.ends
    }

    /// Takes one more entry of the group into account.
    pub(crate) fn see(&mut self, entry: &Entry) {
        match *entry {
            Entry::Append { partition, end_offset, .. } => self.set(partition, end_offset),
            Entry::Truncate { partition, to, .. } => {
                if let Some(end) = self.end(partition) {
                    self.set(partition, end.min(to));
                }
            }
            Entry::Forget { partition } => self.forget(partition),
            Entry::LogStart { .. } | Entry::Name { .. } => {}
        }
    }

    fn end(&self, partition: LocalPartition) -> Option<Offset> {
        self.places.get(&partition).and_then(|&place| self.ends.get(place)).map(|(_, end)| *end)
    }

    fn set(&mut self, partition: LocalPartition, end: Offset) {
        // A busy partition's batches follow one another.
        if let Some((last, last_end)) = self.ends.last_mut()
            && *last == partition
        {
            *last_end = end;
            return;
        }
        let place = *self.places.entry(partition).or_insert(self.ends.len());
        match self.ends.get_mut(place) {
            Some((_, known)) => *known = end,
            None => self.ends.push((partition, end)),
        }
    }

    fn forget(&mut self, partition: LocalPartition) {
        let Some(place) = self.places.remove(&partition) else { return };
        self.ends.swap_remove(place);
        if let Some((moved, _)) = self.ends.get(place) {
            self.places.insert(*moved, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eddy_types::LeaderEpoch;

    use super::*;

    fn append(partition: u32, end: i64) -> Entry {
        Entry::Append {
            partition: LocalPartition(partition),
            base_offset: Offset(end - 1),
            end_offset: Offset(end),
            leader_epoch: LeaderEpoch(0),
            after_gap: None,
            batch: Bytes::new(),
        }
    }

    fn truncate(partition: u32, to: i64) -> Entry {
        Entry::Truncate { partition: LocalPartition(partition), to: Offset(to), leader_epoch: LeaderEpoch(0) }
    }

    fn check(entries: &[Entry], expected: &[(u32, i64)]) {
        let mut ends = Ends::default();
        for entry in entries {
            ends.see(entry);
        }
        let mut seen: Vec<_> = ends.as_slice().iter().map(|(partition, end)| (partition.0, end.0)).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_partition_is_named_once_with_its_last_end() {
        check(&[append(1, 5), append(2, 7), append(1, 9), append(1, 10), append(2, 8)], &[(1, 10), (2, 8)]);
    }

    #[test]
    fn truncation_lowers_an_end_and_never_raises_one() {
        check(&[append(1, 9), truncate(1, 4)], &[(1, 4)]);
        check(&[append(1, 9), truncate(1, 4), append(1, 6)], &[(1, 6)]);
        check(&[append(1, 9), truncate(1, 12)], &[(1, 9)]);
        check(&[truncate(1, 4)], &[]);
    }

    #[test]
    fn a_forgotten_partition_has_no_end() {
        let forget = |partition| Entry::Forget { partition: LocalPartition(partition) };
        check(&[append(1, 5), append(2, 6), append(3, 7), forget(1), append(3, 8)], &[(2, 6), (3, 8)]);
        check(&[append(1, 5), forget(1), append(1, 1)], &[(1, 1)]);
    }
}
