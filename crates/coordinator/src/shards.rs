//! The shards of this broker: loaded when it begins to lead their partitions, or when first needed, and again when one was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use eddy_core::group::{GroupRecord, GroupShard, Str};
use eddy_engine::{Engine, Partition, PartitionError, PartitionKey, ReadError};
use eddy_metadata::Image;
use eddy_types::{LeaderEpoch, TopicId};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::error::Unavailable;
use crate::load::{LoadError, Loaded, load, until_replicated};
use crate::metadata::Metadata;
use crate::shard::{Shard, Surroundings};

/// Shards that are loaded at the same time: disk and one core are busy with one already.
const LOADS_MAX: usize = 2;
/// How long a shard that could not be loaded is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The shards of this broker.
pub(crate) struct Shards {
    engine: Arc<Engine>,
    news: Arc<Metadata>,
    around: Arc<Surroundings>,
    places: Mutex<Places>,
    loads: Semaphore,
}

#[derive(Default)]
struct Places {
    slots: BTreeMap<PartitionKey, Place>,
    /// Loads begun so far.
    loads: u64,
}

/// Where a shard is, or will be.
struct Place {
    /// Which load fills it: one that was begun before the place was given up fills nothing.
    load: u64,
    slot: watch::Sender<Slot>,
}

/// The topics that a shard has offsets of.
type Named = BTreeSet<(Str, TopicId)>;

enum Slot {
    Loading,
    Ready(Arc<Shard>),
    Failed { why: Unavailable, until: Instant },
}

impl Shards {
    pub(crate) fn new(engine: Arc<Engine>, news: Arc<Metadata>, around: Arc<Surroundings>) -> Arc<Shards> {
        let (places, loads) = (Mutex::default(), Semaphore::new(LOADS_MAX));
        Arc::new(Shards { engine, news, around, places, loads })
    }

    /// The shard of a partition, which begins to load if it has to. Waits for that until `deadline`.
    pub(crate) async fn get(
        self: &Arc<Self>,
        key: PartitionKey,
        deadline: Instant,
    ) -> Result<Arc<Shard>, Unavailable> {
        let mut slot = match self.find_or_load(key) {
            Ok(shard) => return Ok(shard),
            Err(slot) => slot,
        };
        let settled = slot.wait_for(|slot| !matches!(slot, Slot::Loading));
        match tokio::time::timeout_at(deadline, settled).await {
            Err(_) => Err(Unavailable::Loading),
            Ok(Err(_)) => Err(Unavailable::NotCoordinator),
            Ok(Ok(slot)) => match &*slot {
                Slot::Ready(shard) => Ok(Arc::clone(shard)),
                Slot::Failed { why, .. } => Err(*why),
                Slot::Loading => Err(Unavailable::Loading),
            },
        }
    }

    fn find_or_load(self: &Arc<Self>, key: PartitionKey) -> Result<Arc<Shard>, watch::Receiver<Slot>> {
        let mut places = self.places.lock();
        let mut former = None;
        if let Some(Place { slot, .. }) = places.slots.get(&key) {
            match &*slot.borrow() {
                Slot::Ready(shard) if !shard.is_closed() => return Ok(Arc::clone(shard)),
                Slot::Failed { until, .. } if *until > Instant::now() => return Err(slot.subscribe()),
                Slot::Loading => return Err(slot.subscribe()),
                Slot::Ready(shard) => former = Some(Arc::clone(shard)),
                Slot::Failed { .. } => {}
            }
        }
        places.loads += 1;
        let load = places.loads;
        let (slot, receiver) = watch::channel(Slot::Loading);
        places.slots.insert(key, Place { load, slot });
        drop(places);
        // A task of its own: the client that asked first may go away.
        tokio::spawn(Arc::clone(self).fill(key, load, former));
        Err(receiver)
    }

    /// The role that this broker plays in a partition has changed: its shard begins to load, or ends.
    pub(crate) fn role_changed(self: &Arc<Self>, image: &Image, key: PartitionKey) {
        if leads(image, key) {
            let _ = self.find_or_load(key);
        } else {
            let place = self.places.lock().slots.remove(&key);
            if let Some(place) = place {
                place.close();
            }
        }
    }

    /// Every shard that is loaded.
    pub(crate) fn ready(&self) -> Vec<Arc<Shard>> {
        let places = self.places.lock();
        let ready = places.slots.values().filter_map(|place| match &*place.slot.borrow() {
            Slot::Ready(shard) if !shard.is_closed() => Some(Arc::clone(shard)),
            _ => None,
        });
        ready.collect()
    }

    /// Forgets the shards of topics other than `topic`: theirs was deleted.
    pub(crate) fn keep_only(&self, topic: Option<TopicId>) {
        let mut gone = Vec::new();
        self.places.lock().slots.retain(|key, place| {
            let keep = Some(key.topic) == topic;
            if let (false, Slot::Ready(shard)) = (keep, &*place.slot.borrow()) {
                gone.push(Arc::clone(shard));
            }
            keep
        });
        for shard in gone {
            shard.close(Unavailable::NotCoordinator);
        }
    }

