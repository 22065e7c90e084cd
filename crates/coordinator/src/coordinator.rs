//! The coordinator as the gateway sees it.

use std::sync::Arc;
use std::time::Duration;

use eddy_core::group::{Effects, GroupShard, ListGroups, ListedGroup, Reply, ReplyToken};
use eddy_engine::{Engine, PartitionKey};
use eddy_types::{BrokerId, Millis};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::asked::Asked;
use crate::error::Unavailable;
use crate::metadata::Metadata;
use crate::notes::{Counts, Notes};
use crate::offsets_topic::{self, OFFSETS_TOPIC};
use crate::route::partition_of;
use crate::shard::{Room, Shard, Surroundings};
use crate::shards::Shards;
use crate::timer::{Alarm, NEVER};

/// How long a request waits for its shard to be loaded before it is told that it is loading.
const LOAD_WAIT: Duration = Duration::from_secs(1);
/// The same for a client that looks for its coordinator, and then has nothing to ask it twice.
const FIND_WAIT: Duration = Duration::from_secs(10);
/// How long a request waits for room in the write-ahead log.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// The same for the timer, which has other shards to look after.
const TIMER_ROOM_WAIT: Duration = Duration::from_millis(100);
/// How long a task rests that panicked; its hook has reported it.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);
/// Time between two looks for answers that wait in vain.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(1);
/// Room for a tick, which may end a few groups' generations.
const TICK_BYTES: usize = 16 << 10;
/// Room for a batch besides what its request said.
const BATCH_BYTES: usize = 128;

/// The coordinator of the groups whose partitions this broker leads.
pub struct GroupCoordinator {
    engine: Arc<Engine>,
    shards: Arc<Shards>,
    metadata: Arc<Metadata>,
    around: Arc<Surroundings>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stopping: watch::Sender<bool>,
}

impl GroupCoordinator {
    /// Starts: the shards of the partitions of `__consumer_offsets` that this broker leads begin to load in the background.
    #[must_use]
    pub fn start(engine: Arc<Engine>) -> Arc<GroupCoordinator> {
        let around = Arc::new(Surroundings {
            clock: Arc::clone(engine.clock()),
            alarm: Alarm::default(),
            notes: Notes::default(),
            lease: Arc::clone(engine.lease()),
        });
        // The version first: what changes after it is looked at again.
        let versions = engine.image_version();
        let metadata = Arc::new(Metadata::new(engine.image()));
        let shards = Shards::new(Arc::clone(&engine), Arc::clone(&metadata), Arc::clone(&around));
        let coordinator = Arc::new(GroupCoordinator {
            engine,
            shards,
            metadata,
            around,
            tasks: Mutex::default(),
            stopping: watch::Sender::new(false),
        });
        let this = Arc::clone(&coordinator);
        coordinator.spawn(move || Arc::clone(&this).keep_time());
        let this = Arc::clone(&coordinator);
        coordinator.spawn(move || Arc::clone(&this).follow_metadata(versions.clone()));
        let this = Arc::clone(&coordinator);
        coordinator.spawn(move || Arc::clone(&this).follow_roles());
        let this = Arc::clone(&coordinator);
        coordinator.spawn(move || Arc::clone(&this).expire_answers());
        coordinator
    }

