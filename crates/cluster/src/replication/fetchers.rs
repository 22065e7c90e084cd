//! Who follows what: roles of partitions become assignments of fetchers, one for each leader broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use eddy_engine::{Engine, Partition, PartitionError, PartitionKey, Role};
use eddy_metadata::Image;
use eddy_peer::Peers;
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::OPENING_MAX;
use super::fetcher::Fetcher;
use super::throttle::Throttle;
use crate::stats::FetcherStats;

/// The fetchers of this broker.
pub(crate) struct Fetchers {
    engine: Arc<Engine>,
    peers: Peers,
    throttle: Arc<Throttle>,
    silence: Duration,
    fetchers: Mutex<AHashMap<BrokerId, Arc<Fetcher>>>,
}

/// What only the task that follows the roles knows.
#[derive(Default)]
struct Roles {
    /// Where each partition is followed.
    followed: AHashMap<PartitionKey, BrokerId>,
    /// Logs to be opened.
    closed: VecDeque<PartitionKey>,
    /// The same, and those that are being opened.
    awaited: AHashSet<PartitionKey>,
    opening: JoinSet<(PartitionKey, Result<Arc<Partition>, PartitionError>)>,
    running: JoinSet<()>,
}

impl Fetchers {
    pub(crate) fn new(
        engine: Arc<Engine>,
        peers: Peers,
        throttle: Arc<Throttle>,
        silence: Duration,
    ) -> Arc<Fetchers> {
        Arc::new(Fetchers { engine, peers, throttle, silence, fetchers: Mutex::default() })
    }

    /// What is followed, by leader.
    pub(crate) fn stats(&self) -> Vec<FetcherStats> {
        let fetchers: Vec<Arc<Fetcher>> = self.fetchers.lock().values().cloned().collect();
        let mut stats: Vec<FetcherStats> = fetchers.iter().map(|fetcher| fetcher.stats()).collect();
        stats.sort_by_key(|stats| stats.leader);
        stats
    }

    /// Follows what the roles say, for as long as it is polled.
    pub(crate) async fn run(self: Arc<Fetchers>) {
        let mut changes = self.engine.role_changes();
        let mut roles = Roles::default();
        let mut images = self.engine.image_version();
        let mut registered = self.broker_epoch();
        loop {
            tokio::select! {
                keys = changes.next() => {
                    let image = self.engine.image();
                    for key in keys {
                        self.changed(&mut roles, &image, key);
                    }
                }
                changed = images.changed() => {
                    let epoch = self.broker_epoch();
                    if std::mem::replace(&mut registered, epoch) != epoch {
                        self.registered_again();
                    }
                    if changed.is_err() {
                        // The engine has stopped.
                        return;
                    }
                }
                Some(opened) = roles.opening.join_next(), if !roles.opening.is_empty() => {
                    // A panic there was reported by its hook; the partition stays where it is.
                    if let Ok((key, opened)) = opened {
                        self.opened(&mut roles, key, opened);
                    }
                }
            }
            self.open_more(&mut roles);
        }
    }

    /// Epoch of this broker's registration.
    fn broker_epoch(&self) -> i64 {
        self.engine.image().broker(self.engine.me()).map_or(-1, |broker| broker.epoch)
    }

    /// Leaders must hear of the new registration: followers of the former one are not taken into the ISR (KIP-903).
    fn registered_again(&self) {
        for fetcher in self.fetchers.lock().values() {
            fetcher.follow_all_again();
        }
    }

    fn changed(&self, roles: &mut Roles, image: &Image, key: PartitionKey) {
        match self.engine.partitions().get_open(key) {
            Some(partition) => self.settle(roles, key, &partition),
            None if follows(image, self.engine.me(), key) => {
                if roles.awaited.insert(key) {
                    roles.closed.push_back(key);
                }
            }
            // Led here, or not here at all: a log that nobody asks for stays closed.
            None => self.unassign(roles, key),
        }
    }

    fn open_more(&self, roles: &mut Roles) {
        while roles.opening.len() < OPENING_MAX {
            let Some(key) = roles.closed.pop_front() else { return };
            let engine = Arc::clone(&self.engine);
            roles.opening.spawn(async move {
                let image = engine.image();
                (key, engine.replica(&image, key).await)
            });
        }
    }

    fn opened(&self, roles: &mut Roles, key: PartitionKey, opened: Result<Arc<Partition>, PartitionError>) {
        roles.awaited.remove(&key);
        match opened {
            Ok(partition) => self.settle(roles, key, &partition),
            Err(error) => {
                tracing::debug!(partition = %key, %error, "not followed");
                self.unassign(roles, key);
            }
        }
    }

    /// The partition is open: its role says where it is followed. Later changes come as changes of roles.
    fn settle(&self, roles: &mut Roles, key: PartitionKey, partition: &Arc<Partition>) {
        let leader = match partition.role() {
            Role::Follower { leader: Some(leader) } if leader != self.engine.me() => leader,
            _ => return self.unassign(roles, key),
        };
        if roles.followed.get(&key).is_some_and(|former| *former != leader) {
            self.unassign(roles, key);
        }
        roles.followed.insert(key, leader);
        self.fetcher(roles, leader).assign(Arc::clone(partition));
    }

    fn unassign(&self, roles: &mut Roles, key: PartitionKey) {
        if let Some(leader) = roles.followed.remove(&key)
            && let Some(fetcher) = self.fetchers.lock().get(&leader)
        {
            fetcher.unassign(key);
        }
    }

    fn fetcher(&self, roles: &mut Roles, leader: BrokerId) -> Arc<Fetcher> {
        let mut fetchers = self.fetchers.lock();
        let fetcher = fetchers.entry(leader).or_insert_with(|| {
            let (engine, throttle) = (Arc::clone(&self.engine), Arc::clone(&self.throttle));
            let fetcher = Fetcher::new(engine, self.peers.clone(), leader, throttle, self.silence);
            let fetcher = Arc::new(fetcher);
            roles.running.spawn(Arc::clone(&fetcher).run());
            fetcher
        });
        Arc::clone(fetcher)
    }
}

/// Whether a broker holds a partition that another one leads.
fn follows(image: &Image, me: BrokerId, key: PartitionKey) -> bool {
    let partition =
        image.topic_by_id(key.topic).and_then(|topic| topic.partitions.get(usize::try_from(key.index).ok()?));
    partition.is_some_and(|partition| {
        partition.replicas.contains(&me) && partition.leader.is_some_and(|leader| leader != me)
    })
}
