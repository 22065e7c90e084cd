//! CreateTopics, key 19, versions 2–7.
//!
//! v4 -1 for default partitions and replicas (KIP-464), which Kafka takes from older versions too · v5 flexible, partitions, replicas and configs in the answer (KIP-525) · v6 quota code
//! (KIP-599) · v7 topic id (KIP-516)

use ahash::AHashSet;
use eddy_metadata::config::describe_topic;
use eddy_metadata::controller::{self, CreateTopicError, CreatedTopic, NewTopic};
use eddy_metadata::{Image, Record};
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::deadline::{timeout, within};
use crate::error::change_code;
use crate::quota::{Charge, Mutations, OverQuota};
use crate::topics;

pub(crate) const API: Api = Api::new(ApiKey::CreateTopics, 2, 7);

/// From this version on a client knows what it means to be over its quota.
const QUOTA_FROM: i16 = 6;

type Refusal = (ErrorCode, String);
type Outcome = Vec<Result<CreatedTopic, Refusal>>;

pub(crate) async fn handle(call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut new = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        match new_topic(topic) {
            Ok(topic) => new.push(topic),
            Err(code) => return refuse_all(&call, &request, code, None),
        }
    }
    let mut mutations = Mutations::start(&call, QUOTA_FROM);
    let mut charge = mutations.charge();
    let decide = |image: &Image| -> Result<(Vec<Record>, Outcome), std::convert::Infallible> {
        charge.decide();
        let (records, outcome) = within_quota(controller::create_topics(image, &new), &mut charge);
        Ok((if request.validate_only { Vec::new() } else { records }, outcome))
    };
    // One commit for the whole request; it is applied here when this returns, so every topic is usable.
    let change = async {
        let changed = call.ctx.engine.quorum().change(decide).await;
        changed.map_err(|error| change_code(error, |never| match never {}))
    };
    let outcome = match within(request.timeout_ms, change).await {
        Ok(outcome) => outcome,
        Err((code, message)) => return refuse_all(&call, &request, code, Some(message)),
    };
    if !request.validate_only {
        call.until_known(timeout(request.timeout_ms)).await;
    }
    let image = call.image();
    let mut answered = AHashSet::new();
    let topics = request
        .topics
        .iter()
        .zip(outcome)
        // A topic named twice has one answer.
        .filter(|(asked, _)| answered.insert(asked.name.as_str()))
        .map(|(asked, result)| respond(&call, &image, asked, result, request.validate_only));
    let topics = topics.collect();
    CreateTopicsResponse { throttle_time_ms: mutations.finish(), topics }
}

/// Takes from what was decided the topics that are over the caller's quota. Each good one has a record, in the same order.
fn within_quota(
    (records, outcome): (Vec<Record>, Vec<Result<CreatedTopic, CreateTopicError>>),
    charge: &mut Charge<'_, '_>,
) -> (Vec<Record>, Outcome) {
    let mut kept = Vec::with_capacity(records.len());
    let mut records = records.into_iter();
    let outcome = outcome.into_iter().map(|decided| {
        let created = decided.map_err(|error| (error.code(), error.to_string()))?;
        let record = records.next();
        charge.take(created.topic.partitions.len()).map_err(OverQuota::refusal)?;
        kept.extend(record);
        Ok(created)
    });
    let outcome = outcome.collect();
    (kept, outcome)
}

fn new_topic(topic: &CreatableTopic) -> Result<NewTopic, ErrorCode> {
    let assignments = topic.assignments.iter().map(|assignment| {
        (assignment.partition_index, assignment.broker_ids.iter().map(|&id| BrokerId(id)).collect())
    });
    Ok(NewTopic {
        id: topics::new_topic_id()?,
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(Str::to_string)))
            .collect(),
    })
}

fn refuse_all(
    call: &Call,
    request: &CreateTopicsRequest,
    code: ErrorCode,
    message: Option<String>,
) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| failed(call, topic, code, message.clone()));
    CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() }
}

fn failed(
    call: &Call,
    topic: &CreatableTopic,
    code: ErrorCode,
    message: Option<String>,
) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: call.code(code),
        error_message: message.map(Str::from),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}

fn respond(
    call: &Call,
    image: &Image,
    asked: &CreatableTopic,
    result: Result<CreatedTopic, Refusal>,
    validate_only: bool,
) -> CreatableTopicResult {
    let created = match result {
        Ok(created) => created,
        Err((code, message)) => return failed(call, asked, code, Some(message)),
    };
    let configs = describe_topic(image, &created.topic).into_iter().map(|described| CreatableTopicConfigs {
        name: Str::from_static(described.key.name),
        value: described.value.map(Str::from),
        read_only: described.read_only,
        config_source: described.source as i8,
        is_sensitive: described.key.sensitive(),
    });
    CreatableTopicResult {
        name: asked.name.clone(),
        error_message: None,
        // A topic that was only checked has no identity.
        topic_id: if validate_only { Default::default() } else { created.topic.id },
        num_partitions: i32::try_from(created.topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: created.replication_factor,
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}
