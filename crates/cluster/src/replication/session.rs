//! The leader's end of a stream: what a follower asked to follow is sent to it as soon as it is appended.
//!
//! One task a stream, with two halves that never wait for each other, or two brokers that follow each other could block for
//! good: [`listen`](Session::listen) reads what the follower says and acts on it at once, since acknowledgements hang on it;
//! [`Sender`] serves what the partitions' ready list names, in fair rounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eddy_core::FollowerFetch;
use eddy_engine::{Engine, FollowAnswer, Partition, ReplicaRefused, ReplicaWatch};
use eddy_peer::{PeerStream, StreamReader};
use eddy_types::{BrokerId, LeaderEpoch};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::counters::SessionCounters;
use super::ending::Ending;
use super::opened::Opener;
use super::sending::Sender;
use super::serving::Serving;
use super::throttle::Throttle;
use super::wire::{Follow, FromFollower, FromLeader, Progress, Refusal, messages};
use super::{keep_alive, next_within};

/// A stream on which another broker follows partitions of this one.
pub(super) struct Session {
    engine: Arc<Engine>,
    pub(super) follower: BrokerId,
    opener: Opener,
    pub(super) throttle: Arc<Throttle>,
    pub(super) serving: Arc<Serving>,
    pub(super) watch: Arc<ReplicaWatch>,
    pub(super) counters: Arc<SessionCounters>,
    /// Logs that are being opened for this follower.
    opening: Mutex<JoinSet<()>>,
}

impl Session {
    pub(super) fn new(
        engine: Arc<Engine>,
        follower: BrokerId,
        opener: Opener,
        throttle: Arc<Throttle>,
        counters: Arc<SessionCounters>,
    ) -> Session {
        Session {
            engine,
            follower,
            opener,
            throttle,
            serving: Arc::default(),
            watch: ReplicaWatch::new(),
            counters,
            opening: Mutex::default(),
        }
    }

    /// Serves the stream until it ends; `silence` is how long nothing may come.
    pub(super) async fn run(self: Arc<Session>, stream: PeerStream, silence: Duration) -> Ending {
        let (mut reader, mut writer) = stream.split();
        let sender = Sender::new(&self, keep_alive(silence));
        tokio::select! {
            ending = self.listen(&mut reader, silence) => ending,
            ending = sender.run(&mut writer) => ending,
        }
    }

    async fn listen(self: &Arc<Session>, reader: &mut StreamReader, silence: Duration) -> Ending {
        loop {
            let frame = match next_within(reader, silence).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ending::Closed,
                Err(error) => return error.into(),
            };
            let said = match messages::<FromFollower>(frame) {
                Ok(said) => said,
                Err(error) => return error.into(),
            };
            for message in said {
                match message {
                    Ok(message) => self.hear(message),
                    Err(error) => return error.into(),
                }
            }
        }
    }

    fn hear(self: &Arc<Session>, message: FromFollower) {
        match message {
            FromFollower::Follow(follow) => self.follow(follow),
            FromFollower::Unfollow { slot, generation } => {
                if let Some(served) = self.serving.unfollowed(slot, generation) {
                    served.partition.unwatch_replica(&self.watch, slot);
                }
            }
            FromFollower::Progress(progress) => self.progress(progress),
            FromFollower::Limit { slot, generation, limited } => {
                self.serving.limit(slot, generation, limited)
            }
            FromFollower::Allow { bytes } => self.serving.allow(bytes),
            FromFollower::Ping => {}
        }
        self.counters.slots.store(self.serving.len(), Ordering::Relaxed);
    }

    fn follow(self: &Arc<Session>, follow: Follow) {
        let Follow { slot, generation, .. } = follow;
        if !self.serving.asked(&follow) {
            let refusal = Refusal::TooMany;
            return self.serving.answer(FromLeader::Refused { slot, generation, refusal });
        }
        // Most are open and led already.
        if let Some(partition) = self.engine.partitions().get_open(follow.key)
            && partition.is_leading()
            && partition.leader_epoch() == follow.leader_epoch
        {
            return self.begin(&follow, &partition);
        }
        let this = Arc::clone(self);
        let mut opening = self.opening.lock();
        while opening.try_join_next().is_some() {}
        opening.spawn(async move {
            let still_asked = || this.serving.is_asked(&follow);
            match this.opener.led(follow.key, follow.leader_epoch, still_asked).await {
                Ok(partition) => this.begin(&follow, &partition),
                Err(refusal) => this.serving.refused(slot, generation, refusal),
            }
        });
    }

    /// The partition is there: asks it whether the follower's log continues in ours.
    fn begin(&self, follow: &Follow, partition: &Arc<Partition>) {
        let Follow { slot, generation, leader_epoch, last_epoch, .. } = *follow;
        let fetch = FollowerFetch {
            offset: follow.log_end,
            durable_end: follow.durable_end,
            log_start: follow.log_start,
            broker_epoch: follow.broker_epoch,
        };
        match partition.follow(self.follower, leader_epoch, last_epoch, fetch) {
            Ok(FollowAnswer::Granted(_)) => {
                while let Some(progress) = self.serving.granted(follow, partition) {
                    self.heard(partition, leader_epoch, follow.broker_epoch, progress);
                }
                // Lists the slot at once: the follower hears where the leader is, and gets what it lacks.
                partition.watch_replica(&self.watch, slot);
            }
            Ok(FollowAnswer::Diverging(diverging)) => {
                self.serving.ended(slot, generation, FromLeader::Diverging { slot, generation, diverging });
            }
            Ok(FollowAnswer::OutOfRange { log_start, log_end }) => {
                let answer = FromLeader::OutOfRange { slot, generation, log_start, log_end };
                self.serving.ended(slot, generation, answer);
            }
            Err(refused) => self.serving.refused(slot, generation, refusal(&refused)),
        }
    }

    fn progress(&self, progress: Progress) {
        if let Some(served) = self.serving.progressed(progress) {
            self.heard(&served.partition, served.leader_epoch, served.broker_epoch, progress);
        }
    }

    /// Tells a partition how far its follower is.
    fn heard(&self, partition: &Partition, leader_epoch: LeaderEpoch, broker_epoch: i64, progress: Progress) {
        let Progress { slot, generation, log_start, log_end, durable_end } = progress;
        let fetch = FollowerFetch { offset: log_end, durable_end, log_start, broker_epoch };
        if let Err(refused) = partition.follower_progress(self.follower, leader_epoch, fetch) {
            self.serving.refused(slot, generation, refusal(&refused));
        }
    }
}

fn refusal(refused: &ReplicaRefused) -> Refusal {
    match refused {
        ReplicaRefused::NotLeader => Refusal::NotLeader,
        ReplicaRefused::FencedEpoch(_) => Refusal::FencedEpoch,
        ReplicaRefused::UnknownEpoch(_) => Refusal::UnknownEpoch,
        ReplicaRefused::StaleBroker => Refusal::StaleBroker,
        ReplicaRefused::UnknownReplica => Refusal::UnknownReplica,
    }
}
