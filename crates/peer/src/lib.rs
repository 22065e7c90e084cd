//! Connections between brokers: handshake, calls and streams over one internal listener.
//!
//! A connection begins with a hello and its answer (`hello.rs`): both sides learn who the other is, and a broker of
//! another cluster or the wrong broker is refused before anything else is read. Then it carries frames (`u32` length
//! and bytes) of one of two kinds:
//!
//! - *Calls*: one connection to each broker carries all concurrent calls to it, is made again when it breaks, and is
//!   kept alive, so that its state tells how the other broker is ([`LinkState`]).
//! - *Streams*: a connection of its own that the two ends use as they like ([`PeerStream`]).
//!
//! Nothing here trusts a number from the wire: frames are bounded and read in chunks, unfinished handshakes,
//! connections, calls in flight and running handlers have limits ([`limits`]).

mod address;
mod config;
mod connect;
mod error;
mod frames;
mod hello;
pub mod limits;
mod link;
mod message;
mod peers;
mod serve;
mod shared;
mod stats;
mod stream;
#[cfg(test)]
mod tests;

pub use address::{ParseAddressError, PeerAddress};
pub use config::{Handler, PeerConfig, Service, StreamHandler};
pub use error::{CallError, ConnectError, RefuseReason};
pub use link::LinkState;
pub use peers::{Answer, Peers};
pub use stats::PeerStats;
pub use stream::{PeerStream, StreamReader, StreamWriter};
