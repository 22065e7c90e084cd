//! Splits that are open, of all partitions: at most so many, those searched last.

use std::collections::HashMap;
use std::sync::Arc;

use eddy_engine::PartitionKey;
use parking_lot::Mutex;

use crate::view::SearchableSplit;

type Name = (PartitionKey, u64);

pub(crate) struct OpenSplits {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    splits: HashMap<Name, (Arc<SearchableSplit>, u64)>,
    /// Counts uses: the split with the least was used longest ago.
    uses: u64,
}

impl OpenSplits {
    pub(crate) fn new(limit: usize) -> OpenSplits {
        OpenSplits { limit: limit.max(1), open: Mutex::default() }
    }

    pub(crate) fn get(&self, partition: PartitionKey, split: u64) -> Option<Arc<SearchableSplit>> {
        let open = &mut *self.open.lock();
        open.uses += 1;
        let (found, used) = open.splits.get_mut(&(partition, split))?;
        *used = open.uses;
        Some(Arc::clone(found))
    }

    pub(crate) fn insert(&self, partition: PartitionKey, split: u64, opened: &Arc<SearchableSplit>) {
        let open = &mut *self.open.lock();
        open.uses += 1;
        open.splits.insert((partition, split), (Arc::clone(opened), open.uses));
        while open.splits.len() > self.limit {
            let oldest = open.splits.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| *name);
            let Some(oldest) = oldest else { break };
            open.splits.remove(&oldest);
        }
    }

    /// Closes what is no longer part of an index. Searches that run keep it until they end.
    pub(crate) fn remove(&self, partition: PartitionKey, splits: impl IntoIterator<Item = u64>) {
        let open = &mut *self.open.lock();
        for split in splits {
            open.splits.remove(&(partition, split));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().splits.len()
    }
}
