//! What this broker does while it leads the metadata group: it fences brokers whose sessions end, and looks after the
//! partitions from time to time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::controller::{self, Liveness, Silence};
use eddy_metadata::{Image, Record};
use eddy_peer::{LinkState, Peers};
use eddy_types::{BrokerId, Millis};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::wire::Answer;

/// How often sessions are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often leaderless partitions and drains are looked at.
const UPKEEP: Duration = Duration::from_secs(1);

/// News of links that wait to be looked at.
const LINK_NEWS_MAX: usize = 256;

/// The controller's part of a broker.
pub(crate) struct Controller {
    engine: Arc<Engine>,
    peers: Peers,
    session_timeout: Duration,
    began: Instant,
    /// The sessions while this broker is the controller.
    duty: Mutex<Option<Liveness>>,
}

impl Controller {
    pub(crate) fn new(engine: Arc<Engine>, peers: Peers, session_timeout: Duration) -> Controller {
        Controller { engine, peers, session_timeout, began: Instant::now(), duty: Mutex::default() }
    }

    fn now(&self) -> Millis {
        self.began.elapsed().into()
    }

    /// A broker says that it lives.
    pub(super) async fn heartbeat(&self, from: BrokerId, incarnation: u64) -> Answer {
        let quorum = self.engine.quorum();
        if !quorum.is_leader() {
            return Answer::NotController(quorum.leader());
        }
        // One who leads only a minority must not keep up leases: the majority may have another controller by now. Who is
        // confirmed after the heartbeat came was the controller when it was sent.
        let confirmed = tokio::time::timeout(self.session_timeout / 4, quorum.confirm_leader()).await;
        if !confirmed.unwrap_or(false) {
            return Answer::NotController(None);
        }
        let image = self.engine.image();
        let broker_epoch = match image.broker(from) {
            Some(known) if known.incarnation == incarnation && !known.fenced => known.epoch,
            // Who sends heartbeats was registered before, and this image has everything that was committed until now.
            None => return Answer::Removed,
            Some(_) => return Answer::Unregistered,
        };
        match &mut *self.duty.lock() {
            Some(liveness) => match liveness.heartbeat(self.now(), from, broker_epoch) {
                true => Answer::Alive,
                // It will be fenced in a moment.
                false => Answer::Unregistered,
            },
            // It leads for less than a moment.
            None => Answer::NotController(None),
        }
    }

    /// Does the duties whenever this broker leads, for as long as it is polled.
    pub(crate) async fn run(self: Arc<Controller>) {
        let mut leadership = self.engine.quorum().leadership();
        let me = Some(self.engine.me());
        loop {
            if leadership.wait_for(|leader| *leader == me).await.is_err() {
                return;
            }
            tracing::info!(broker = %self.engine.me(), "this broker is the controller");
            self.begin();
            tokio::select! {
                () = self.on_duty() => {}
                _ = leadership.wait_for(|leader| *leader != me) => {}
            }
            self.duty.lock().take();
            tracing::info!(broker = %self.engine.me(), "this broker is the controller no longer");
        }
    }

    /// A session for everybody, counted from when the controller before can last have answered a heartbeat: who was heard then
    /// is not known here.
    fn begin(&self) {
        let since = self.began.elapsed().saturating_sub(self.engine.quorum().sole_leader_for());
        let image = self.engine.image();
        let timeout = self.session_timeout.into();
        *self.duty.lock() = Some(Liveness::new(timeout, since.into(), self.now(), &image));
    }

