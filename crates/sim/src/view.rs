//! What the metadata group has committed, as the product's image has it, and in it the one topic of a run.

use std::sync::Arc;

use eddy_metadata::config::StaticConfig;
use eddy_metadata::{ApplyError, Image, Local, Partition, PartitionAssignment, Record, Topic};
use eddy_types::{BrokerId, TopicId};

use crate::mutant::Mutant;
use crate::scenario::Scenario;
use crate::world::id_of;

/// The topic, and its name.
pub(crate) const TOPIC: TopicId = TopicId([7; 16]);
pub(crate) const TOPIC_NAME: &str = "t";

/// An image.
#[derive(Debug)]
pub(crate) struct View {
    image: Image,
    topic: Arc<Topic>,
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
        let unclean = mutant == Some(Mutant::UncleanElection);
        let configs = [
            ("min.insync.replicas", scenario.min_insync.to_string()),
            ("unclean.leader.election.enable", unclean.to_string()),
        ];
        let created = Record::TopicCreated {
            topic_id: TOPIC,
            name: TOPIC_NAME.to_owned(),
            partitions: (0..scenario.partitions).map(place).collect(),
            configs: configs.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        let local = Local { broker: id_of(0), config: StaticConfig::default() };
        let mut image = Image::empty(Arc::new(local));
        for record in registered.chain([created]) {
            let applied = image.apply(&record);
            assert_eq!(applied, Ok(()), "{record:?}");
        }
        View::of(image)
    }

    fn of(image: Image) -> View {
        let topic = image.topic_by_id(TOPIC).cloned();
        let Some(topic) = topic else { unreachable!("nobody removes the topic") };
        View { image, topic }
    }

    /// As it is after some records.
    pub(crate) fn after(&self, records: &[Record]) -> Result<View, ApplyError> {
        let mut image = self.image.clone();
        records.iter().try_for_each(|record| image.apply(record))?;
        Ok(View::of(image))
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    pub(crate) fn partitions(&self) -> &[Partition] {
        &self.topic.partitions
    }

    pub(crate) fn partition(&self, index: usize) -> &Partition {
        &self.topic.partitions[index]
    }

    pub(crate) fn min_insync(&self) -> usize {
        usize::try_from(self.topic.config.min_insync_replicas).unwrap_or(1)
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

    pub(crate) fn is_fenced(&self, broker: BrokerId) -> bool {
        self.image.broker(broker).is_none_or(|known| known.fenced)
    }
}

/// The id of a data directory by its number.
pub(crate) fn directory(number: u64) -> [u8; 16] {
    let mut id = [1; 16];
    id.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    id
}
