//! CreatePartitions, key 37, versions 0–3.
//!
//! v2 flexible · v3 quota code (KIP-599). Topics grow, never shrink.

use ahash::AHashMap;
use eddy_metadata::Record;
use eddy_metadata::controller::{self, CreatePartitionsError, NewPartitions};
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::deadline::{timeout, within};
use crate::error::change_code;
use crate::quota::{Mutations, Refused};

pub(crate) const API: Api = Api::new(ApiKey::CreatePartitions, 0, 3);

/// From this version on a client knows what it means to be over its quota.
const QUOTA_FROM: i16 = 3;

pub(crate) async fn handle(call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut times = AHashMap::<Str, usize>::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(times.len());
    let mut mutations = Mutations::start(&call, QUOTA_FROM);
    for topic in &request.topics {
        // A topic named twice has one answer.
        let Some(times) = times.remove(&topic.name) else { continue };
        let outcome = if times > 1 {
            Err((ErrorCode::InvalidRequest, "the topic is named twice in the request".to_owned()))
        } else {
            within(request.timeout_ms, one(&call, topic, request.validate_only, &mut mutations)).await
        };
        let (code, error_message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(Str::from(message))),
        };
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: call.code(code),
            error_message,
        });
    }
    if !request.validate_only {
        call.until_known(timeout(request.timeout_ms)).await;
    }
    CreatePartitionsResponse { throttle_time_ms: mutations.finish(), results }
}

async fn one(
    call: &Call,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
    mutations: &mut Mutations<'_>,
) -> Result<(), (ErrorCode, String)> {
    let brokers = |ids: &Vec<i32>| ids.iter().map(|&id| BrokerId(id)).collect();
    let new = NewPartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments: topic
            .assignments
            .as_ref()
            .map(|assignments| assignments.iter().map(|one| brokers(&one.broker_ids)).collect()),
    };
    let mut charge = mutations.charge();
    let decide = |image: &_| {
        charge.decide();
        let records = controller::create_partitions(image, &new).map_err(Refused::Rule)?;
        let added = records.iter().map(|record| match record {
            Record::PartitionsAdded { partitions, .. } => partitions.len(),
            _ => 0,
        });
        charge.take(added.sum())?;
        Ok((if validate_only { Vec::new() } else { records }, ()))
    };
    let changed = call.ctx.engine.quorum().change(decide).await;
    changed.map_err(|error| {
        let rule = |refused: CreatePartitionsError| (refused.code(), refused.to_string());
        change_code(error, |refused: Refused<_>| refused.refusal(rule))
    })
}
