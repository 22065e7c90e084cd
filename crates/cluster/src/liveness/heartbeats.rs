//! This broker's heartbeats, and the lease that they keep up.
//!
//! The lease ends before the session does: it is counted from the moment at which the heartbeat was sent, the session from the
//! one at which it arrived, and the controller answers only while it is sure that it is the controller. So a broker
//! that is cut off or stands still has stopped to acknowledge before others lead in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::controller::Registration;
use eddy_peer::{Peers, Service};
use eddy_types::BrokerId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::wire::{Answer, Request};
use crate::registration::register;

/// Parts of the session timeout that the lease ends earlier: clocks of two machines do not run at the same speed.
const MARGIN_PARTS: u32 = 20;

/// Attempts to find the controller before the next heartbeat is due.
const REDIRECTS_MAX: usize = 2;

/// Time between two heartbeats until the first is answered: a controller that has just been elected may not answer yet.
const FIRST_INTERVAL: Duration = Duration::from_millis(20);

/// Sends heartbeats.
pub(crate) struct Heartbeats {
    pub(crate) engine: Arc<Engine>,
    pub(crate) peers: Peers,
    pub(crate) registration: Registration,
    pub(crate) interval: Duration,
    pub(crate) session_timeout: Duration,
    /// Set when this broker is about to leave: being fenced is what it wants then.
    pub(crate) leaving: AtomicBool,
    began: Instant,
    /// Milliseconds after `began` at which the last answered heartbeat was sent; `u64::MAX` before the first.
    heard_at: AtomicU64,
    /// Whether this broker was taken out of the cluster.
    removed: watch::Sender<bool>,
}

impl Heartbeats {
    pub(crate) fn new(
        engine: Arc<Engine>,
        peers: Peers,
        registration: Registration,
        interval: Duration,
        session_timeout: Duration,
    ) -> Heartbeats {
        Heartbeats {
            engine,
            peers,
            registration,
            interval,
            session_timeout,
            leaving: AtomicBool::new(false),
            began: Instant::now(),
            heard_at: AtomicU64::new(u64::MAX),
            removed: watch::Sender::new(false),
        }
    }

    /// Time since the last heartbeat that was answered had been sent; `None` before the first.
    pub(crate) fn age(&self) -> Option<Duration> {
        let heard_at = self.heard_at.load(Ordering::Relaxed);
        (heard_at != u64::MAX).then(|| self.began.elapsed().saturating_sub(Duration::from_millis(heard_at)))
    }

    /// Returns when a heartbeat has been answered, or at the deadline: without the lease that comes with it a broker leads nothing,
    /// and whoever made it a leader would be refused.
    pub(crate) async fn until_first(&self, deadline: Instant) {
        while self.age().is_none() && Instant::now() < deadline {
            tokio::time::sleep(FIRST_INTERVAL).await;
        }
    }

    /// Returns when this broker was taken out of the cluster; it is not registered again then, and has no lease.
    pub(crate) async fn until_removed(&self) {
        // The sender lives as long as this.
        let _ = self.removed.subscribe().wait_for(|removed| *removed).await;
    }

    /// Sends heartbeats for as long as it is polled: one an interval, and one at once when there is another controller.
    pub(crate) async fn run(self: Arc<Heartbeats>) {
        let mut leadership = self.engine.quorum().leadership();
        loop {
            let due = Instant::now() + if self.age().is_some() { self.interval } else { FIRST_INTERVAL };
            let leader = *leadership.borrow_and_update();
            let removed = *self.removed.borrow();
            if let Some(leader) = leader.filter(|_| !removed) {
                self.beat(leader).await;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                changed = leadership.changed() => {
                    if changed.is_err() {
                        // The metadata group has stopped.
                        return;
                    }
                }
            }
        }
    }

    async fn beat(&self, leader: BrokerId) {
        let mut controller = leader;
        for _ in 0..=REDIRECTS_MAX {
            let sent = Instant::now();
            let applied = *self.engine.image_version().borrow();
            let request = Request::Heartbeat { incarnation: self.registration.incarnation, applied };
            let within = self.session_timeout / 3;
            let answer = self.peers.call(controller, Service::Liveness, request.encode(), within).await;
            match answer
                .map_err(|error| error.to_string())
                .and_then(|bytes| Answer::decode(bytes).map_err(|error| error.to_string()))
            {
                Ok(Answer::Alive) => return self.heard(sent),
                Ok(Answer::NotController(Some(other))) if other != controller => controller = other,
                Ok(Answer::Unregistered) => return self.register_again().await,
                Ok(Answer::Removed) => return self.note_removal(),
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%controller, %error, "heartbeat not answered");
                    return;
                }
            }
        }
    }

    fn heard(&self, sent: Instant) {
        let heard_at = sent.saturating_duration_since(self.began).as_millis();
        self.heard_at.store(u64::try_from(heard_at).unwrap_or(u64::MAX - 1), Ordering::Relaxed);
        let lasts = self.session_timeout - self.session_timeout / MARGIN_PARTS;
        self.engine.lease().extend(lasts.saturating_sub(sent.elapsed()));
    }

    fn note_removal(&self) {
        if !self.leaving.load(Ordering::Relaxed) && !self.removed.send_replace(true) {
            self.engine.lease().end();
            tracing::error!(broker = %self.registration.broker, "this broker was taken out of the cluster");
        }
    }

    async fn register_again(&self) {
        if self.leaving.load(Ordering::Relaxed) {
            return;
        }
        tracing::warn!(broker = %self.registration.broker, "the cluster took this broker for dead: registering again");
        if let Err(error) = register(&self.engine, &self.registration, Instant::now()).await {
            tracing::error!(%error, "this broker is not part of the cluster");
        }
    }
}
