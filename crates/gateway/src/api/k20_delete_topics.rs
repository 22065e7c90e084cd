//! DeleteTopics, key 20, versions 1–6.
//!
//! v4 flexible · v5 error message, quota code (KIP-599) · v6 by id (KIP-516)

use ahash::AHashMap;
use eddy_metadata::controller::{self, TopicRef};
use eddy_types::{ErrorCode, TopicId};
use eddy_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::error::change_code;
use crate::topics;

pub(crate) const API: Api = Api::new(ApiKey::DeleteTopics, 1, 6);

pub(crate) async fn handle(call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked = if call.version >= 6 {
        request.topics
    } else {
        let named = |name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
        request.topic_names.into_iter().map(named).collect()
    };
    let mut times = AHashMap::<(Option<Str>, TopicId), usize>::new();
    for topic in &asked {
        *times.entry((topic.name.clone(), topic.topic_id)).or_default() += 1;
    }
    let mut responses = Vec::with_capacity(asked.len());
    for topic in asked {
        let named_twice = times.get(&(topic.name.clone(), topic.topic_id)).is_some_and(|times| *times > 1);
        responses.push(one(&call, topic, named_twice).await);
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

async fn one(call: &Call, asked: DeleteTopicState, named_twice: bool) -> DeletableTopicResult {
    let failed = |code: ErrorCode, message: String| DeletableTopicResult {
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        error_code: call.code(code),
        error_message: Some(message.into()),
    };
    let topic = match (&asked.name, asked.topic_id.is_zero()) {
        (Some(name), true) => TopicRef::Name(name),
        (None, false) => TopicRef::Id(asked.topic_id),
        _ => return failed(ErrorCode::InvalidRequest, "name a topic either by name or by id".to_owned()),
    };
    if named_twice {
        return failed(ErrorCode::InvalidRequest, "the topic is named twice in the request".to_owned());
    }
    if asked.name.as_deref().is_some_and(topics::is_internal) {
        return failed(ErrorCode::InvalidRequest, "internal topics cannot be deleted".to_owned());
    }
    match call.ctx.engine.quorum().change(|image| controller::delete_topic(image, &topic)).await {
        Ok(deleted) => DeletableTopicResult {
            name: Some(Str::from(&*deleted.name)),
            topic_id: deleted.id,
            ..DeletableTopicResult::default()
        },
        Err(error) => {
            let (code, message) = change_code(error, |refused| (refused.code(), refused.to_string()));
            failed(code, message)
        }
    }
}
