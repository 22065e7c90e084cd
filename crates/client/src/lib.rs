//! Outgoing Kafka connections: what our tools and tests talk to a broker with.
//!
//! The codec is the `kafka-protocol` crate, deliberately not the broker's own: every exchange puts two independent
//! implementations against each other. That codec trusts the lengths it reads, so connect it to brokers, never to strangers.
//!
//! - [`Connection`] is one socket: version negotiation, pipelining in order, a deadline for every request.
//! - [`Topic`] and the methods of `Connection` around it look up, create and delete topics.
//! - [`encode_batch`], [`SequencedWriter`] and [`Connection::start_produce`] write; a writer keeps what is not yet acknowledged so that
//!   it can be sent again, under the same sequence numbers, over another connection (KIP-98).
//! - [`Connection::fetch`], [`walk`] and [`PartitionReader`] read.
//!
//! Nothing here finds leaders, retries or pools connections: a caller that wants that decides how.

#![deny(clippy::indexing_slicing)]

mod batch;
mod connection;
mod error;
mod fetch;
mod incoming;
mod link;
mod pending;
mod produce;
mod topics;
mod versions;
mod writer;

pub use batch::{batches_end, encode_batch, walk};
pub use connection::{Connection, ConnectionOptions};
pub use error::{CallError, ConnectError, Ended, RequestError, accepted};
pub use fetch::{FetchLimits, Fetched, PartitionReader};
pub use kafka_protocol::{messages, protocol};
pub use pending::Pending;
pub use produce::{Acknowledged, Acks, PendingProduce};
pub use topics::{ListedOffset, PartitionName, Topic};
pub use versions::Versions;
pub use writer::{NumberedBatch, ProducerIdentity, SEQUENCED_IN_FLIGHT_MAX, SequencedWriter, WindowFull};
