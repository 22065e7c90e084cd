//! Brokers come, and tell what they have cleaned up.

use eddy_types::{BrokerId, TopicId};

use crate::{Endpoint, Image, Record};

/// What a broker says of itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `node.id`.
    pub broker: BrokerId,
    /// Random number of this run of the process.
    pub incarnation: u64,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// Registers a broker. A restart replaces the former registration at once; the same registration again changes nothing.
///
/// The partitions it led keep their leader epoch: records above the durable end were never shown to anyone, so there is
/// nothing for clients to notice, and an epoch that stands still cannot go backwards.
#[must_use]
pub fn register_broker(image: &Image, registration: &Registration) -> Vec<Record> {
    let Registration { broker, incarnation, endpoints, rack } = registration;
    let unchanged = image.broker(*broker).is_some_and(|known| {
        !known.fenced
            && known.incarnation == *incarnation
            && known.endpoints == *endpoints
            && known.rack == *rack
    });
    if unchanged {
        return Vec::new();
    }
    vec![Record::BrokerRegistered {
        broker: *broker,
        incarnation: *incarnation,
        endpoints: endpoints.clone(),
        rack: rack.clone(),
    }]
}

/// Notes that a broker has removed the directories of removed topics. Topics for which it owes nothing are passed over.
#[must_use]
pub fn reclaim_directories(image: &Image, broker: BrokerId, topic_ids: &[TopicId]) -> Vec<Record> {
    let owed = |id: &TopicId| image.removed_topic(*id).is_some_and(|topic| topic.brokers.contains(&broker));
    let topic_ids: Vec<TopicId> = topic_ids.iter().copied().filter(owed).collect();
    if topic_ids.is_empty() { Vec::new() } else { vec![Record::DirectoriesReclaimed { broker, topic_ids }] }
}
