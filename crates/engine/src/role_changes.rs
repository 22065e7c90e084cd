//! News of the roles that this broker plays, for whoever runs the replication sessions.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::partition::PartitionKey;

/// A subscription to the partitions whose leader, leader epoch or replicas changed, and of those that came and went. Each key is
/// listed once until it is taken: look at the image and the partition after that.
#[derive(Debug)]
pub struct RoleChanges {
    inbox: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    keys: Mutex<BTreeSet<PartitionKey>>,
    some: Notify,
}

impl RoleChanges {
    /// Waits for changes and takes them. All partitions held here are listed at the start. Cancel-safe.
    pub async fn next(&mut self) -> Vec<PartitionKey> {
        loop {
            let keys = self.try_next();
            if !keys.is_empty() {
                return keys;
            }
            self.inbox.some.notified().await;
        }
    }

    /// As [`RoleChanges::next`], without waiting.
    pub fn try_next(&mut self) -> Vec<PartitionKey> {
        std::mem::take(&mut *self.inbox.keys.lock()).into_iter().collect()
    }
}

/// Where changes come from.
#[derive(Debug, Default)]
pub(crate) struct RoleFeed {
    inboxes: Mutex<Vec<Weak<Inbox>>>,
}

impl RoleFeed {
    /// Subscribes; `held` is asked after that, so that nothing is missed.
    pub(crate) fn subscribe(&self, held: impl FnOnce() -> Vec<PartitionKey>) -> RoleChanges {
        let inbox = Arc::new(Inbox::default());
        self.inboxes.lock().push(Arc::downgrade(&inbox));
        inbox.keys.lock().extend(held());
        RoleChanges { inbox }
    }

    pub(crate) fn tell(&self, keys: &[PartitionKey]) {
        if keys.is_empty() {
            return;
        }
        self.inboxes.lock().retain(|inbox| {
            let Some(inbox) = inbox.upgrade() else { return false };
            inbox.keys.lock().extend(keys);
            inbox.some.notify_one();
            true
        });
    }
}