    async fn fill(self: Arc<Self>, key: PartitionKey, load: u64, former: Option<Arc<Shard>>) {
        if let Some(former) = former {
            // Before the partition is read: what it has written by then is read with the rest.
            former.close(Unavailable::NotCoordinator);
        }
        // A machine that panics on a record, which its hook reports, must not leave the shard loading for ever.
        let opening = tokio::spawn(Arc::clone(&self).open(key));
        let opened = opening.await.unwrap_or(Err(Unavailable::NoTopic));
        let slot = match &opened {
            Ok((shard, _)) => Slot::Ready(Arc::clone(shard)),
            // The role of this broker may be another in a moment; the rest takes its time.
            Err(why @ Unavailable::NotCoordinator) => Slot::Failed { why: *why, until: Instant::now() },
            Err(why) => Slot::Failed { why: *why, until: Instant::now() + RETRY_AFTER },
        };
        let is_wanted = {
            let places = self.places.lock();
            let place = places.slots.get(&key).filter(|place| place.load == load);
            place.map(|place| place.slot.send_replace(slot)).is_some()
        };
        if let Ok((shard, named)) = opened {
            if !is_wanted {
                return shard.close(Unavailable::NotCoordinator);
            }
            // News that came while it was loaded went to the shards that were there.
            self.news.newest().tell(&shard);
            for (topic, id) in self.gone(named) {
                shard.tell(None, |groups, _, out| groups.topic_deleted(&topic, id, out));
            }
        }
    }

    async fn open(self: Arc<Self>, key: PartitionKey) -> Result<(Arc<Shard>, Named), Unavailable> {
        let image = self.engine.image();
        let partition = self.engine.partition(&image, key).await.map_err(|error| match error {
            PartitionError::NotLeader { .. } | PartitionError::Unknown => Unavailable::NotCoordinator,
            // The engine has reported it.
            PartitionError::Offline(_) => Unavailable::NoTopic,
        })?;
        loop {
            let epoch = partition.leader_epoch();
            match self.load(&partition, epoch).await {
                Ok((groups, named)) => {
                    let shard = Shard::new(Arc::clone(&partition), epoch, groups, Arc::clone(&self.around));
                    shard.can_write()?;
                    shard.tell(None, |groups, now, out| groups.loaded(now, out));
                    return Ok((Arc::new(shard), named));
                }
                // Lost and won again meanwhile.
                Err(LoadError::NotLeader) if partition.is_leading() => {}
                Err(LoadError::NotLeader) => return Err(Unavailable::NotCoordinator),
                Err(LoadError::Read(ReadError::PartitionGone)) => return Err(Unavailable::NoTopic),
                Err(error) => {
                    tracing::error!(partition = key.index, %error,
                        "groups cannot be loaded; tried again when asked for");
                    return Err(Unavailable::NoTopic);
                }
            }
        }
    }

    /// The groups of a partition as of the moment when this broker began to lead it.
    async fn load(
        &self,
        partition: &Arc<Partition>,
        epoch: LeaderEpoch,
    ) -> Result<(GroupShard, Named), LoadError> {
        let began = Instant::now();
        let end = until_replicated(partition, epoch).await?;
        // After the wait, in which others can be loaded. The semaphore is never closed.
        let _turn = self.loads.acquire().await;
        let news = self.news.newest();
        let mut groups = GroupShard::new(news.configs.all.clone(), Arc::clone(&news.topics));
        let mut named = Named::new();
        let loaded = load(partition, epoch, end, |record| {
            note_topic(&mut named, &record);
            groups.replay(record);
        });
        let Loaded { records, unknown, damaged } = loaded.await?;
        if records > 0 {
            let seconds = began.elapsed().as_secs_f32();
            tracing::debug!(
                partition = partition.key().index,
                records,
                unknown,
                damaged,
                seconds,
                "groups loaded"
            );
        }
        Ok((groups, named))
    }

    /// Those topics that were deleted while nobody looked. That a topic is missing from the metadata proves nothing; that it was
    /// removed, or that another has its name, does.
    fn gone(&self, named: Named) -> Vec<(Str, TopicId)> {
        let image = self.engine.image();
        let is_gone = |(name, id): &(Str, TopicId)| {
            let other = image.topic(name).is_some_and(|topic| topic.id != *id);
            image.topic_by_id(*id).is_none() && (other || image.removed_topic(*id).is_some())
        };
        named.into_iter().filter(is_gone).collect()
    }
}

impl Place {
    /// Ends the shard that is here; whoever waits for one hears that none comes as the place is dropped.
    fn close(&self) {
        let shard = match &*self.slot.borrow() {
            Slot::Ready(shard) => Arc::clone(shard),
            Slot::Loading | Slot::Failed { .. } => return,
        };
        shard.close(Unavailable::NotCoordinator);
    }
}

/// Whether this broker shall lead a partition.
fn leads(image: &Image, key: PartitionKey) -> bool {
    let partition = usize::try_from(key.index).ok().zip(image.topic_by_id(key.topic));
    let partition = partition.and_then(|(index, topic)| topic.partitions.get(index));
    partition.is_some_and(|partition| partition.leader == Some(image.local().broker))
}

/// Remembers which topics a shard's offsets are of.
fn note_topic(named: &mut Named, record: &GroupRecord) {
    if let GroupRecord::Offset { topic, value: Some(value), .. } = record
        && value.topic_id != TopicId::ZERO
        && !named.contains(&(topic.clone(), value.topic_id))
    {
        named.insert((topic.clone(), value.topic_id));
    }
}
