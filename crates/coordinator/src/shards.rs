//! The shards of this broker: loaded when first needed, and again when one was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use eddy_core::group::{GroupRecord, GroupShard, Str};
use eddy_engine::{Engine, PartitionError, PartitionKey};
use eddy_metadata::Image;
use eddy_types::TopicId;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::error::Unavailable;
use crate::load::{LoadError, load};
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
    slots: Mutex<BTreeMap<PartitionKey, watch::Sender<Slot>>>,
    loads: Semaphore,
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
        let (slots, loads) = (Mutex::default(), Semaphore::new(LOADS_MAX));
        Arc::new(Shards { engine, news, around, slots, loads })
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
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(&key) {
            match &*slot.borrow() {
                Slot::Ready(shard) if !shard.is_closed() => return Ok(Arc::clone(shard)),
                Slot::Failed { until, .. } if *until > Instant::now() => return Err(slot.subscribe()),
                Slot::Loading => return Err(slot.subscribe()),
                Slot::Ready(_) | Slot::Failed { .. } => {}
            }
        }
        let (sender, receiver) = watch::channel(Slot::Loading);
        slots.insert(key, sender);
        // A task of its own: the client that asked first may go away.
        tokio::spawn(Arc::clone(self).fill(key));
        Err(receiver)
    }

    /// Begins to load the shards of every partition that this broker leads.
    pub(crate) fn load_all(self: &Arc<Self>, image: &Image, topic: &eddy_metadata::Topic) {
        for (index, partition) in (0..).zip(&topic.partitions) {
            if partition.leader == Some(image.local().broker) {
                let _ = self.find_or_load(PartitionKey { topic: topic.id, index });
            }
        }
    }

    /// Every shard that is loaded.
    pub(crate) fn ready(&self) -> Vec<Arc<Shard>> {
        let slots = self.slots.lock();
        let ready = slots.values().filter_map(|slot| match &*slot.borrow() {
            Slot::Ready(shard) if !shard.is_closed() => Some(Arc::clone(shard)),
            _ => None,
        });
        ready.collect()
    }

    /// Forgets the shards of topics other than `topic`: theirs was deleted.
    pub(crate) fn keep_only(&self, topic: Option<TopicId>) {
        self.slots.lock().retain(|key, slot| {
            let keep = Some(key.topic) == topic;
            if let (false, Slot::Ready(shard)) = (keep, &*slot.borrow()) {
                shard.close();
            }
            keep
        });
    }

    async fn fill(self: Arc<Self>, key: PartitionKey) {
        // A machine that panics on a record, which its hook reports, must not leave the shard loading for ever.
        let opening = tokio::spawn(Arc::clone(&self).open(key));
        let opened = opening.await.unwrap_or(Err(Unavailable::NoTopic));
        let slot = match &opened {
            Ok((shard, _)) => Slot::Ready(Arc::clone(shard)),
            Err(why) => Slot::Failed { why: *why, until: Instant::now() + RETRY_AFTER },
        };
        if let Some(sender) = self.slots.lock().get(&key) {
            sender.send_replace(slot);
        }
        if let Ok((shard, named)) = opened {
            // News that came while it was loaded went to the shards that were there.
            self.news.newest().tell(&shard);
            for (topic, id) in self.gone(named) {
                shard.tell(None, |groups, _, out| groups.topic_deleted(&topic, id, out));
            }
        }
    }

    async fn open(self: Arc<Self>, key: PartitionKey) -> Result<(Arc<Shard>, Named), Unavailable> {
        // The semaphore is never closed.
        let _turn = self.loads.acquire().await.map_err(|_| Unavailable::Loading)?;
        let image = self.engine.image();
        let partition = self.engine.partition(&image, key).await.map_err(|error| match error {
            PartitionError::NotLeader { .. } | PartitionError::Unknown => Unavailable::NotCoordinator,
            // The engine has reported it.
            PartitionError::Offline(_) => Unavailable::NoTopic,
        })?;
        let began = Instant::now();
        let news = self.news.newest();
        let mut groups = GroupShard::new(news.configs.all.clone(), Arc::clone(&news.topics));
        let mut named = Named::new();
        let loaded = load(&partition, |record| {
            note_topic(&mut named, &record);
            groups.replay(record);
        });
        let loaded = loaded.await.map_err(|error| {
            if !matches!(error, LoadError::Read(eddy_engine::ReadError::PartitionGone)) {
                tracing::error!(partition = key.index, %error, "groups cannot be loaded; tried again when asked for");
            }
            Unavailable::NoTopic
        })?;
        let shard = Arc::new(Shard::new(partition, groups, Arc::clone(&self.around)));
        shard.tell(None, |groups, now, out| groups.loaded(now, out));
        if loaded.records > 0 {
            tracing::debug!(
                partition = key.index,
                records = loaded.records,
                unknown = loaded.unknown,
                damaged = loaded.damaged,
                seconds = began.elapsed().as_secs_f32(),
                "groups loaded"
            );
        }
        Ok((shard, named))
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

/// Remembers which topics a shard's offsets are of.
fn note_topic(named: &mut Named, record: &GroupRecord) {
    if let GroupRecord::Offset { topic, value: Some(value), .. } = record
        && value.topic_id != TopicId::ZERO
        && !named.contains(&(topic.clone(), value.topic_id))
    {
        named.insert((topic.clone(), value.topic_id));
    }
}
