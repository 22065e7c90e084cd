//! How the replicas of this broker follow the metadata: which it holds, and which part it plays in each.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ahash::AHashMap;
use eddy_metadata::{Image, Record, Resource, Topic};
use eddy_types::{BrokerId, LeaderEpoch, Millis, TopicId};
use parking_lot::Mutex;

use super::{Keys, Partitions, Seed, Slot, TopicPartitions};
use crate::error::AppendError;
use crate::flush_queue::Reason;
use crate::log_config::log_config;
use crate::partition::{Assignment, Partition, PartitionKey};

/// The leaderships that an image gives to `me`, when the image is from before this run of the process.
pub(super) fn former_leaderships(image: &Image, me: BrokerId) -> AHashMap<PartitionKey, LeaderEpoch> {
    let of_topic = |topic: &Arc<Topic>| {
        let id = topic.id;
        let led = move |(index, partition): (i32, &eddy_metadata::Partition)| {
            (partition.leader == Some(me) && partition.replicas.len() > 1)
                .then_some((PartitionKey { topic: id, index }, partition.leader_epoch))
        };
        (0..).zip(&topic.partitions).filter_map(led).collect::<Vec<_>>()
    };
    image.topics().flat_map(of_topic).collect()
}

impl Partitions {
    /// Follows the metadata: called in commit order with the records just applied; no records mean that the image came as a
    /// whole. Touches no file.
    pub(crate) fn applied(&self, records: &[Record], image: &Arc<Image>) {
        let _one_at_a_time = self.following.lock();
        if image.version() < self.image.load().version() {
            return;
        }
        for record in records {
            self.note_unclean_election(record);
        }
        // Before any partition is looked at: one that is being opened reads it afterwards.
        self.image.store(Arc::clone(image));
        let mut changed = Keys::new();
        if records.is_empty() {
            self.reconcile(image, &mut changed);
        }
        for record in records {
            match record {
                Record::TopicCreated { topic_id, .. } | Record::PartitionsAdded { topic_id, .. } => {
                    if let Some(topic) = image.topic_by_id(*topic_id) {
                        self.reconcile_topic(topic, &mut changed);
                    }
                }
                Record::TopicRemoved { topic_id } => self.remove_topic(*topic_id, image, &mut changed),
                Record::PartitionChanged { topic_id, partition, .. } => {
                    if let Some(topic) = image.topic_by_id(*topic_id) {
                        self.reconcile_some(topic, *partition..partition.saturating_add(1), &mut changed);
                    }
                }
                Record::ConfigsSet { resource, .. } => self.configs_changed(resource, image),
                _ => {}
            }
        }
        let changed: Vec<PartitionKey> = changed.into_iter().collect();
        self.shared.roles.tell(&changed);
    }

    /// Fills the registry with the replicas of a topic, and what an earlier run left of them.
    pub(super) fn hold(&self, topic: &Topic, seeds: &mut AHashMap<PartitionKey, Seed>) {
        let slots = (0..).zip(&topic.partitions).map(|(index, partition)| {
            let key = PartitionKey { topic: topic.id, index };
            partition.replicas.contains(&self.shared.me).then(|| Slot::new(key, seeds.remove(&key)))
        });
        let held = TopicPartitions { slots: slots.collect() };
        self.topics.write().insert(topic.id, Arc::new(held));
    }

    /// A leader from outside ISR and ELR may lack what was promised. Compares with the image before.
    fn note_unclean_election(&self, record: &Record) {
        let Record::PartitionChanged { topic_id, partition, leader: Some(leader), leader_epoch, .. } = record
        else {
            return;
        };
        let before = self.image.load();
        let Some(before) = before.partition(*topic_id, *partition) else { return };
        let is_held = before.replicas.contains(&self.shared.me);
        let is_clean = before.isr.contains(leader) || before.elr.contains(leader);
        if is_held && !is_clean {
            let key = PartitionKey { topic: *topic_id, index: *partition };
            self.unclean.lock().insert(key, *leader_epoch);
        }
    }

    /// Compares everything with an image that came as a whole.
    fn reconcile(&self, image: &Image, changed: &mut Keys) {
        let gone: Vec<TopicId> =
            self.topics.read().keys().copied().filter(|id| image.topic_by_id(*id).is_none()).collect();
        for id in gone {
            self.remove_topic(id, image, changed);
        }
        for topic in image.topics() {
            self.reconcile_topic(topic, changed);
            self.reconfigure(topic);
        }
    }

    fn reconcile_topic(&self, topic: &Topic, changed: &mut Keys) {
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        self.reconcile_some(topic, 0..count, changed);
    }

