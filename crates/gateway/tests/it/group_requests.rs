//! Requests of the group APIs whose answers use as many fields as can be, for the tests of every version.

use bytes::Bytes;
use eddy_types::TopicId;
use eddy_wire::messages::*;
use eddy_wire::testing::AnyMessage;
use eddy_wire::{ApiKey, Str};

/// Topics by id begin here, for OffsetCommit and OffsetFetch.
const IDS_FROM: i16 = 10;

type Requests = Vec<Box<dyn AnyMessage>>;

/// Requests of one version; `None` for other APIs.
pub(crate) fn telling(key: ApiKey, version: i16, id: TopicId) -> Option<Requests> {
    Some(match key {
        ApiKey::OffsetCommit => vec![Box::new(offset_commit(version, id))],
        ApiKey::OffsetFetch => offset_fetch(version, id),
        ApiKey::FindCoordinator => find_coordinator(version),
        ApiKey::JoinGroup => {
            vec![Box::new(join_group(version)), Box::new(join_group::JoinGroupRequest::default())]
        }
        ApiKey::Heartbeat => vec![Box::new(heartbeat::HeartbeatRequest {
            group_id: "g".into(),
            group_instance_id: (version >= 3).then(|| "i".into()),
            ..Default::default()
        })],
        ApiKey::LeaveGroup => vec![Box::new(leave_group(version))],
        ApiKey::SyncGroup => vec![Box::new(sync_group(version))],
        ApiKey::DescribeGroups => vec![Box::new(describe_groups::DescribeGroupsRequest {
            groups: vec!["g".into(), "simple".into(), "nope".into(), Str::default()],
            include_authorized_operations: version >= 3,
        })],
        ApiKey::ListGroups => vec![
            Box::new(list_groups::ListGroupsRequest::default()),
            Box::new(list_groups::ListGroupsRequest {
                states_filter: if version >= 4 { vec!["Empty".into(), "nope".into()] } else { Vec::new() },
                types_filter: if version >= 5 { vec!["Classic".into()] } else { Vec::new() },
            }),
        ],
        ApiKey::DeleteGroups => {
            vec![Box::new(delete_groups::DeleteGroupsRequest {
                groups_names: vec!["nope".into(), "g".into()],
            })]
        }
        ApiKey::OffsetDelete => vec![Box::new(offset_delete("simple")), Box::new(offset_delete("nope"))],
        ApiKey::ConsumerGroupHeartbeat => {
            vec![Box::new(consumer_heartbeat(version, 0)), Box::new(consumer_heartbeat(version, 5))]
        }
        ApiKey::ConsumerGroupDescribe => {
            vec![Box::new(consumer_group_describe::ConsumerGroupDescribeRequest {
                group_ids: vec!["modern".into(), "g".into(), "nope".into()],
                include_authorized_operations: true,
            })]
        }
        _ => return None,
    })
}

fn named(by_id: bool, name: &str, id: TopicId) -> (Str, TopicId) {
    if by_id { (Str::default(), id) } else { (name.into(), TopicId::ZERO) }
}

fn offset_commit(version: i16, id: TopicId) -> offset_commit::OffsetCommitRequest {
    use offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 1,
        committed_leader_epoch: if version >= 6 { 0 } else { -1 },
        committed_metadata: Some("m".into()),
    };
    let topic = |name, id| {
        let (name, topic_id) = named(version >= IDS_FROM, name, id);
        OffsetCommitRequestTopic { name, topic_id, partitions: vec![partition(0), partition(99)] }
    };
    OffsetCommitRequest {
        group_id: "simple".into(),
        topics: vec![topic("t", id), topic("nope", TopicId([9; 16]))],
        ..OffsetCommitRequest::default()
    }
}

fn offset_fetch(version: i16, id: TopicId) -> Requests {
    use offset_fetch::*;
    if version < 8 {
        let topic = OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0, 1] };
        let request = |topics| OffsetFetchRequest { group_id: "simple".into(), topics, ..Default::default() };
        let mut requests: Requests = vec![Box::new(request(Some(vec![topic])))];
        if version >= 2 {
            requests.push(Box::new(request(None)));
        }
        return requests;
    }
    let topic = |name, id| {
        let (name, topic_id) = named(version >= IDS_FROM, name, id);
        OffsetFetchRequestTopics { name, topic_id, partition_indexes: vec![0, 1] }
    };
    let group = |group: &str, topics| OffsetFetchRequestGroup {
        group_id: group.into(),
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    let some = Some(vec![topic("t", id), topic("nope", TopicId([9; 16]))]);
    let groups = vec![group("simple", None), group("simple", some), group("nope", None)];
    vec![Box::new(OffsetFetchRequest { groups, require_stable: true, ..OffsetFetchRequest::default() })]
}

fn find_coordinator(version: i16) -> Requests {
    let request = |key_type| find_coordinator::FindCoordinatorRequest {
        key: if version < 4 { "g".into() } else { Str::default() },
        key_type: if version >= 1 { key_type } else { 0 },
        coordinator_keys: if version >= 4 { vec!["g".into(), "h".into()] } else { Vec::new() },
    };
    vec![Box::new(request(0)), Box::new(request(1)), Box::new(request(7))]
}

fn join_group(version: i16) -> join_group::JoinGroupRequest {
    use join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"md") };
    JoinGroupRequest {
        // A group of its own for each version, because a second member would wait for the first.
        group_id: format!("g{version}").into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: if version >= 1 { 10_000 } else { -1 },
        group_instance_id: (version >= 5).then(|| "i".into()),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        reason: (version >= 8).then(|| "a test".into()),
        ..JoinGroupRequest::default()
    }
}

fn leave_group(version: i16) -> leave_group::LeaveGroupRequest {
    use leave_group::{LeaveGroupRequest, MemberIdentity};
    let mut request = LeaveGroupRequest { group_id: "g9".into(), ..LeaveGroupRequest::default() };
    if version < 3 {
        request.member_id = "m".into();
        return request;
    }
    request.members = vec![MemberIdentity {
        group_instance_id: Some("nobody".into()),
        reason: (version >= 5).then(|| "a test".into()),
        ..MemberIdentity::default()
    }];
    request
}

fn sync_group(version: i16) -> sync_group::SyncGroupRequest {
    use sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
    let assignment =
        SyncGroupRequestAssignment { member_id: "m".into(), assignment: Bytes::from_static(b"a") };
    SyncGroupRequest {
        group_id: "g9".into(),
        generation_id: 1,
        member_id: "m".into(),
        protocol_type: (version >= 5).then(|| "consumer".into()),
        protocol_name: (version >= 5).then(|| "range".into()),
        assignments: vec![assignment],
        ..SyncGroupRequest::default()
    }
}

fn offset_delete(group: &str) -> offset_delete::OffsetDeleteRequest {
    use offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topic = |name: &str| OffsetDeleteRequestTopic { name: name.into(), partitions: partitions.clone() };
    OffsetDeleteRequest { group_id: group.into(), topics: vec![topic("t"), topic("nope")] }
}

fn consumer_heartbeat(
    version: i16,
    member_epoch: i32,
) -> consumer_group_heartbeat::ConsumerGroupHeartbeatRequest {
    use consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
    let joins = member_epoch == 0;
    ConsumerGroupHeartbeatRequest {
        group_id: "modern".into(),
        member_id: if version >= 1 || !joins { "member".into() } else { Str::default() },
        member_epoch,
        rebalance_timeout_ms: if joins { 10_000 } else { -1 },
        subscribed_topic_names: joins.then(|| vec!["t".into()]),
        topic_partitions: joins.then(Vec::new),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}
