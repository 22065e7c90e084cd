//! What shards know of the cluster: its topics and its configuration, and how they learn of changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_core::group::{ClusterTopics, GroupOverrides, Str, TopicFacts};
use eddy_metadata::Image;
use eddy_types::TopicId;
use parking_lot::Mutex;

use crate::config::GroupConfigs;
use crate::shard::Shard;

/// Pause between two looks at least: a thousand topics made at once are one change, or a few.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The pause in multiples of what the last look took, so that many topics cost no more than a tenth of a core.
const PAUSE_FACTOR: u32 = 9;

/// The newest image that was looked at, as shards see it.
pub(crate) struct Metadata(Mutex<State>);

struct State {
    image: Arc<Image>,
    newest: Arc<News>,
}

/// The cluster as shards see it.
#[derive(Clone)]
pub(crate) struct News {
    pub(crate) topics: Arc<ClusterTopics>,
    pub(crate) configs: Arc<GroupConfigs>,
}

/// What changed between two looks.
pub(crate) struct Change {
    before: Arc<News>,
    now: Arc<News>,
    /// Topics that are gone.
    deleted: Vec<(Str, TopicId)>,
    /// How long to wait before looking again.
    pub(crate) pause: Duration,
}

impl Metadata {
    pub(crate) fn new(image: Arc<Image>) -> Metadata {
        let news =
            News { topics: Arc::new(cluster_topics(&image)), configs: Arc::new(GroupConfigs::of(&image)) };
        Metadata(Mutex::new(State { image, newest: Arc::new(news) }))
    }

    /// The cluster as of the last look.
    pub(crate) fn newest(&self) -> Arc<News> {
        Arc::clone(&self.0.lock().newest)
    }

    /// Takes the newest image; `None` when it changed nothing that groups care for.
    pub(crate) fn update(&self, image: Arc<Image>) -> Option<Change> {
        let began = Instant::now();
        let (old, before) = {
            let state = self.0.lock();
            (Arc::clone(&state.image), Arc::clone(&state.newest))
        };
        let mut news = News::clone(&before);
        if !same_topics(&old, &image) {
            news.topics = Arc::new(cluster_topics(&image));
        }
        let configs = GroupConfigs::of(&image);
        if configs != *before.configs {
            news.configs = Arc::new(configs);
        }
        if Arc::ptr_eq(&news.topics, &before.topics) && Arc::ptr_eq(&news.configs, &before.configs) {
            self.0.lock().image = image;
            return None;
        }
        let deleted = old.topics().filter(|topic| image.topic_by_id(topic.id).is_none());
        let deleted = deleted.map(|topic| (Arc::clone(&topic.name), topic.id)).collect();
        let now = Arc::new(news);
        *self.0.lock() = State { image, newest: Arc::clone(&now) };
        let pause = (began.elapsed() * PAUSE_FACTOR).max(PAUSE_MIN);
        Some(Change { before, now, deleted, pause })
    }
}

impl News {
    /// Tells a shard everything: one that was just loaded may have missed some.
    pub(crate) fn tell(&self, shard: &Shard) {
        shard.tell(None, |groups, now, out| {
            groups.update_config(self.configs.all.clone());
            for (group, overrides) in &self.configs.overrides {
                groups.set_group_config(group, overrides.clone());
            }
            groups.metadata_changed(now, Arc::clone(&self.topics), out);
        });
    }
}

impl Change {
    /// Tells a shard.
    pub(crate) fn tell(&self, shard: &Shard) {
        let (before, now_known) = (&self.before, &self.now);
        shard.tell(None, |groups, now, out| {
            for (topic, id) in &self.deleted {
                groups.topic_deleted(topic, *id, out);
            }
            if !Arc::ptr_eq(&before.topics, &now_known.topics) {
                groups.metadata_changed(now, Arc::clone(&now_known.topics), out);
            }
            if !Arc::ptr_eq(&before.configs, &now_known.configs) {
                groups.update_config(now_known.configs.all.clone());
                for group in before.configs.overrides.keys() {
                    groups.set_group_config(group, GroupOverrides::default());
                }
                for (group, overrides) in &now_known.configs.overrides {
                    groups.set_group_config(group, overrides.clone());
                }
            }
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