    fn reconcile_some(&self, topic: &Topic, indexes: Range<i32>, changed: &mut Keys) {
        let known = self.topics.read().get(&topic.id).cloned().unwrap_or_default();
        let mut slots = known.slots.clone();
        slots.resize(slots.len().max(topic.partitions.len()), None);
        let mut moved_away = Vec::new();
        for index in indexes {
            let Ok(at) = usize::try_from(index) else { continue };
            let (Some(partition), Some(slot)) = (topic.partitions.get(at), slots.get_mut(at)) else {
                continue;
            };
            let key = PartitionKey { topic: topic.id, index };
            let wanted = partition.replicas.contains(&self.shared.me);
            match slot {
                None if wanted => *slot = Some(Slot::new(key, None)),
                None => continue,
                Some(held) if wanted => {
                    if let Some(Ok(open)) = held.opened.get() {
                        open.assign(self.assignment(topic, key, partition));
                    }
                }
                Some(_) => moved_away.extend(slot.take().map(|slot| (slot, partition))),
            }
            changed.insert(key);
        }
        // Nobody else writes here: one image is followed at a time.
        self.topics.write().insert(topic.id, Arc::new(TopicPartitions { slots }));
        for (slot, partition) in moved_away {
            let leader = partition.leader.unwrap_or(BrokerId::NONE);
            let why = AppendError::NotLeader { leader, epoch: partition.leader_epoch };
            self.doom(&[slot], Reason::MovedAway, &why);
        }
    }

    fn remove_topic(&self, id: TopicId, image: &Image, changed: &mut Keys) {
        let Some(removed) = self.topics.write().remove(&id) else { return };
        let slots: Vec<Arc<Slot>> = removed.slots.iter().flatten().cloned().collect();
        changed.extend(slots.iter().map(|slot| slot.key));
        let owed = image.removed_topic(id).is_some_and(|topic| topic.brokers.contains(&self.shared.me));
        if owed {
            self.doom(&slots, Reason::TopicDeleted(id), &AppendError::PartitionGone);
            return;
        }
        // That a topic is missing is no proof that it was removed: its files stay (reliability rule A5).
        for slot in &slots {
            tracing::warn!(partition = %slot.key, "the metadata no longer knows a partition; its files are left alone");
            self.close(slot, &AppendError::PartitionGone);
        }
    }

    fn configs_changed(&self, resource: &Resource, image: &Image) {
        match resource {
            Resource::Topic(id) => {
                if let Some(topic) = image.topic_by_id(*id) {
                    self.reconfigure(topic);
                }
            }
            // A broker default may show through any topic.
            Resource::Broker(_) | Resource::BrokerDefault => {
                image.topics().for_each(|topic| self.reconfigure(topic));
            }
            _ => {}
        }
    }

    fn reconfigure(&self, topic: &Topic) {
        let config = Arc::new(log_config(&topic.config));
        let known = self.topics.read().get(&topic.id).cloned();
        for slot in known.iter().flat_map(|known| known.slots.iter().flatten()) {
            let Some(Ok(open)) = slot.opened.get() else { continue };
            open.log().set_config(Arc::clone(&config));
            self.assign_from(topic, open);
        }
    }

    /// Tells a partition what the newest image says of it: for one that was just opened.
    pub(super) fn assign_newest(&self, partition: &Arc<Partition>) {
        let image = self.image.load_full();
        if let Some(topic) = image.topic_by_id(partition.key().topic) {
            partition.log().set_config(Arc::new(log_config(&topic.config)));
            self.assign_from(topic, partition);
        }
    }

    fn assign_from(&self, topic: &Topic, partition: &Arc<Partition>) {
        let key = partition.key();
        let known = usize::try_from(key.index).ok().and_then(|index| topic.partitions.get(index));
        if let Some(known) = known {
            partition.assign(self.assignment(topic, key, known));
        }
    }

    fn assignment(
        &self,
        topic: &Topic,
        key: PartitionKey,
        partition: &eddy_metadata::Partition,
    ) -> Assignment {
        let of_former_life = self.former.get(&key).is_some_and(|former| partition.leader_epoch <= *former);
        let leads = partition.leader == Some(self.shared.me);
        let lag_max = self.image.load().broker_config().replica_lag_time_max_ms;
        // Who was down at the election goes by the topic's setting alone.
        let may_lose = topic.config.unclean_leader_election_enable
            || self.unclean.lock().get(&key).is_some_and(|unclean| partition.leader_epoch >= *unclean);
        Assignment {
            may_lose,
            leader: partition.leader.filter(|_| !(leads && of_former_life)),
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            replicas: partition.replicas.to_vec(),
            isr: partition.isr.to_vec(),
            min_insync: usize::try_from(topic.config.min_insync_replicas).unwrap_or(1),
            replica_lag_max: Millis(i64::try_from(lag_max).unwrap_or(i64::MAX)),
        }
    }
}

impl Slot {
    fn new(key: PartitionKey, seed: Option<Seed>) -> Arc<Slot> {
        Arc::new(Slot { key, opened: OnceLock::new(), opening: Mutex::new(seed) })
    }
}
