//! What the metadata group has committed, as the product's image has it, and in it the topic of a run.
//!
//! The topic may be deleted and created again: at most one of its incarnations is there, each with an id of its own. The partitions
//! of all of them are numbered, so that nothing of one can be taken for another's.

use std::ops::Range;
use std::sync::Arc;

use eddy_metadata::config::StaticConfig;
use eddy_metadata::{ApplyError, Image, Local, Partition, PartitionAssignment, Record, Topic};
use eddy_types::{BrokerId, TopicId};

use crate::mutant::Mutant;
use crate::scenario::Scenario;
use crate::world::id_of;

/// The topic's name.
pub(crate) const TOPIC_NAME: &str = "t";

/// An image.
#[derive(Debug)]
pub(crate) struct View {
    image: Image,
    topic: Option<Arc<Topic>>,
    /// Topics created so far.
    created: usize,
    /// Partitions of each of them.
    partitions: usize,
}

impl View {
    /// A cluster that all brokers belong to, in a run before the first one, and that has the topic.
    pub(crate) fn genesis(scenario: &Scenario, mutant: Option<Mutant>) -> View {
        let registered = (0..scenario.brokers).map(|index| Record::BrokerRegistered {
            broker: id_of(index),
            incarnation: 0,
            endpoints: Vec::new(),
            rack: None,
            directory: directory(index as u64 + 1),
        });
        let place = |partition: usize| {
            let replicas: Vec<BrokerId> = (0..scenario.replication_factor.min(scenario.brokers))
                .map(|replica| id_of((partition + replica) % scenario.brokers))
                .collect();
            PartitionAssignment { leader: replicas.first().copied(), isr: replicas.clone(), replicas }
        };
        let created = Record::TopicCreated {
            topic_id: topic_id(0),
            name: TOPIC_NAME.to_owned(),
            partitions: (0..scenario.partitions).map(place).collect(),
            configs: configs(scenario, mutant).into(),
        };
        let local = Local { broker: id_of(0), config: StaticConfig::default() };
        let mut image = Image::empty(Arc::new(local));
        for record in registered.chain([created]) {
            let applied = image.apply(&record);
            assert_eq!(applied, Ok(()), "{record:?}");
        }
        View::of(image, 0, scenario.partitions)
    }

    fn of(image: Image, created: usize, partitions: usize) -> View {
        let topic = image.topic(TOPIC_NAME).cloned();
        let created = topic.as_ref().map_or(created, |topic| incarnation_of(topic.id) + 1);
        View { image, topic, created, partitions }
    }

    /// As it is after some records.
    pub(crate) fn after(&self, records: &[Record]) -> Result<View, ApplyError> {
        let mut image = self.image.clone();
        records.iter().try_for_each(|record| image.apply(record))?;
        Ok(View::of(image, self.created, self.partitions))
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Topics created so far.
    pub(crate) fn created(&self) -> usize {
        self.created
    }

    /// The numbers of the partitions that there are.
    pub(crate) fn numbers(&self) -> Range<usize> {
        match self.topic {
            Some(_) => (self.created - 1) * self.partitions..self.created * self.partitions,
            None => 0..0,
        }
    }

    /// The number of a partition of the topic.
    pub(crate) fn number_of(&self, index: usize) -> Option<usize> {
        self.numbers().nth(index)
    }

    /// A partition by its number.
    pub(crate) fn partition(&self, number: usize) -> Option<&Partition> {
        let index = number.checked_sub(self.numbers().start)?;
        self.topic.as_ref()?.partitions.get(index)
    }

    /// The topic of a partition, also of one that is gone, and its index there.
    pub(crate) fn place_of(&self, number: usize) -> (TopicId, i32) {
        (topic_id(number / self.partitions), i32::try_from(number % self.partitions).unwrap_or(i32::MAX))
    }

    /// Whether it is known that the topic of a partition was deleted, and not all have removed what they have of it.
    pub(crate) fn is_removed(&self, number: usize) -> bool {
        self.image.removed_topic(self.place_of(number).0).is_some()
    }

    /// The topic there is.
    pub(crate) fn topic(&self) -> Option<TopicId> {
        self.topic.as_ref().map(|topic| topic.id)
    }

    pub(crate) fn min_insync(&self) -> usize {
        let configured = self.topic.as_ref().map(|topic| topic.config.min_insync_replicas);
        configured.and_then(|least| usize::try_from(least).ok()).unwrap_or(1)
    }

    /// The broker epoch of a run of a broker, if it is the registered one.
    pub(crate) fn broker_epoch(&self, broker: BrokerId, incarnation: u64) -> Option<i64> {
        let known = self.image.broker(broker)?;
        (known.incarnation == incarnation).then_some(known.epoch)
    }

    /// Whether that run of the broker is registered and not fenced.
    pub(crate) fn is_alive(&self, broker: BrokerId, incarnation: u64) -> bool {
        self.image.broker(broker).is_some_and(|known| known.incarnation == incarnation && !known.fenced)
    }

    /// Whether a broker was taken out of the cluster.
    pub(crate) fn is_gone(&self, broker: BrokerId) -> bool {
        self.image.broker(broker).is_none()
    }

    pub(crate) fn is_draining(&self, broker: BrokerId) -> bool {
        self.image.broker(broker).is_some_and(|known| known.draining)
    }

    /// Brokers that stay when this one is drained.
    pub(crate) fn others_than(&self, broker: BrokerId) -> Vec<BrokerId> {
        let stays = self.image.brokers().filter(|other| !other.draining && other.id != broker);
        stays.map(|other| other.id).collect()
    }

    /// Whether a broker is registered with that data directory.
    pub(crate) fn has_directory(&self, broker: BrokerId, number: u64) -> bool {
        self.image.broker(broker).is_some_and(|known| known.directory == directory(number))
    }

    pub(crate) fn is_fenced(&self, broker: BrokerId) -> bool {
        self.image.broker(broker).is_none_or(|known| known.fenced)
    }
}

/// Configuration of the topic.
pub(crate) fn configs(scenario: &Scenario, mutant: Option<Mutant>) -> [(String, String); 2] {
    let unclean = mutant == Some(Mutant::UncleanElection);
    [
        ("min.insync.replicas".to_owned(), scenario.min_insync.to_string()),
        ("unclean.leader.election.enable".to_owned(), unclean.to_string()),
    ]
}

/// The id of an incarnation of the topic.
pub(crate) fn topic_id(incarnation: usize) -> TopicId {
    TopicId([u8::try_from(incarnation).unwrap_or(u8::MAX); 16].map(|number| number.saturating_add(7)))
}

fn incarnation_of(topic: TopicId) -> usize {
    usize::from(topic.0[0]) - 7
}

/// The id of a data directory by its number.
pub(crate) fn directory(number: u64) -> [u8; 16] {
    let mut id = [1; 16];
    id.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    id
}