    /// Keeps a task running until the coordinator stops, or the engine does.
    fn spawn<T: Future<Output = ()> + Send + 'static>(&self, task: impl Fn() -> T + Send + 'static) {
        let (mut stopping, mut engine_stopping) = (self.stopping.subscribe(), self.engine.stopping());
        self.tasks.lock().push(tokio::spawn(async move {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                _ = engine_stopping.wait_for(|stopping| *stopping) => {}
                () = again_after_panics(task) => {}
            }
        }));
    }

    /// Stops: nobody is answered any more. What was answered is on disk.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A panic there was reported by its hook.
            let _ = task.await;
        }
        self.shards.keep_only(None);
    }

    /// Makes the topic of committed offsets, unless it is there. Tells whether it was made: other brokers may not know of it then.
    ///
    /// # Errors
    /// It cannot be made: there is no controller, or no broker for it.
    pub async fn ensure_topic(&self) -> Result<bool, Unavailable> {
        let was_there = self.engine.image().topic(OFFSETS_TOPIC).is_some();
        offsets_topic::ensure(&self.engine).await?;
        Ok(!was_there)
    }

    /// The broker that coordinates a group. It answers every later request when this returns, if it is this broker: the group's
    /// shard is loaded.
    ///
    /// # Errors
    /// The topic is not there, nobody leads the group's partition, or the shard is not loaded in time or cannot be written to.
    pub async fn find(&self, group: &str) -> Result<BrokerId, Unavailable> {
        let leader = self.leader_of(group).ok_or(Unavailable::NoTopic)?;
        if leader != self.engine.me() {
            return Ok(leader);
        }
        let ready = self.shard(group, FIND_WAIT).await.and_then(|shard| shard.can_write());
        match ready {
            Ok(()) => Ok(leader),
            // It has moved meanwhile, or is about to.
            Err(Unavailable::NotCoordinator) => {
                self.leader_of(group).filter(|now| *now != leader).ok_or(Unavailable::NoTopic)
            }
            Err(error) => Err(error),
        }
    }

    /// The broker that leads a group's partition.
    fn leader_of(&self, group: &str) -> Option<BrokerId> {
        let image = self.engine.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        let index = partition_of(group, topic.partitions.len());
        topic.partitions.get(usize::try_from(index).ok()?)?.leader
    }

    /// The offsets topic's shard of a group, which is made and loaded if need be.
    async fn shard(&self, group: &str, wait: Duration) -> Result<Arc<Shard>, Unavailable> {
        if *self.stopping.borrow() {
            return Err(Unavailable::NotCoordinator);
        }
        let topic = offsets_topic::ensure(&self.engine).await?;
        let key = PartitionKey { topic: topic.id, index: partition_of(group, topic.partitions.len()) };
        self.shards.get(key, Instant::now() + wait).await
    }

    /// Puts a request before its group's machine. What must happen in the order of requests has happened when this returns.
    pub(crate) async fn ask<R>(
        &self,
        group: &str,
        bytes: Option<usize>,
        event: impl FnOnce(&mut GroupShard, Millis, ReplyToken, &mut Effects),
        read: fn(Reply) -> Option<R>,
    ) -> Result<Asked<R>, Unavailable> {
        let shard = self.shard(group, LOAD_WAIT).await?;
        let room = match bytes {
            Some(bytes) => self.room(bytes, ROOM_WAIT).await?,
            None => None,
        };
        Ok(Asked::new(shard.ask(room, event)?, read))
    }

    /// Room for a batch of about `bytes`.
    async fn room(&self, bytes: usize, wait: Duration) -> Result<Room, Unavailable> {
        let room = self.engine.admit(1, bytes + BATCH_BYTES, Instant::now() + wait).await;
        room.map(Some).map_err(|_| Unavailable::Full)
    }

    /// Every group of this broker that `request` asks for.
    ///
    /// # Errors
    /// A shard is not loaded yet: the list would lack its groups.
    pub async fn list_groups(&self, request: ListGroups) -> Result<Vec<ListedGroup>, Unavailable> {
        let image = self.engine.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return Ok(Vec::new()) };
        let deadline = Instant::now() + LOAD_WAIT;
        let mut asked = Vec::new();
        for (index, partition) in (0..).zip(&topic.partitions) {
            if partition.leader == Some(self.engine.me()) {
                let shard = match self.shards.get(PartitionKey { topic: topic.id, index }, deadline).await {
                    Ok(shard) => shard,
                    // It has moved a moment ago: another broker lists its groups.
                    Err(Unavailable::NotCoordinator) => continue,
                    Err(error) => return Err(error),
                };
                asked
                    .push(shard.ask(None, |groups, _, token, out| groups.list_groups(token, &request, out))?);
            }
        }
        let mut listed = Vec::new();
        for answer in asked {
            match answer.await {
                Ok(Ok(Reply::List(groups))) => listed.extend(groups),
                Ok(Err(why)) => return Err(why),
                _ => return Err(Unavailable::Lost),
            }
        }
        Ok(listed)
    }

    /// What happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.around.notes.counts()
    }

    /// The shards that are loaded.
    pub(crate) fn loaded_shards(&self) -> Vec<Arc<Shard>> {
        self.shards.ready()
    }

    /// Tells the shards the time when they want to know it.
    async fn keep_time(self: Arc<Self>) {
        loop {
            self.around.alarm.look();
            let mut next = NEVER;
            for shard in self.shards.ready() {
                if shard.deadline() <= self.around.clock.steady() && shard.can_write().is_ok() {
                    // Without room nothing may be written; the next round tries again.
                    if let Ok(room) = self.room(TICK_BYTES, TIMER_ROOM_WAIT).await {
                        shard.tell(room, |groups, now, out| groups.tick(now, out));
                    }
                }
                next = next.min(shard.deadline());
            }
            self.around.alarm.sleep(self.around.clock.steady(), next).await;
        }
    }

    /// Begins to load the shards of partitions that this broker leads from now on, and ends those of partitions that it leads no
    /// longer.
    async fn follow_roles(self: Arc<Self>) {
        let mut changes = self.engine.role_changes();
        loop {
            let changed = changes.next().await;
            let image = self.engine.image();
            let Some(topic) = image.topic(OFFSETS_TOPIC).map(|topic| topic.id) else { continue };
            for key in changed.into_iter().filter(|key| key.topic == topic) {
                self.shards.role_changed(&image, key);
            }
        }
    }

    /// Tells those who wait too long for replicas that they wait in vain.
    async fn expire_answers(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EXPIRE_INTERVAL).await;
            for shard in self.shards.ready() {
                shard.expire();
            }
        }
    }

    /// Tells the shards of topics that come, grow and go.
    async fn follow_metadata(self: Arc<Self>, mut versions: watch::Receiver<u64>) {
        while versions.changed().await.is_ok() {
            let image = self.engine.image();
            let offsets_topic = image.topic(OFFSETS_TOPIC).map(|topic| topic.id);
            let Some(change) = self.metadata.update(image) else { continue };
            self.shards.keep_only(offsets_topic);
            for shard in self.shards.ready() {
                change.tell(&shard);
            }
            tokio::time::sleep(change.pause).await;
        }
    }
}

/// Runs a task, and runs it anew when it panics: a fault in one group must not stop the time of all others.
async fn again_after_panics<T: Future<Output = ()> + Send + 'static>(task: impl Fn() -> T) {
    // A set, because dropping it ends the task.
    let mut running = JoinSet::new();
    loop {
        running.spawn(task());
        match running.join_next().await {
            Some(Err(error)) if error.is_panic() => tokio::time::sleep(PAUSE_AFTER_PANIC).await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_run_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        again_after_panics(move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run == 2, "a fault") }
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}
