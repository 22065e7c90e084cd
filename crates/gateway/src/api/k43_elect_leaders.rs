//! ElectLeaders, key 43, versions 0–2.
//!
//! v1 election type, top-level error (KIP-460) · v2 flexible
//!
//! A lone broker is preferred and only leader of all its partitions, so no election is ever needed.

use eddy_metadata::{Image, Partition};
use eddy_types::ErrorCode;
use eddy_wire::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::ElectLeaders, 0, 2);

#[derive(Clone, Copy, Debug)]
enum Election {
    Preferred,
    Unclean,
}

pub(crate) async fn handle(call: Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    // Version 0 knows preferred elections only, and that is what the field is by default.
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let message = format!("unknown election type: {other}");
            return refuse(&call, &request, ErrorCode::InvalidRequest, message);
        }
    };
    if request.timeout_ms <= 0 && !matches!(&request.topic_partitions, Some(topics) if topics.is_empty()) {
        let message = format!("no time to elect: the request's timeout is {} ms", request.timeout_ms);
        return refuse(&call, &request, ErrorCode::RequestTimedOut, message);
    }
    let image = call.image();
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|topic| {
                let one = |&index: &i32| result(&call, &image, &topic.topic, index, election);
                ReplicaElectionResult {
                    topic: topic.topic.clone(),
                    partition_result: topic.partitions.iter().map(one).collect(),
                }
            })
            .collect(),
        None => all(&call, &image, election),
    };
    ElectLeadersResponse { replica_election_results: results, ..ElectLeadersResponse::default() }
}

/// Every partition of the cluster. As in Kafka, one that needs no election is not worth a word.
fn all(call: &Call, image: &Image, election: Election) -> Vec<ReplicaElectionResult> {
    let topics = image.topics().map(|topic| {
        let needed = (0..).zip(&topic.partitions).filter_map(|(index, partition)| {
            let code = elect(partition, election);
            (code != ErrorCode::ElectionNotNeeded).then(|| failed(call, index, code, code.meaning()))
        });
        ReplicaElectionResult { topic: Str::from(&*topic.name), partition_result: needed.collect() }
    });
    topics.collect()
}

fn result(call: &Call, image: &Image, topic: &str, index: i32, election: Election) -> PartitionResult {
    let Some(found) = image.topic(topic) else {
        let message = format!("no such topic: {topic:?}");
        return failed(call, index, ErrorCode::UnknownTopicOrPartition, &message);
    };
    let Some(partition) = usize::try_from(index).ok().and_then(|index| found.partitions.get(index)) else {
        let message = format!("no such partition: {topic}-{index}");
        return failed(call, index, ErrorCode::UnknownTopicOrPartition, &message);
    };
    let code = elect(partition, election);
    failed(call, index, code, code.meaning())
}

fn elect(partition: &Partition, election: Election) -> ErrorCode {
    match election {
        Election::Preferred if partition.leader == partition.replicas.first().copied() => {
            ErrorCode::ElectionNotNeeded
        }
        Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
        Election::Unclean if partition.leader.is_some() => ErrorCode::ElectionNotNeeded,
        Election::Unclean => ErrorCode::EligibleLeadersNotAvailable,
    }
}

fn failed(call: &Call, partition_id: i32, code: ErrorCode, message: &str) -> PartitionResult {
    PartitionResult { partition_id, error_code: call.code(code), error_message: Some(message.into()) }
}

fn refuse(
    call: &Call,
    request: &ElectLeadersRequest,
    code: ErrorCode,
    message: String,
) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: topic.topic.clone(),
        partition_result: topic.partitions.iter().map(|&index| failed(call, index, code, &message)).collect(),
    });
    ElectLeadersResponse {
        // Version 0 has no place for it.
        error_code: if call.version >= 1 { call.code(code) } else { 0 },
        replica_election_results: topics.collect(),
        ..ElectLeadersResponse::default()
    }
}
