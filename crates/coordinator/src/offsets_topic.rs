//! `__consumer_offsets`: made when the first group is looked for.

use std::sync::Arc;

use eddy_engine::Engine;
use eddy_metadata::controller::{CreateTopicError, NewTopic, create_topic};
use eddy_metadata::{Image, Record, Topic};
use eddy_types::TopicId;

use crate::config::OffsetsTopicConfig;
use crate::error::Unavailable;

/// The topic that keeps groups and their committed offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The topic, made if need be. Its partitions can be written to when this returns.
pub(crate) async fn ensure(engine: &Engine) -> Result<Arc<Topic>, Unavailable> {
    if let Some(topic) = engine.image().topic(OFFSETS_TOPIC) {
        return Ok(Arc::clone(topic));
    }
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

/// Creates the topic unless somebody was faster.
fn decide(image: &Image, id: TopicId) -> Result<(Vec<Record>, Arc<Topic>), CreateTopicError> {
    if let Some(topic) = image.topic(OFFSETS_TOPIC) {
        return Ok((Vec::new(), Arc::clone(topic)));
    }
    let brokers = i16::try_from(image.alive_brokers().count()).unwrap_or(i16::MAX);
    let config = OffsetsTopicConfig::of(image.broker_config());
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.segment_bytes.to_string()),
    ];
    let new = NewTopic {
        partitions: config.partitions,
        replication_factor: config.replication_factor.min(brokers).max(1),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        ..NewTopic::with_defaults(id, OFFSETS_TOPIC)
    };
    let (records, created) = create_topic(image, &new)?;
    Ok((records, created.topic))
}
