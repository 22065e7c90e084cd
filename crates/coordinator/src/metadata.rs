//! What shards know of the cluster's topics, and how they learn of changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_core::group::{ClusterTopics, Str, TopicFacts};
use eddy_metadata::Image;
use eddy_types::TopicId;
use parking_lot::Mutex;

use crate::shard::Shard;

/// Pause between two looks at a least: a thousand topics made at once are one change, or a few.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The pause in multiples of what the last look took, so that many topics cost no more than a tenth of a core.
const PAUSE_FACTOR: u32 = 9;

/// The topics of the newest image that was looked at.
pub(crate) struct Topics(Mutex<State>);

struct State {
    image: Arc<Image>,
    newest: Arc<ClusterTopics>,
}

/// A change of the topics.
pub(crate) struct Change {
    /// The topics now.
    pub(crate) topics: Arc<ClusterTopics>,
    /// Topics that are gone.
    pub(crate) deleted: Vec<(Str, TopicId)>,
    /// How long to wait before looking again.
    pub(crate) pause: Duration,
}

impl Topics {
    pub(crate) fn new(image: Arc<Image>) -> Topics {
        let newest = Arc::new(cluster_topics(&image));
        Topics(Mutex::new(State { image, newest }))
    }

    /// The topics as of the last look.
    pub(crate) fn newest(&self) -> Arc<ClusterTopics> {
        Arc::clone(&self.0.lock().newest)
    }

    /// Takes the newest image; `None` when it changed no topic.
    pub(crate) fn update(&self, image: Arc<Image>) -> Option<Change> {
        let began = Instant::now();
        let before = Arc::clone(&self.0.lock().image);
        if same_topics(&before, &image) {
            self.0.lock().image = image;
            return None;
        }
        let deleted = before.topics().filter(|topic| image.topic_by_id(topic.id).is_none());
        let deleted = deleted.map(|topic| (Arc::clone(&topic.name), topic.id)).collect();
        let topics = Arc::new(cluster_topics(&image));
        *self.0.lock() = State { image, newest: Arc::clone(&topics) };
        Some(Change { topics, deleted, pause: (began.elapsed() * PAUSE_FACTOR).max(PAUSE_MIN) })
    }

    /// Tells a shard that was just loaded what it may have missed.
    pub(crate) fn tell_newest(&self, shard: &Shard) {
        let newest = self.newest();
        shard.tell(None, |groups, now, out| groups.metadata_changed(now, newest, out));
    }
}

impl Change {
    /// Tells a shard.
    pub(crate) fn tell(&self, shard: &Shard) {
        shard.tell(None, |groups, now, out| {
            for (topic, id) in &self.deleted {
                groups.topic_deleted(topic, *id, out);
            }
            groups.metadata_changed(now, Arc::clone(&self.topics), out);
        });
    }
}

fn same_topics(one: &Image, other: &Image) -> bool {
    one.topic_count() == other.topic_count()
        && one.topics().zip(other.topics()).all(|(one, other)| {
            Arc::ptr_eq(one, other) || (one.id == other.id && one.partitions.len() == other.partitions.len())
        })
}

fn cluster_topics(image: &Image) -> ClusterTopics {
    let version = i64::try_from(image.version()).unwrap_or(i64::MAX);
    let topics = image.topics().map(|topic| {
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        (Arc::clone(&topic.name), TopicFacts { id: topic.id, partitions })
    });
    ClusterTopics::new(version, topics)
}
