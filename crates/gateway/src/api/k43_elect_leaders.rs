//! ElectLeaders, key 43, versions 0–2.
//!
//! v1 election type, top-level error (KIP-460) · v2 flexible

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use eddy_metadata::Image;
use eddy_metadata::controller::{self, ElectionKind, ElectionRefusal};
use eddy_types::{ErrorCode, TopicPartition};
use eddy_wire::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::deadline::{timeout, within};
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::ElectLeaders, 0, 2);

type Results = BTreeMap<TopicPartition, Result<(), ElectionRefusal>>;

pub(crate) async fn handle(call: Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    // Version 0 knows preferred elections only, and that is what the field is by default.
    let Some(kind) = ElectionKind::from_code(request.election_type) else {
        let message = format!("unknown election type: {}", request.election_type);
        return refuse(&call, &request, ErrorCode::InvalidRequest, &message);
    };
    if matches!(&request.topic_partitions, Some(topics) if topics.is_empty()) {
        return ElectLeadersResponse::default();
    }
    let targets = request.topic_partitions.as_ref().map(|topics| {
        let of_topic = topics.iter().map(|topic| (Arc::<str>::from(topic.topic.as_str()), &topic.partitions));
        let partitions = of_topic.flat_map(|(topic, partitions)| {
            partitions.iter().map(move |&partition| TopicPartition { topic: Arc::clone(&topic), partition })
        });
        partitions.collect::<Vec<_>>()
    });
    let elect = async {
        let decide =
            |image: &Image| Ok::<_, Infallible>(controller::elect_leaders(image, kind, targets.as_deref()));
        let changed = call.ctx.engine.quorum().change(decide).await;
        changed.map_err(|error| change_code(error, |never| match never {}))
    };
    let outcomes = match within(request.timeout_ms, elect).await {
        Ok(outcomes) => outcomes,
        Err((code, message)) => return refuse(&call, &request, code, &message),
    };
    call.until_known(timeout(request.timeout_ms)).await;
    let mut results = Results::new();
    for (partition, result) in outcomes {
        // A partition named twice: what happened counts, not that the second time there was nothing to do.
        results.entry(partition).or_insert(result);
    }
    let replica_election_results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|topic| {
                let name = Arc::<str>::from(topic.topic.as_str());
                let of = |&partition| TopicPartition { topic: Arc::clone(&name), partition };
                let partitions = topic.partitions.iter().map(of);
                topic_result(&call, topic.topic.clone(), partitions, &results)
            })
            .collect(),
        None => all(&call, &results),
    };
    ElectLeadersResponse { replica_election_results, ..ElectLeadersResponse::default() }
}

/// Every topic of the cluster. As in Kafka, a partition that needs no election is not worth a word.
fn all(call: &Call, results: &Results) -> Vec<ReplicaElectionResult> {
    let image = call.image();
    let topics = image.topics().map(|topic| {
        let partitions = (0..).take(topic.partitions.len());
        let partitions =
            partitions.map(|partition| TopicPartition { topic: Arc::clone(&topic.name), partition });
        let elected = partitions.filter(|partition| results.contains_key(partition));
        topic_result(call, Str::from(&*topic.name), elected, results)
    });
    topics.collect()
}

fn topic_result(
    call: &Call,
    topic: Str,
    partitions: impl Iterator<Item = TopicPartition>,
    results: &Results,
) -> ReplicaElectionResult {
    let partition_result = partitions.map(|partition| match results.get(&partition) {
        Some(Ok(())) => PartitionResult {
            partition_id: partition.partition,
            error_message: None,
            ..PartitionResult::default()
        },
        Some(Err(refused)) => failed(call, partition.partition, refused.code(), &refused.to_string()),
        None => failed(call, partition.partition, ErrorCode::UnknownServerError, "nothing was decided"),
    });
    ReplicaElectionResult { topic, partition_result: partition_result.collect() }
}

fn failed(call: &Call, partition_id: i32, code: ErrorCode, message: &str) -> PartitionResult {
    PartitionResult { partition_id, error_code: call.code(code), error_message: Some(message.into()) }
}

fn refuse(
    call: &Call,
    request: &ElectLeadersRequest,
    code: ErrorCode,
    message: &str,
) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: topic.topic.clone(),
        partition_result: topic.partitions.iter().map(|&index| failed(call, index, code, message)).collect(),
    });
    ElectLeadersResponse {
        // Version 0 has no place for it.
        error_code: if call.version >= 1 { call.code(code) } else { 0 },
        replica_election_results: topics.collect(),
        ..ElectLeadersResponse::default()
    }
}
