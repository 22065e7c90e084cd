//! `__consumer_offsets`: made when the first group is looked for.

use std::sync::Arc;
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::controller::{CreateTopicError, NewTopic, create_topic};
use eddy_metadata::{Image, Record, Topic};
use eddy_types::TopicId;

use crate::config::OffsetsTopicConfig;
use crate::error::Unavailable;

/// The topic that keeps groups and their committed offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How long the first group waits for brokers that belong to the cluster and have not registered yet: those of a cluster that was
/// founded a moment ago. The topic keeps for ever the replicas that it is made with.
const BROKERS_WAIT: Duration = Duration::from_secs(5);
/// Replicas from which on one may be missing and commits still be on two disks.
const SAFE_REPLICAS: i16 = 3;

/// The topic, made if need be. Its partitions can be written to when this returns, here at least.
pub(crate) async fn ensure(engine: &Engine) -> Result<Arc<Topic>, Unavailable> {
    if let Some(topic) = engine.image().topic(OFFSETS_TOPIC) {
        return Ok(Arc::clone(topic));
    }
    until_registered(engine).await;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        tracing::error!(%error, "no random numbers for a topic id");
        Unavailable::NoTopic
    })?;
    let created = engine.quorum().change(|image| decide(image, TopicId(id))).await;
    created.map_err(|error| {
        tracing::warn!(topic = OFFSETS_TOPIC, %error, "cannot create the topic of committed offsets");
        Unavailable::NoTopic
    })
}

/// Waits until there are brokers for all replicas, or all voters of the metadata group have registered, for a while at most.
async fn until_registered(engine: &Engine) {
    let mut versions = engine.image_version();
    let are_there = async { while !are_registered(engine) && versions.changed().await.is_ok() {} };
    // What is there counts, if it takes longer.
    let _ = tokio::time::timeout(BROKERS_WAIT, are_there).await;
}

fn are_registered(engine: &Engine) -> bool {
    let image = engine.image();
    let wanted = usize::try_from(replicas_wanted(&image)).unwrap_or(1);
    image.brokers().count() >= wanted.min(engine.quorum().status().voters.len())
}

fn replicas_wanted(image: &Image) -> i16 {
    OffsetsTopicConfig::of(image.broker_config()).replication_factor.max(1)
}

/// Creates the topic unless somebody was faster. It has as many replicas as are configured, or one on each broker when these are
/// fewer: dead ones count, because they come back.
fn decide(image: &Image, id: TopicId) -> Result<(Vec<Record>, Arc<Topic>), CreateTopicError> {
    if let Some(topic) = image.topic(OFFSETS_TOPIC) {
        return Ok((Vec::new(), Arc::clone(topic)));
    }
    let brokers =
        i16::try_from(image.brokers().filter(|broker| !broker.draining).count()).unwrap_or(i16::MAX);
    let config = OffsetsTopicConfig::of(image.broker_config());
    let replication_factor = config.replication_factor.min(brokers).max(1);
    let mut configs = vec![
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.segment_bytes.to_string()),
    ];
    if replication_factor >= SAFE_REPLICAS && image.topic_defaults().min_insync_replicas < 2 {
        // A commit that only one broker had would be lost with it.
        configs.push(("min.insync.replicas", "2".to_owned()));
    }
    let new = NewTopic {
        partitions: config.partitions,
        replication_factor,
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        ..NewTopic::with_defaults(id, OFFSETS_TOPIC)
    };
    let (records, created) = create_topic(image, &new)?;
    Ok((records, created.topic))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eddy_metadata::Local;
    use eddy_metadata::config::StaticConfig;
    use eddy_metadata::controller::{Registration, register_broker};
    use eddy_types::BrokerId;

    use super::*;

    fn image(brokers: i32, config: &[(&str, &str)], fenced: &[i32]) -> Image {
        let config = StaticConfig::from_pairs(config.iter().copied()).unwrap();
        let mut image = Image::empty(Arc::new(Local { broker: BrokerId(1), config }));
        for broker in (1..=brokers).map(BrokerId) {
            let (endpoints, directory) = (Vec::new(), [u8::try_from(broker.0).unwrap(); 16]);
            let registration = Registration { broker, incarnation: 1, endpoints, rack: None, directory };
            for record in register_broker(&image, &registration).unwrap() {
                image.apply(&record).unwrap();
            }
        }
        for broker in fenced {
            image.apply(&Record::BrokerFenced { broker: BrokerId(*broker) }).unwrap();
        }
        image
    }

    /// Replicas, those of them in sync, and `min.insync.replicas` where it is set.
    fn made(image: &Image) -> (usize, usize, Option<String>) {
        let (_, topic) = decide(image, TopicId([1; 16])).unwrap();
        let partition = topic.partitions.first().unwrap();
        let least = topic.overrides.get("min.insync.replicas").map(|value| value.to_string());
        (partition.replicas.len(), partition.isr.len(), least)
    }

    #[test]
    fn commits_are_on_two_disks_as_soon_as_one_of_three_may_be_missing() {
        assert_eq!(made(&image(1, &[], &[])), (1, 1, None));
        assert_eq!(made(&image(2, &[], &[])), (2, 2, None));
        assert_eq!(made(&image(3, &[], &[])), (3, 3, Some("2".to_owned())));
        assert_eq!(made(&image(5, &[], &[])), (3, 3, Some("2".to_owned())));
        assert_eq!(made(&image(3, &[("min.insync.replicas", "3")], &[])), (3, 3, None));
        assert_eq!(made(&image(3, &[("offsets.topic.replication.factor", "1")], &[])), (1, 1, None));
    }

    #[test]
    fn a_broker_that_is_away_gets_its_replica_all_the_same() {
        assert_eq!(made(&image(3, &[], &[3])), (3, 2, Some("2".to_owned())));
    }
}
