//! DeleteTopics, key 20, versions 1–6.
//!
//! v4 flexible · v5 error message, quota code (KIP-599) · v6 by id (KIP-516)

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use eddy_metadata::controller::{self, DeleteTopicError, TopicRef};
use eddy_metadata::{Image, Topic};
use eddy_types::{ErrorCode, TopicId};
use eddy_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::deadline::{timeout, within};
use crate::error::change_code;
use crate::quota::{Mutations, Refused};

pub(crate) const API: Api = Api::new(ApiKey::DeleteTopics, 1, 6);

/// From this version on a client knows the code for "deletion is disabled".
const DISABLED_FROM: i16 = 3;
/// From this version on a client knows what it means to be over its quota.
const QUOTA_FROM: i16 = 5;

/// The topics of a request, and which of them are meant more than once.
struct Asked {
    topics: Vec<DeleteTopicState>,
    times: AHashMap<(Option<Str>, TopicId), usize>,
}

pub(crate) async fn handle(call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let topics = if call.version >= 6 {
        request.topics
    } else {
        let named = |name| DeleteTopicState { name: Some(name), topic_id: TopicId::ZERO };
        request.topic_names.into_iter().map(named).collect()
    };
    if !call.image().broker_config().delete_topic_enable {
        let responses = topics.into_iter().map(|topic| disabled(&call, topic));
        return DeleteTopicsResponse { responses: responses.collect(), ..DeleteTopicsResponse::default() };
    }
    let asked = Asked::new(topics);
    let mut mutations = Mutations::start(&call, QUOTA_FROM);
    let mut answered = AHashSet::new();
    let mut responses = Vec::with_capacity(asked.topics.len());
    for topic in &asked.topics {
        // A topic meant twice has one answer, whichever way it is named.
        let image = call.image();
        let found = find(&image, topic);
        let identity = found.map_or((topic.name.clone(), topic.topic_id), |found| (None, found.id));
        if answered.insert(identity) {
            let found = found.cloned();
            responses.push(one(&call, &asked, topic, found, request.timeout_ms, &mut mutations).await);
        }
    }
    call.until_known(timeout(request.timeout_ms)).await;
    DeleteTopicsResponse { throttle_time_ms: mutations.finish(), responses }
}

/// The answer for a topic while nothing may be deleted.
fn disabled(call: &Call, topic: DeleteTopicState) -> DeletableTopicResult {
    let known = call.version >= DISABLED_FROM;
    let code = if known { ErrorCode::TopicDeletionDisabled } else { ErrorCode::InvalidRequest };
    DeletableTopicResult {
        name: topic.name,
        topic_id: topic.topic_id,
        error_code: call.code(code),
        error_message: Some(DeleteTopicError::Disabled.to_string().into()),
    }
}

impl Asked {
    fn new(topics: Vec<DeleteTopicState>) -> Asked {
        let mut times = AHashMap::new();
        for topic in &topics {
            *times.entry((topic.name.clone(), topic.topic_id)).or_default() += 1;
        }
        Asked { topics, times }
    }

    fn times(&self, name: Option<&str>, id: TopicId) -> usize {
        self.times.get(&(name.map(Str::from), id)).copied().unwrap_or(0)
    }
}

/// The topic that is meant, when it is named in one way.
fn find<'a>(image: &'a Image, asked: &DeleteTopicState) -> Option<&'a Arc<Topic>> {
    match (&asked.name, asked.topic_id.is_zero()) {
        (Some(name), true) => image.topic(name),
        (None, false) => image.topic_by_id(asked.topic_id),
        _ => None,
    }
}

async fn one(
    call: &Call,
    asked: &Asked,
    topic: &DeleteTopicState,
    found: Option<Arc<Topic>>,
    timeout_ms: i32,
    mutations: &mut Mutations<'_>,
) -> DeletableTopicResult {
    let failed = |(code, message): (ErrorCode, String)| DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        error_code: call.code(code),
        error_message: Some(message.into()),
    };
    let target = match (&topic.name, topic.topic_id.is_zero()) {
        (Some(name), true) => TopicRef::Name(name),
        (None, false) => TopicRef::Id(topic.topic_id),
        _ => return failed((ErrorCode::InvalidRequest, "name a topic either by name or by id".to_owned())),
    };
    if asked.times(topic.name.as_deref(), topic.topic_id) > 1 {
        return failed((ErrorCode::InvalidRequest, "the topic is named twice in the request".to_owned()));
    }
    if let Some(found) = found
        && asked.times(Some(&found.name), TopicId::ZERO) > 0
        && asked.times(None, found.id) > 0
    {
        return DeletableTopicResult {
            name: Some(Str::from(&*found.name)),
            topic_id: found.id,
            ..failed((ErrorCode::InvalidRequest, "the request has the topic's name and its id".to_owned()))
        };
    }
    let delete = async {
        let mut charge = mutations.charge();
        let decide = |image: &Image| {
            charge.decide();
            let (records, topic) = controller::delete_topic(image, &target).map_err(Refused::Rule)?;
            charge.take(topic.partitions.len())?;
            Ok((records, topic))
        };
        let changed = call.ctx.engine.quorum().change(decide).await;
        changed.map_err(|error| {
            let rule = |refused: DeleteTopicError| (refused.code(), refused.to_string());
            change_code(error, |refused: Refused<_>| refused.refusal(rule))
        })
    };
    match within(timeout_ms, delete).await {
        Ok(deleted) => DeletableTopicResult {
            name: Some(Str::from(&*deleted.name)),
            topic_id: deleted.id,
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        Err(refused) => failed(refused),
    }
}
