//! `eddy group` against a broker, with members that this test plays.

use std::time::{Duration, Instant};

use eddy_client::messages::join_group_request::JoinGroupRequestProtocol;
use eddy_client::messages::sync_group_request::SyncGroupRequestAssignment;
use eddy_client::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerProtocolAssignment, GroupId, JoinGroupRequest, LeaveGroupRequest,
    SyncGroupRequest, TopicName, consumer_group_heartbeat_request, consumer_protocol_assignment,
    leave_group_request,
};
use eddy_client::protocol::{Encodable, StrBytes};
use eddy_client::{Connection, ConnectionOptions};
use expect_test::expect;

use bytes::{BufMut, Bytes, BytesMut};

use crate::cli_session::Session;
use crate::support::PATIENCE;

#[test]
fn a_group_is_moved_by_plan_and_brought_back() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    session.out_with(&["produce", "orders", "-p", "0"], b"a\nb\nc\nd\ne\n");
    session.out_with(&["produce", "orders", "-p", "1"], b"f\n");

    // A group that does not exist yet is moved as well: its consumers begin there.
    let plan = session.run("group seek billing --to latest --topic orders");
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    expect![[r#"
        TOPIC	P	NOW	NEW	DELTA	RECORD TIME	NOTE
        orders	0	-	5	-	-	
        orders	1	-	1	-	-	
    "#]]
    .assert_eq(&plan.stdout);
    assert_eq!(plan.stderr, "dry run, nothing changed (add --execute)\n");
    assert_eq!(session.run("group describe billing").code, 4, "a plan changes nothing");

    session.out("group seek billing --to latest --topic orders --execute");
    assert!(session.out("group ls").contains("billing\tclassic\tEmpty\t1\n"));
    let back = session.out("group seek billing --to -2 --execute -o jsonl");
    assert!(back.contains(r#""partition":0,"now":5,"new":3"#), "{back}");
    assert!(
        back.contains(r#""partition":1,"now":1,"new":0"#) && back.contains("older records are gone"),
        "{back}"
    );
    let described = session.out("group describe billing -o json");
    assert!(described.contains("\"lag\": 2,") && described.contains("\"state\": \"Empty\""), "{described}");

    let list = session.out("group undo billing --list");
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines.len() == 3 && lines[1].contains("--to -2\t2") && lines[2].contains("--to latest\t2"),
        "{list}"
    );
    session.out("group undo billing");
    session.out("group undo billing --execute");
    assert_eq!(committed(&session), [Some(5), Some(1)]);
    // The first change began from nothing, and nothing is what it goes back to.
    session.out("group undo billing --execute");
    assert_eq!(session.run("group undo billing --execute").code, 4);
    let gone = session.run("group describe billing -o json");
    assert!(
        gone.code == 4 || gone.stdout.contains("\"committed\": null") || !gone.stdout.contains("committed")
    );
}

#[test]
fn targets_are_offsets_times_and_other_groups() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    session.out_with(&["produce", "orders"], b"a\nb\nc\n");
    session.out("group seek first --to earliest --topic orders:0 --execute");
    session.out("group seek second --to 2 --topic orders --execute");
    session.out("group seek first --to-group second --execute");
    assert!(session.out("group describe first").contains("orders\t0\t2\t3\t1\t"));
    let plan = session.out("group seek first --to @-1h -o json");
    assert!(plan.contains("\"new\": 0") && plan.contains("\"executed\": false"), "{plan}");
    let plan = session.out("group seek first --to @+1h -o json");
    assert!(plan.contains("\"new\": 3") && plan.contains("no record that new"), "{plan}");
}

#[test]
fn mistakes_say_what_to_do_and_have_their_exit_codes() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    let unknown = session.run("group describe billing");
    assert_eq!(unknown.code, 4);
    assert!(
        unknown.stderr.starts_with("error: no such group: billing\n  fix: eddy group ls"),
        "{}",
        unknown.stderr
    );
    let nothing = session.run("group seek billing --to latest");
    assert_eq!(nothing.code, 4);
    assert!(nothing.stderr.contains("fix: --topic TOPIC"), "{}", nothing.stderr);
    assert_eq!(session.run("group seek billing --to latest --topic nothere").code, 4);
    assert_eq!(session.run("group seek billing --to latest --topic orders:7").code, 4);
    for wrong in
        ["group seek billing", "group seek billing --to newest", "group seek billing --to 1 --topic a:x"]
    {
        assert_eq!(session.run(wrong).code, 2, "{wrong}");
    }
    session.out("group seek billing --to latest --topic orders --execute");
    let asks = session.run("group delete billing");
    assert_eq!(asks.code, 2);
    assert!(asks.stderr.contains("fix: --yes"), "{}", asks.stderr);
    session.out("group delete billing --yes");
    assert_eq!(session.run("group delete billing --yes").code, 4);
}

#[test]
fn a_group_with_members_is_described_and_not_moved() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    session.out_with(&["produce", "orders", "-p", "0"], b"a\nb\nc\n");
    session.out("group seek billing --to earliest --topic orders --execute");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let member = runtime.block_on(Member::join(&session.address(), "billing", "orders", &[0, 1]));

    let described = session.out("group describe billing -o json");
    assert!(described.contains("\"state\": \"Stable\"") && described.contains("\"client\": \"eddy-client\""));
    assert!(described.contains("\"lag\": 3,"), "{described}");
    let refused = session.run("group seek billing --to latest --execute");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("group billing is not empty: it has 1 member"), "{}", refused.stderr);
    let plan = session.run("group seek billing --to latest");
    assert!(plan.stderr.contains("group must be empty: it has 1 member"), "{}", plan.stderr);
    assert_eq!(session.run("group delete billing --yes").code, 1);
    let explained = session.run("group explain billing --for 200ms --check");
    assert_eq!(explained.code, 3);
    assert!(explained.stdout.contains("STALLED on orders-0"), "{}", explained.stdout);
    assert!(explained.stdout.contains("eddy consume orders -p 0 -O 0 -n 1"), "{}", explained.stdout);

    runtime.block_on(member.leave());
    let explained = session.out("group explain billing --for 100ms");
    assert!(explained.contains("STOPPED on orders-0"), "{explained}");
    session.out("group seek billing --to latest --execute");
    assert!(session.out("group explain billing --for 100ms --check").contains("· ok\n"));
}

