//! Brokers that have just gone: what clients are told until the cluster has taken note, and shortly after.
//!
//! A client that loses its connection to a killed broker asks another one who leads now, within a millisecond or two. That is before
//! the broker is fenced, which takes a commit; the old answer sends the client into a back-off of its own that is many times
//! longer. So an answer about leaders waits while a broker is provably gone and the metadata does not say so yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::Image;
use eddy_peer::{LinkState, Peers};
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long answers wait from when a broker's process was first found gone. Long enough for an election of the metadata group when
/// that broker led it; without a majority waiting does not help, and answers after it come at once.
const GONE_WAIT_MAX: Duration = Duration::from_secs(1);
/// The same while it is only out of reach: it may come back, and a process that is gone shows within a few milliseconds.
const BROKEN_WAIT_MAX: Duration = Duration::from_millis(30);
/// How often links are looked at while an answer waits.
const LOOK: Duration = Duration::from_millis(5);
/// How long a fenced broker is still listed among the brokers. Clients of librdkafka that find a broker missing stop their
/// thread for it while its partitions move to another, and then leave them alone for a second.
const LISTED: Duration = Duration::from_secs(3);

/// Watches the links to all other brokers, and remembers who was fenced lately.
pub(crate) struct Departures {
    engine: Arc<Engine>,
    peers: Peers,
    fenced: Mutex<BTreeMap<BrokerId, Instant>>,
    /// Brokers out of reach that the metadata takes for alive, since somebody first asked.
    unreachable: Mutex<BTreeMap<BrokerId, Instant>>,
}

impl Departures {
    pub(crate) fn new(engine: Arc<Engine>, peers: Peers) -> Arc<Departures> {
        Arc::new(Departures { engine, peers, fenced: Mutex::default(), unreachable: Mutex::default() })
    }

    /// Follows the metadata for as long as it is polled.
    pub(crate) async fn run(self: Arc<Departures>) {
        let mut version = self.engine.image_version();
        let (mut known, mut alive) = (BTreeSet::new(), BTreeSet::new());
        loop {
            version.borrow_and_update();
            let image = self.engine.image();
            let registered: BTreeSet<BrokerId> = image.brokers().map(|broker| broker.id).collect();
            registered.difference(&known).for_each(|broker| self.peers.watch_link(*broker));
            known.difference(&registered).for_each(|broker| self.peers.unwatch_link(*broker));
            let serving: BTreeSet<BrokerId> = image.alive_brokers().map(|broker| broker.id).collect();
            self.note(alive.difference(&serving), &serving);
            // Whoever leaves, or registers, leaves anew the next time.
            self.unreachable.lock().clear();
            (known, alive) = (registered, serving);
            if version.changed().await.is_err() {
                return;
            }
        }
    }

    fn note<'a>(&self, fenced: impl Iterator<Item = &'a BrokerId>, alive: &BTreeSet<BrokerId>) {
        let now = Instant::now();
        let mut lately = self.fenced.lock();
        lately.retain(|broker, since| !alive.contains(broker) && now - *since < LISTED);
        lately.extend(fenced.map(|broker| (*broker, now)));
    }

    /// Whether a broker was fenced so lately that it is still listed.
    pub(crate) fn is_listed(&self, broker: BrokerId) -> bool {
        self.fenced.lock().get(&broker).is_some_and(|since| since.elapsed() < LISTED)
    }

    /// Returns when the metadata has taken note of every broker that is provably gone, or when waiting has lost its sense. At
    /// once as a rule.
    pub(crate) async fn until_noted(&self) {
        while self.is_note_due(&self.engine.image()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether a broker has just gone and the metadata does not say so.
    fn is_note_due(&self, image: &Image) -> bool {
        let mut others = image.alive_brokers().filter(|broker| broker.id != self.engine.me());
        others.any(|broker| {
            let wait_max = match *self.peers.link(broker.id).borrow() {
                LinkState::Refused => GONE_WAIT_MAX,
                LinkState::Broken => BROKEN_WAIT_MAX,
                LinkState::Unknown | LinkState::Connected { .. } => return false,
            };
            self.unreachable.lock().entry(broker.id).or_insert_with(Instant::now).elapsed() < wait_max
        })
    }
}
