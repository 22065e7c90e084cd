//! What a broker says about itself, and what it serves.

use std::pin::Pin;

use bytes::Bytes;
use eddy_types::{BrokerId, ClusterId};

use crate::{PeerAddress, PeerStream};

/// Who this broker is, as its hellos say it.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Id of this broker.
    pub me: BrokerId,
    /// Differs each time the process starts.
    pub incarnation: u64,
    /// Where others reach this broker's listener.
    pub advertised: PeerAddress,
    /// The cluster it belongs to; none while it is not known yet.
    pub cluster: Option<ClusterId>,
}

/// What a call is for. The numbers are those of the wire and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Messages of the metadata group.
    Raft = 1,
    /// Proposals and questions about metadata.
    Metadata = 2,
    /// Heartbeats.
    Liveness = 3,
    /// Founding and joining a cluster.
    Membership = 4,
    /// Replication of partitions, as far as it is calls.
    Replication = 5,
    /// Searches in the indexes of partitions.
    Search = 6,
}

impl Service {
    /// The service of a wire number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Service> {
        use Service::*;
        [Raft, Metadata, Liveness, Membership, Replication, Search]
            .into_iter()
            .find(|&service| service as u8 == number)
    }
}

/// Answers the calls of one service.
pub trait Handler: Send + Sync {
    /// Answers one call of `from`. Calls run concurrently, in tasks of their own, on the runtime of the `Peers`,
    /// which makes no promise about their order. A call that began runs to its end even when its caller has given up;
    /// only `Peers::shutdown` drops it. An `Err` arrives as [`CallError::Failed`](crate::CallError::Failed).
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>>;
}

/// Takes the streams that other brokers open.
pub trait StreamHandler: Send + Sync {
    /// Takes a stream that `from` has opened. Runs in a task of the `Peers`' runtime, so that it may spawn; must not
    /// block.
    fn accepted(&self, from: BrokerId, incarnation: u64, stream: PeerStream);
}
