//! Replicas whose files go: of deleted topics, and those that moved to other brokers.

use super::Worker;
use crate::flush_queue::{Doomed, Reason};

impl Worker {
    /// Removes the files of those whose end is durable.
    pub(super) fn destroy_doomed(&mut self) {
        let published = self.partitions.published();
        let due = |doomed: &mut Doomed| doomed.after <= published;
        for doomed in self.doomed.extract_if(.., due).collect::<Vec<_>>() {
            self.destroy(&doomed);
        }
    }

    fn destroy(&mut self, doomed: &Doomed) {
        let mut complete = true;
        for (key, partition) in &doomed.partitions {
            self.unflushed.remove(key);
            self.touched.remove(key);
            self.unstored.remove(key);
            self.cached.remove(key);
            self.recorded.remove(key);
            if let Err(error) = self.partitions.storage().remove_partition(*key, partition.as_deref()) {
                complete = false;
                tracing::warn!(topic_id = %key.topic, partition = key.index, %error,
                    "cannot remove the files of a deleted partition; the next start tries again");
            }
            self.partitions.files_removed(*key);
        }
        match doomed.reason {
            _ if !complete => {}
            Reason::TopicDeleted(topic) => self.queue.topic_reclaimed(topic),
            Reason::MovedAway => self.queue.replicas_reclaimed(doomed.partitions.iter().map(|(key, _)| *key)),
        }
    }
}
