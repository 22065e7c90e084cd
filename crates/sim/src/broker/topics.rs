//! A broker's part in the life of topics: what of deleted ones it still has to remove, and which one a name means.

use eddy_types::Offset;

use super::replica::{Replica, Role};
use crate::message::Wish;
use crate::view::topic_id;
use crate::world::{World, id_of};

impl World {
    /// Tells that nothing of deleted topics is left on the disk.
    pub(crate) fn reclaim(&mut self, broker: usize) {
        let image = self.image_of(broker);
        if image.image().removed_topics().len() == 0 || self.is_wanted(broker, is_reclaim) {
            return;
        }
        let disk = &self.brokers[broker].disk;
        let of = self.scenario.partitions;
        let is_gone = |incarnation: &usize| {
            (incarnation * of..(incarnation + 1) * of).all(|partition| disk.synced(partition).is_empty())
        };
        let is_owed = |incarnation: &usize| {
            let removed = image.image().removed_topic(topic_id(*incarnation));
            removed.is_some_and(|removed| removed.brokers.contains(&id_of(broker)))
        };
        let topics: Vec<_> = (0..image.created()).filter(is_owed).filter(is_gone).map(topic_id).collect();
        if !topics.is_empty() {
            self.wish(broker, Wish::Reclaim { topics });
        }
    }

    /// For the mutant whose directories have the names of topics: what is left of an earlier topic becomes a partition's log.
    pub(crate) fn find_old_log(&mut self, broker: usize, partition: usize) {
        let of = self.scenario.partitions;
        let state = &mut self.brokers[broker];
        let is_new =
            matches!(state.replicas[partition].role, Role::None) && state.replicas[partition].log.is_empty();
        let left = (partition % of..partition).step_by(of).rfind(|old| !state.disk.synced(*old).is_empty());
        if let Some(old) = left.filter(|_| is_new) {
            state.disk.rename(old, partition);
            state.replicas[partition] = Replica::open(state.disk.synced(partition), Offset::ZERO);
        }
    }

    /// The partition that a broker takes one for whose topic is only named.
    pub(crate) fn same_name(&self, broker: usize, partition: usize) -> usize {
        let index = partition % self.scenario.partitions;
        self.image_of(broker).number_of(index).unwrap_or(partition)
    }
}

fn is_reclaim(wish: &Wish) -> bool {
    matches!(wish, Wish::Reclaim { .. })
}
