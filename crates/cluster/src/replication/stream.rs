//! The follower's end of a stream.
//!
//! Two halves in one task: one ([`receiving`](super::receiving)) reads what the leader sends and appends it, and waits when the
//! write-ahead log has no room, which in the end makes the leader wait; the other ([`reporting`](super::reporting)) says what is to be
//! followed, and how far this broker is as soon as its write-ahead log has synced.

use std::sync::Arc;

use eddy_engine::{Engine, Partition, ReplicaWatch};
use eddy_peer::PeerStream;
use eddy_types::LeaderEpoch;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ending::Ending;
use super::fetcher::Fetcher;
use super::limits::Limits;
use super::reporter::Reporter;

/// A stream to the leader while it lasts.
pub(super) struct Stream<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) reporter: Arc<Reporter>,
    /// Partitions whose end on this disk has moved.
    pub(super) watch: Arc<ReplicaWatch>,
    /// A request has to be made again.
    pub(super) again: Notify,
    pub(super) limits: Mutex<Limits>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(fetcher: &'a Arc<Fetcher>) -> Stream<'a> {
        let reporter = Reporter::new(Arc::clone(fetcher));
        let watch = ReplicaWatch::with_report(reporter.report());
        Stream { fetcher, reporter, watch, again: Notify::new(), limits: Mutex::default() }
    }

    /// Follows until the stream ends.
    pub(super) async fn run(self, stream: PeerStream) -> Ending {
        let (mut reader, writer) = stream.split();
        let ending = tokio::select! {
            ending = self.receive(&mut reader) => ending,
            ending = self.report(writer) => ending,
        };
        // A report under way ends first: what it says counts as said, and must not be taken from the next stream.
        drop(self.reporter.take_back());
        ending
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.fetcher.engine
    }

    /// The partition that a message is about and the epoch of its leader.
    pub(super) fn current(&self, slot: u32, generation: u32) -> Option<(Arc<Partition>, LeaderEpoch)> {
        let mut following = self.fetcher.following.lock();
        let followed = following.current(slot, generation)?;
        Some((Arc::clone(&followed.partition), followed.leader_epoch))
    }
}
