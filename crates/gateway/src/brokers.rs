//! Brokers and leaders as clients are told of them.
//!
//! Every answer that names a broker takes its address from here, so that one broker never has two in the eyes of a client.

use std::collections::BTreeSet;
use std::sync::Arc;

use eddy_metadata::{Broker, Image, Partition};
use eddy_types::{BrokerId, ErrorCode, LeaderEpoch, TopicId};

use crate::call::Call;

/// The listener that clients come in on; a broker without it cannot be told to anyone.
const LISTENER: &str = "kafka";

/// Where a broker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) broker: BrokerId,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
}

/// Where this client reaches a broker; `None` for one that is not registered, or that has no listener for clients.
pub(crate) fn address(call: &Call, image: &Image, broker: BrokerId) -> Option<Address> {
    let registered = image.broker(broker);
    let rack = registered.and_then(|broker| broker.rack.clone());
    if broker == call.ctx.engine.me() {
        let (host, port) = own(call, image);
        return Some(Address { broker, host, port, rack });
    }
    let (host, port) = listener(registered?)?;
    Some(Address { broker, host: host.to_owned(), port, rack })
}

/// This broker's address. A lone one tells what the client got through to. In a cluster the others tell what is registered, and so
/// does it: a client that hears two addresses of one broker goes from one connection to the other and back.
fn own(call: &Call, image: &Image) -> (String, u16) {
    let is_alone = image.brokers().nth(1).is_none();
    let registered = image.broker(call.ctx.engine.me()).and_then(listener);
    match registered {
        Some((host, port)) if !is_alone && !is_wildcard(host) => (host.to_owned(), port),
        _ => call.advertised(),
    }
}

fn listener(broker: &Broker) -> Option<(&str, u16)> {
    let endpoint = broker.endpoints.iter().find(|endpoint| endpoint.listener == LISTENER)?;
    Some((&endpoint.host, endpoint.port))
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "[::]" | "")
}

/// The brokers that clients are told of, by id: those that are alive, and those that were until a moment ago.
pub(crate) fn listed(call: &Call, image: &Image) -> Vec<Address> {
    let listed =
        image.brokers().filter(|broker| !broker.fenced || call.ctx.cluster.is_still_listed(broker.id));
    listed.filter_map(|broker| address(call, image, broker.id)).collect()
}

/// A broker that takes admin requests. All do, but the one that leads the metadata group commits without asking another.
pub(crate) fn controller(call: &Call, image: &Image) -> BrokerId {
    let leader = call.ctx.engine.quorum().leader().filter(|id| is_alive(image, *id));
    let me = Some(call.ctx.engine.me()).filter(|id| is_alive(image, *id));
    let any = || image.alive_brokers().next().map(|broker| broker.id);
    leader.or(me).or_else(any).unwrap_or(BrokerId::NONE)
}

/// Who leads a partition, as Metadata tells it.
pub(crate) struct Led {
    pub(crate) code: ErrorCode,
    pub(crate) leader: BrokerId,
    pub(crate) epoch: LeaderEpoch,
}

/// a leader that cannot be told is none.
pub(crate) fn led(call: &Call, image: &Image, partition: &Partition) -> Led {
    let can_be_told = |id: &BrokerId| {
        *id == call.ctx.engine.me() || image.broker(*id).is_some_and(|broker| listener(broker).is_some())
    };
    let leader = partition.leader.filter(can_be_told);
    Led {
        code: if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
        leader: leader.unwrap_or(BrokerId::NONE),
        epoch: partition.leader_epoch,
    }
}

/// Replicas on brokers that are not alive.
pub(crate) fn offline_replicas(image: &Image, partition: &Partition) -> Vec<i32> {
    partition.replicas.iter().filter(|id| !is_alive(image, **id)).map(|id| id.0).collect()
}

fn is_alive(image: &Image, broker: BrokerId) -> bool {
    image.broker(broker).is_some_and(|broker| !broker.fenced)
}

/// Who leads the partitions that a client asked the wrong broker for: it goes there at once, without asking for metadata (KIP-951,
///
pub(crate) struct LeaderHints<'a> {
    call: &'a Call,
    /// Taken when the first one is asked for: nearly all requests come to the right broker.
    image: Option<Arc<Image>>,
    named: BTreeSet<BrokerId>,
}

impl<'a> LeaderHints<'a> {
    pub(crate) fn new(call: &'a Call) -> LeaderHints<'a> {
        LeaderHints { call, image: None, named: BTreeSet::new() }
    }

    /// Leader and epoch of a partition that `code` was answered for; `None` when there is nothing to tell.
    pub(crate) fn leader(
        &mut self,
        topic: TopicRef<'_>,
        index: i32,
        code: ErrorCode,
    ) -> Option<(BrokerId, LeaderEpoch)> {
        let image = self.image.get_or_insert_with(|| self.call.image());
        let topic = match topic {
            TopicRef::Id(id) => image.topic_by_id(id),
            TopicRef::Name(name) => image.topic(name),
        };
        let partition = topic?.partitions.get(usize::try_from(index).ok()?)?;
        let leader = partition.leader?;
        // This broker has just said that it does not lead: it has lost its lease, or leads soon.
        if leader == self.call.ctx.engine.me() && code == ErrorCode::NotLeaderOrFollower {
            return None;
        }
        self.named.insert(leader);
        Some((leader, partition.leader_epoch))
    }

    /// Where the leaders that were told are reached.
    pub(crate) fn addresses(self) -> Vec<Address> {
        let LeaderHints { call, image, named } = self;
        let Some(image) = image else { return Vec::new() };
        let alive = named.into_iter().filter(|id| is_alive(&image, *id));
        alive.filter_map(|id| address(call, &image, id)).collect()
    }
}

/// A topic as a request names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TopicRef<'a> {
    Id(TopicId),
    Name(&'a str),
}

/// Ids as answers have them.
pub(crate) fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}