#[test]
fn offsets_of_one_topic_are_deleted_and_restored() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    session.out("topic create returns -p 1");
    session.out("group seek billing --to earliest --topic orders --topic returns --execute");
    let deleted = session.out("group delete billing --topic orders:1 --yes");
    assert_eq!(deleted, "GROUP\tOFFSETS\tRESULT\nbilling\t1\toffsets deleted\n");
    assert_eq!(committed(&session), [Some(0)]);
    session.out("group undo billing --execute");
    assert_eq!(committed(&session), [Some(0), Some(0)]);
}

#[test]
fn a_group_of_the_consumer_protocol_is_described_with_its_epoch() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let member = runtime.block_on(ModernMember::join(&session.address(), "billing", "orders"));

    assert!(session.out("group ls").contains("billing\tconsumer\tStable\t1\n"));
    let described = session.out("group describe billing -o jsonl");
    assert!(described.contains(r#""kind":"consumer","state":"Stable""#), "{described}");
    assert!(!described.contains(r#""epoch":null"#) && described.contains(r#""orders":[0,1]"#), "{described}");
    let refused = session.run("group seek billing --to latest --topic orders --execute");
    assert!(refused.stderr.contains("is not empty: it has 1 member"), "{}", refused.stderr);

    runtime.block_on(member.leave());
    session.out("group seek billing --to latest --topic orders --execute");
    assert_eq!(committed(&session), [Some(0), Some(0)]);
}

/// What the group `billing` committed in `orders`, by partition.
fn committed(session: &Session) -> Vec<Option<i64>> {
    let described = session.out("group describe billing");
    let rows = described.lines().filter_map(|line| line.strip_prefix("orders\t"));
    rows.map(|row| row.split('\t').nth(1).unwrap().parse().ok()).collect()
}

/// The only member of a classic group, and so its leader.
struct Member {
    connection: Connection,
    group: GroupId,
    id: StrBytes,
}

impl Member {
    async fn join(address: &str, group: &str, topic: &str, partitions: &[i32]) -> Member {
        let options = ConnectionOptions::default();
        let connection = Connection::open(address.parse().unwrap(), options).await.unwrap();
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let mut join = JoinGroupRequest::default()
            .with_group_id(group.clone())
            .with_session_timeout_ms(30_000)
            .with_rebalance_timeout_ms(30_000)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        // The first answer gives the id to join with (KIP-394).
        let first = connection.send(&join).await.unwrap();
        join.member_id = first.member_id;
        let joined = connection.send(&join).await.unwrap();
        assert_eq!(joined.error_code, 0);
        let assigned = consumer_protocol_assignment::TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partitions(partitions.to_vec());
        let mut assignment = BytesMut::new();
        assignment.put_i16(0);
        ConsumerProtocolAssignment::default()
            .with_assigned_partitions(vec![assigned])
            .encode(&mut assignment, 0)
            .unwrap();
        let mine = SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(assignment.freeze());
        let sync = SyncGroupRequest::default()
            .with_group_id(group.clone())
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
            .with_protocol_name(Some(StrBytes::from_static_str("range")))
            .with_assignments(vec![mine]);
        assert_eq!(connection.send(&sync).await.unwrap().error_code, 0);
        Member { connection, group, id: joined.member_id }
    }

    async fn leave(self) {
        let member = leave_group_request::MemberIdentity::default().with_member_id(self.id);
        let leave = LeaveGroupRequest::default().with_group_id(self.group).with_members(vec![member]);
        assert_eq!(self.connection.send(&leave).await.unwrap().error_code, 0);
    }
}

/// The only member of a group of the consumer protocol (KIP-848).
struct ModernMember {
    connection: Connection,
    request: ConsumerGroupHeartbeatRequest,
}

impl ModernMember {
    /// Joins, and takes what it is given.
    async fn join(address: &str, group: &str, topic: &str) -> ModernMember {
        let options = ConnectionOptions::default();
        let connection = Connection::open(address.parse().unwrap(), options).await.unwrap();
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_member_id(StrBytes::from_static_str("AAAAAAAAAAAAAAAAAAAAAQ"))
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_string(topic.to_owned()))]))
            .with_topic_partitions(Some(Vec::new()));
        let mut member = ModernMember { connection, request };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = member.connection.send(&member.request).await.unwrap();
            assert_eq!(answer.error_code, 0);
            member.request.member_epoch = answer.member_epoch;
            if let Some(assignment) = answer.assignment {
                let owned = assignment.topic_partitions.into_iter().map(|topic| {
                    consumer_group_heartbeat_request::TopicPartitions::default()
                        .with_topic_id(topic.topic_id)
                        .with_partitions(topic.partitions)
                });
                member.request.topic_partitions = Some(owned.collect());
            }
            let owns =
                member.request.topic_partitions.iter().flatten().any(|topic| !topic.partitions.is_empty());
            if owns {
                break;
            }
            assert!(Instant::now() < deadline, "nothing was assigned");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Says what it owns, with which the assignment is complete.
        assert_eq!(member.connection.send(&member.request).await.unwrap().error_code, 0);
        member
    }

    async fn leave(mut self) {
        self.request.member_epoch = -1;
        assert_eq!(self.connection.send(&self.request).await.unwrap().error_code, 0);
    }
}
