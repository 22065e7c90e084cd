//! Brokers come and go, and tell what they have cleaned up.

use eddy_types::{BrokerId, ErrorCode, TopicId};

use super::change::{Change, Election, Fitness, Standing};
use super::min_isr;
use crate::record::is_unknown;
use crate::{Broker, Endpoint, Image, Record};

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

/// Registers a broker and unfences it at once: who registers has caught up with the metadata. A restart replaces the former
/// registration; the same registration again changes nothing.
///
/// What waited for this broker gets it as the leader. Of what it led before the restart, the partitions that others follow
/// get a new epoch, and another leader where there is one: followers may have records that the crash took from the leader,
/// and only a new epoch tells those from what it appends next. A partition that nobody follows keeps its leader and its
/// epoch: records above the durable end were never shown to anyone, so there is nothing to notice.
///
/// `min.insync.replicas` is one for all brokers of a cluster, as in Kafka with eligible leader replicas (KIP-966): elections count on it. The
/// first broker that has it in its file commits it for all, if nobody has set it before.
///
/// With another data directory, or none known, it holds nothing: it leaves every ISR and every ELR (KIP-903). With the same
/// one it stays eligible also after a crash, other than in Kafka, because what it told its leaders was synced.
pub fn register_broker(image: &Image, registration: &Registration) -> Result<Vec<Record>, RegisterError> {
    let Registration { broker, incarnation, endpoints, rack, directory } = registration;
    let known = image.broker(*broker);
    let same_run =
        known.is_some_and(|known| known.incarnation == *incarnation && known.directory == *directory);
    let unchanged = known.is_some_and(|known| {
        same_run && known.is_active() && known.endpoints == *endpoints && known.rack == *rack
    });
    if unchanged {
        return Ok(Vec::new());
    }
    let other_disk = known.is_none_or(|known| {
        !is_unknown(&known.directory) && !is_unknown(directory) && known.directory != *directory
    });
    if other_disk && known.is_some_and(|known| !known.fenced) {
        return Err(RegisterError::DuplicateBroker(*broker));
    }
    let mut records = vec![Record::BrokerRegistered {
        broker: *broker,
        incarnation: *incarnation,
        endpoints: endpoints.clone(),
        rack: rack.clone(),
        directory: *directory,
    }];
    let draining = known.is_some_and(|known| known.draining);
    let fitness = if draining || !same_run { Fitness::Reluctant } else { Fitness::Fit };
    let standing = Standing::with(image, *broker, fitness);
    for placed in image.partitions() {
        let partition = placed.partition;
        let leads = partition.leader == Some(*broker);
        let mut change = Change::of(placed);
        if other_disk && (partition.isr.contains(broker) || partition.elr.contains(broker)) {
            change.lose(*broker);
        } else if leads && !same_run && partition.replicas.len() > 1 {
            change.begin_epoch();
        } else if leads || partition.leader.is_some() {
            continue;
        }
        let election = if leads { Election::Fittest } else { Election::Keep };
        records.extend(change.finish(&standing, election));
    }
    records.extend(min_isr::first(image));
    Ok(records)
}

/// Fences a broker that is dead or has stopped: it leaves every ISR that has another member, and others lead what it led.
/// No records for a broker that is fenced or not registered.
#[must_use]
pub fn fence_broker(image: &Image, broker: BrokerId) -> Vec<Record> {
    if image.broker(broker).is_none_or(|known| known.fenced) {
        return Vec::new();
    }
    let standing = Standing::with(image, broker, Fitness::Not);
    let concerned = image.partitions().filter(|placed| placed.partition.isr.contains(&broker));
    let changed = concerned.filter_map(|placed| {
        let mut change = Change::of(placed);
        change.leave_isr(broker);
        change.finish(&standing, Election::Keep)
    });
    std::iter::once(Record::BrokerFenced { broker }).chain(changed).collect()
}

/// Begins a controlled shutdown: what another replica can lead moves to it, while the broker still serves and
/// replicates. [`fence_broker`] ends it. No records for a broker that is fenced, not registered, or shutting down already.
#[must_use]
pub fn begin_shutdown(image: &Image, broker: BrokerId) -> Vec<Record> {
    if !image.broker(broker).is_some_and(Broker::is_active) {
        return Vec::new();
    }
    let standing = Standing::with(image, broker, Fitness::LastResort);
    let moved = image.leads(broker).filter_map(|led| Change::of(led).finish(&standing, Election::Fittest));
    std::iter::once(Record::BrokerShuttingDown { broker }).chain(moved).collect()
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
