//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup over sockets (R-3.50 to, trap X15).

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, MetadataRequest,
    SyncGroupRequest, SyncGroupResponse,
};

use crate::harness::{Broker, Client, settings, text};

/// No wait for more members, so that a lone one is in its generation at once.
const NO_DELAY: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

pub(crate) async fn broker() -> Broker {
    Broker::with(settings(), NO_DELAY).await
}

pub(crate) fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

pub(crate) fn join(name: &str, member: &str) -> JoinGroupRequest {
    let protocol = |name: &str, metadata: &'static [u8]| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::from_static(metadata))
    };
    JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(6000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range", b"\0\x01\xff\0"), protocol("sticky", b"s")])
}

pub(crate) fn sync(
    name: &str,
    joined: &JoinGroupResponse,
    assignments: &[(&str, &'static [u8])],
) -> SyncGroupRequest {
    let assignments = assignments.iter().map(|(member, bytes)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(bytes))
    });
    SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(assignments.collect())
}

fn heartbeat(name: &str, member: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_generation_id(generation)
}

pub(crate) async fn beat(client: &mut Client, name: &str, member: &str, generation: i32) -> i16 {
    client.call(3, &heartbeat(name, member, generation)).await.error_code
}

/// A member of a group of its own: joined, and with an assignment.
pub(crate) async fn lone_member(client: &mut Client, name: &str) -> JoinGroupResponse {
    // v3 needs no second round for the id.
    let joined = client.call(3, &join(name, "")).await;
    assert_eq!(joined.error_code, 0);
    let request = sync(name, &joined, &[(&joined.member_id, b"all")]);
    let synced = client.call(3, &request).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
    joined
}

#[tokio::test]
async fn a_new_member_comes_back_with_the_id_it_is_given_r_3_51() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let refused = client.call(4, &join("g", "")).await;
    assert_eq!(refused.error_code, 79);
    assert!(refused.member_id.starts_with("test-"), "{}", refused.member_id);
    let joined = client.call(9, &join("g", &refused.member_id)).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    // bit for bit.
    assert_eq!(joined.members[0].metadata, &b"\0\x01\xff\0"[..]);
    let stranger = client.call(9, &join("g", "nobody")).await;
    assert_eq!(stranger.error_code, 25);
}

#[tokio::test]
async fn members_meet_in_a_generation_and_followers_wait_for_the_leader_r_3_55_r_3_56_x15() {
    let broker = broker().await;
    let (mut first, mut second) = (broker.connect().await, broker.connect().await);
    let alone = lone_member(&mut first, "g").await;

    // The second one's join waits, and the first one hears of it in its heartbeat: 27, not 25.
    second.send(3, &join("g", "")).await;
    let mut watcher = broker.connect().await;
    let mut code = 0;
    for _ in 0..100 {
        code = beat(&mut watcher, "g", &alone.member_id, alone.generation_id).await;
        if code != 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(code, 27);

    let leader = first.call(3, &join("g", &alone.member_id)).await;
    let (_, follower) = second.receive::<JoinGroupRequest>(3).await;
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0), "only the leader gets the list");
    assert_eq!(leader.leader, leader.member_id);

    // The follower asks before the leader has brought anything: it waits, and gets its own.
    second.send(3, &sync("g", &follower, &[])).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (leader_id, follower_id) = (leader.member_id.as_str(), follower.member_id.as_str());
    let synced = first.call(3, &sync("g", &leader, &[(leader_id, b"one"), (follower_id, b"two")])).await;
    assert_eq!(synced.assignment, &b"one"[..]);
    let (_, synced) = second.receive::<SyncGroupRequest>(3).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"two"[..]));
    assert_eq!(beat(&mut first, "g", &leader.member_id, 2).await, 0);
    assert_eq!(beat(&mut second, "g", &follower.member_id, 2).await, 0);
}

#[tokio::test]
async fn a_parked_join_blocks_nobody_and_dies_with_its_connection() {
    let broker = broker().await;
    let (mut first, mut second) = (broker.connect().await, broker.connect().await);
    let alone = lone_member(&mut first, "g").await;
    second.send(3, &join("g", "")).await;
    // A request behind the parked one on the same connection is worked on, but answered after it.
    second.send(9, &MetadataRequest::default()).await;
    let mut third = broker.connect().await;
    third.call(9, &MetadataRequest::default()).await;
    drop(second);
    let rejoined = first.call(3, &join("g", &alone.member_id)).await;
    assert_eq!((rejoined.error_code, rejoined.generation_id), (0, 2));
}