    async fn on_duty(&self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut upkeep_at = Instant::now() + UPKEEP;
        let mut rebalance_at = Instant::now() + self.rebalance_interval();
        let (news, mut links) = mpsc::channel(LINK_NEWS_MAX);
        let mut watched = WatchedLinks::new(self.peers.clone(), news);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                Some((broker, state)) = links.recv() => self.link_moved(broker, state),
            }
            let image = self.engine.image();
            watched.follow(&image, self.engine.me());
            for (broker, broker_epoch) in self.silent(&image) {
                self.fence(broker, broker_epoch).await;
            }
            let now = Instant::now();
            if now >= upkeep_at {
                self.apply("upkeep", controller::upkeep).await;
                upkeep_at = Instant::now() + UPKEEP;
            }
            if now >= rebalance_at {
                if image.broker_config().auto_leader_rebalance_enable {
                    self.apply("rebalance of leaders", controller::preferred_leaders).await;
                }
                rebalance_at = Instant::now() + self.rebalance_interval();
            }
        }
    }

    fn rebalance_interval(&self) -> Duration {
        Duration::from_secs(self.engine.image().broker_config().leader_imbalance_check_interval_seconds)
    }

    fn link_moved(&self, broker: BrokerId, state: LinkState) {
        // A broken connection proves nothing: the session goes on to its end.
        if state == LinkState::Refused
            && let Some(liveness) = &mut *self.duty.lock()
        {
            liveness.process_gone(self.now(), broker);
        }
    }

    /// Brokers that are alive in the image and whose sessions are over, with the epoch of the registration that was silent.
    fn silent(&self, image: &Image) -> Vec<(BrokerId, i64)> {
        let mut duty = self.duty.lock();
        let Some(liveness) = &mut *duty else { return Vec::new() };
        let Silence { brokers, stood_still } = liveness.tick(self.now(), image);
        if let Some(pause) = stood_still {
            tracing::warn!(%pause, "the controller stood still");
        }
        brokers
    }

    async fn fence(&self, broker: BrokerId, broker_epoch: i64) {
        let decide = |image: &Image| {
            // It may have registered again since.
            let same = image.broker(broker).is_some_and(|known| known.epoch == broker_epoch);
            let records = if same { controller::fence_broker(image, broker) } else { Vec::new() };
            Ok::<_, Infallible>((records, ()))
        };
        match self.engine.quorum().change(decide).await {
            Ok(()) => tracing::warn!(%broker, "broker fenced: it is dead or cut off"),
            // The next tick tries again.
            Err(error) => tracing::warn!(%broker, %error, "cannot fence a broker that is silent"),
        }
    }

    async fn apply(&self, what: &'static str, decide: fn(&Image) -> Vec<Record>) {
        // Most of the time there is nothing to do, which costs the group nothing this way.
        if decide(&self.engine.image()).is_empty() {
            return;
        }
        let decided = |image: &Image| {
            let records = decide(image);
            let count = records.len();
            Ok::<_, Infallible>((records, count))
        };
        match self.engine.quorum().change(decided).await {
            Ok(count) => tracing::info!(what, records = count, "the controller changed the metadata"),
            Err(error) => tracing::warn!(what, %error, "the controller cannot change the metadata"),
        }
    }
}

/// Tasks that tell of the links to all registered brokers.
struct WatchedLinks {
    peers: Peers,
    news: mpsc::Sender<(BrokerId, LinkState)>,
    watched: BTreeMap<BrokerId, AbortHandle>,
    tasks: JoinSet<()>,
}

impl WatchedLinks {
    fn new(peers: Peers, news: mpsc::Sender<(BrokerId, LinkState)>) -> WatchedLinks {
        WatchedLinks { peers, news, watched: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watches the brokers of the image, and no others.
    fn follow(&mut self, image: &Image, me: BrokerId) {
        for broker in image.brokers().map(|broker| broker.id).filter(|broker| *broker != me) {
            if self.watched.contains_key(&broker) {
                continue;
            }
            let (mut link, news) = (self.peers.link(broker), self.news.clone());
            let task = self.tasks.spawn(async move {
                loop {
                    let state = *link.borrow_and_update();
                    if news.send((broker, state)).await.is_err() || link.changed().await.is_err() {
                        return;
                    }
                }
            });
            self.watched.insert(broker, task);
        }
        self.watched.retain(|broker, task| {
            let stays = image.broker(*broker).is_some();
            if !stays {
                task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
    }
}
