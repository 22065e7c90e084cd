//! DescribeQuorum, key 55, versions 0–2 (KIP-595).
//!
//! v1 fetch times of the voters (KIP-836) · v2 directories, error messages, voters' addresses (KIP-853)

use eddy_quorum::{MemberStatus, QuorumStatus};
use eddy_types::ErrorCode;
use eddy_wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, ReplicaState, RequestTopicData,
    ResponsePartitionData, ResponseTopicData,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::brokers;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeQuorum, 0, 2);

/// The name under which clients know the metadata's log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Name of the listener, in capitals: the Java client reads the whole answer only if every name is.
const LISTENER: Str = Str::from_static("KAFKA");

pub(crate) async fn handle(call: Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let mut response = DescribeQuorumResponse::default();
    if is_metadata(&request.topics) {
        // Only the leader knows how far the others are; Kafka asks it too.
        let status = call.ctx.engine.quorum().status_of_leader().await;
        response.topics = vec![ResponseTopicData {
            topic_name: Str::from_static(METADATA_TOPIC),
            partitions: vec![describe(&status)],
        }];
        if call.version >= 2 {
            response.nodes = nodes(&call, &status);
        }
    } else {
        // As in Kafka: one topic too many, and none is described.
        response.topics = request.topics.iter().map(|topic| unknown(&call, topic)).collect();
    }
    response
}

fn is_metadata(topics: &[RequestTopicData]) -> bool {
    matches!(topics, [topic] if topic.topic_name == METADATA_TOPIC
        && matches!(topic.partitions.as_slice(), [partition] if partition.partition_index == 0))
}

fn describe(status: &QuorumStatus) -> ResponsePartitionData {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let replica = |member: &MemberStatus| {
        // Nothing is known of others when the leader could not be asked.
        let contact = member.last_contact.map_or(-1, |at| at.0);
        let caught_up = member.log_end == Some(status.log_end);
        ReplicaState {
            replica_id: member.broker.0,
            log_end_offset: member.log_end.map_or(-1, number),
            last_fetch_timestamp: contact,
            last_caught_up_timestamp: if caught_up { contact } else { -1 },
            ..ReplicaState::default()
        }
    };
    ResponsePartitionData {
        leader_id: status.leader.map_or(-1, |leader| leader.0),
        leader_epoch: i32::try_from(status.term).unwrap_or(i32::MAX),
        high_watermark: number(status.committed_end),
        current_voters: status.voters.iter().map(replica).collect(),
        observers: status.learners.iter().map(replica).collect(),
        ..ResponsePartitionData::default()
    }
}

/// Where the members are, as far as clients can reach them.
fn nodes(call: &Call, status: &QuorumStatus) -> Vec<Node> {
    let image = call.image();
    let members = status.voters.iter().chain(&status.learners);
    let addresses = members.filter_map(|member| brokers::address(call, &image, member.broker));
    let nodes = addresses.map(|address| {
        let listener = Listener { name: LISTENER, host: address.host.into(), port: address.port };
        Node { node_id: address.broker.0, listeners: vec![listener] }
    });
    nodes.collect()
}

fn unknown(call: &Call, topic: &RequestTopicData) -> ResponseTopicData {
    let code = ErrorCode::UnknownTopicOrPartition;
    let partitions = topic.partitions.iter().map(|partition| ResponsePartitionData {
        partition_index: partition.partition_index,
        error_code: call.code(code),
        error_message: Some(code.meaning().into()),
        ..ResponsePartitionData::default()
    });
    ResponseTopicData { topic_name: topic.topic_name.clone(), partitions: partitions.collect() }
}