#[tokio::test]
async fn answers_behind_a_parked_join_keep_their_order_r_2_1() {
    let broker = broker().await;
    let (mut first, mut second) = (broker.connect().await, broker.connect().await);
    let alone = lone_member(&mut first, "g").await;
    let join_id = second.send(3, &join("g", "")).await;
    let metadata_id = second.send(9, &MetadataRequest::default()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.send(3, &join("g", &alone.member_id)).await;
    assert_eq!(second.receive::<JoinGroupRequest>(3).await.0, join_id);
    assert_eq!(second.receive::<MetadataRequest>(9).await.0, metadata_id);
}

#[tokio::test]
async fn wrong_members_and_generations_have_their_codes_r_3_50_r_3_57() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let joined = lone_member(&mut client, "g").await;
    assert_eq!(beat(&mut client, "g", &joined.member_id, 7).await, 22);
    assert_eq!(beat(&mut client, "g", "nobody", 1).await, 25);
    assert_eq!(beat(&mut client, "nowhere", "nobody", 1).await, 25);
    assert_eq!(beat(&mut client, "", "nobody", 1).await, 24);
    let mut other = joined.clone();
    other.generation_id = 7;
    let code = |response: SyncGroupResponse| response.error_code;
    assert_eq!(code(client.call(3, &sync("g", &other, &[])).await), 22);
    // v5 says what the member believes to be: nothing, or something else, is refused.
    assert_eq!(code(client.call(5, &sync("g", &joined, &[])).await), 23);
    let believes = |protocol: &str| {
        sync("g", &joined, &[])
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text(protocol)))
    };
    assert_eq!(code(client.call(5, &believes("sticky")).await), 23);
    assert_eq!(code(client.call(5, &believes("range")).await), 0);

    let wrong = |change: fn(JoinGroupRequest) -> JoinGroupRequest| change(join("g", ""));
    for (request, expected) in [
        (wrong(|join| join.with_group_id(group(""))), 24),
        (wrong(|join| join.with_session_timeout_ms(10)), 26),
        (wrong(|join| join.with_protocol_type(text("connect"))), 23),
        (wrong(|join| join.with_protocols(Vec::new())), 23),
    ] {
        assert_eq!(client.call(3, &request).await.error_code, expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_static_member_takes_over_and_fences_the_one_before_r_3_52() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let instance = |member: &str| join("g", member).with_group_instance_id(Some(text("i")));
    let first = client.call(5, &instance("")).await;
    assert_eq!(first.error_code, 0, "a static member needs no second round");
    let request = sync("g", &first, &[(&first.member_id, b"all")]);
    assert_eq!(client.call(3, &request).await.error_code, 0);
    let second = client.call(5, &instance("")).await;
    assert_eq!((second.error_code, second.generation_id), (0, first.generation_id), "no rebalance");
    assert_ne!(second.member_id, first.member_id);
    let old = heartbeat("g", &first.member_id, 1).with_group_instance_id(Some(text("i")));
    assert_eq!(client.call(3, &old).await.error_code, 82);
    assert_eq!(client.call(5, &instance(&first.member_id)).await.error_code, 82);
}

#[tokio::test]
async fn members_leave_one_by_one_or_together_r_3_58() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    let joined = lone_member(&mut client, "g").await;
    let one = LeaveGroupRequest::default().with_group_id(group("g"));
    let old = one.clone().with_member_id(text("nobody"));
    assert_eq!(client.call(2, &old).await.error_code, 25);
    let member = |id: &str| MemberIdentity::default().with_member_id(text(id));
    let many = one.clone().with_members(vec![member("nobody"), member(&joined.member_id)]);
    let left = client.call(5, &many).await;
    let codes: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
    assert_eq!((left.error_code, codes), (0, vec![25, 0]));
    assert_eq!(beat(&mut client, "g", &joined.member_id, 1).await, 25);
    let again = lone_member(&mut client, "g").await;
    assert_eq!(again.generation_id, 3, "the empty generation counts");
    assert_eq!(client.call(0, &one.with_member_id(again.member_id)).await.error_code, 0);
}

#[tokio::test]
async fn a_silent_member_is_removed_and_the_others_rebalance() {
    let config = [NO_DELAY, &[("group.min.session.timeout.ms", "100")]].concat();
    let broker = Broker::with(settings(), &config).await;
    let mut client = broker.connect().await;
    let request = join("g", "").with_session_timeout_ms(200);
    let joined = client.call(3, &request).await;
    client.call(3, &sync("g", &joined, &[])).await;
    assert_eq!(beat(&mut client, "g", &joined.member_id, 1).await, 0);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(beat(&mut client, "g", &joined.member_id, 1).await, 25);
}

/// members go on after a restart as if nothing had happened.
#[tokio::test]
async fn a_restart_keeps_members_generations_and_assignments() {
    let broker = broker().await;
    let joined = lone_member(&mut broker.connect().await, "g").await;
    let broker = broker.restart(NO_DELAY).await;
    let mut client = broker.connect().await;
    assert_eq!(beat(&mut client, "g", &joined.member_id, joined.generation_id).await, 0);
    let synced = client.call(3, &sync("g", &joined, &[])).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
}
