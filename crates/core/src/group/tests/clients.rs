//! Requests as well-behaved clients make them, for tests to bend.

use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};

use super::world::{DELAY, World, brief};
use crate::group::{
    Blob, CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, Heartbeat, JoinGroup, JoinReply,
    LeaveGroup, LeavingMember, Protocol, Reply, ReplyToken, Str, SyncGroup,
};

/// Session timeout of the clients.
pub(in crate::group) const SESSION: i64 = 10_000;

/// Rebalance timeout of the clients.
pub(in crate::group) const REBALANCE: i64 = 60_000;

/// The bytes of a consumer's subscription to a topic.
pub(in crate::group) fn subscription(topic: &str) -> Blob {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend(topic.as_bytes());
    // Of version 1 on, user data and owned partitions follow.
    bytes.extend([0xff; 8]);
    bytes.into()
}

pub(in crate::group) fn protocol(name: &str) -> Protocol {
    Protocol { name: name.into(), metadata: subscription("t") }
}

/// A consumer of topic `t` joins group `g` for the first time, with a JoinGroup below v4: it becomes `<client>-1` at once.
pub(in crate::group) fn join(client: &str) -> JoinGroup {
    JoinGroup {
        group: "g".into(),
        member: "".into(),
        new_member: format!("{client}-1").into(),
        instance: None,
        client_id: client.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: Millis(SESSION),
        rebalance_timeout: Millis(REBALANCE),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range")],
        id_required: false,
        can_skip_assignment: true,
    }
}

/// The member `<client>-1` joins again.
pub(in crate::group) fn rejoin(client: &str) -> JoinGroup {
    JoinGroup { member: format!("{client}-1").into(), ..join(client) }
}

/// A static member joins.
pub(in crate::group) fn join_static(client: &str, instance: &str) -> JoinGroup {
    JoinGroup { instance: Some(instance.into()), ..join(client) }
}

pub(in crate::group) fn sync(client: &str, generation: i32, assignments: &[(&str, &str)]) -> SyncGroup {
    let assigned = |(client, bytes): &(&str, &str)| (format!("{client}-1").into(), bytes.as_bytes().into());
    SyncGroup {
        group: "g".into(),
        member: format!("{client}-1").into(),
        instance: None,
        generation,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: assignments.iter().map(assigned).collect(),
    }
}

pub(in crate::group) fn heartbeat(client: &str, generation: i32) -> Heartbeat {
    Heartbeat { group: "g".into(), member: format!("{client}-1").into(), instance: None, generation }
}

pub(in crate::group) fn leave(client: &str) -> LeaveGroup {
    let member = LeavingMember { member: format!("{client}-1").into(), instance: None };
    LeaveGroup { group: "g".into(), members: vec![member] }
}

/// An administrator removes a static member.
pub(in crate::group) fn leave_static(instance: &str) -> LeaveGroup {
    let member = LeavingMember { member: "".into(), instance: Some(instance.into()) };
    LeaveGroup { group: "g".into(), members: vec![member] }
}

/// A commit for partition 0 of topic `t`.
pub(in crate::group) fn commit(client: &str, generation: i32, offset: i64) -> CommitOffsets {
    let member = if client.is_empty() { "".into() } else { format!("{client}-1").into() };
    CommitOffsets { member, generation, ..commit_to("g", "t", offset) }
}

/// A commit without membership.
pub(in crate::group) fn commit_to(group: &str, topic: &str, offset: i64) -> CommitOffsets {
    let partition = CommitPartition {
        index: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: "note".into(),
    };
    CommitOffsets {
        group: group.into(),
        member: "".into(),
        instance: None,
        generation: -1,
        knows_epochs: true,
        retention: None,
        topics: vec![CommitTopic { name: topic.into(), id: TopicId::ZERO, partitions: vec![partition] }],
    }
}

/// Everything of a group.
pub(in crate::group) fn fetch(group: &str) -> FetchOffsets {
    FetchOffsets { group: group.into(), member: None, member_epoch: -1, topics: None }
}

impl World {
    pub(in crate::group) fn join(&mut self, request: JoinGroup) -> ReplyToken {
        self.ask(|shard, now, token, out| shard.join_group(now, token, request, out))
    }

    pub(in crate::group) fn sync(&mut self, request: SyncGroup) -> ReplyToken {
        self.ask(|shard, now, token, out| shard.sync_group(now, token, request, out))
    }

    pub(in crate::group) fn heartbeat(&mut self, request: Heartbeat) -> String {
        brief(&self.answer(|shard, now, token, out| shard.heartbeat(now, token, request, out)))
    }

    pub(in crate::group) fn leave(&mut self, request: LeaveGroup) -> String {
        brief(&self.answer(|shard, now, token, out| shard.leave_group(now, token, request, out)))
    }

    pub(in crate::group) fn commit(&mut self, request: CommitOffsets) -> String {
        brief(&self.answer(|shard, now, token, out| shard.commit_offsets(now, token, request, out)))
    }

    pub(in crate::group) fn fetch(&mut self, request: FetchOffsets) -> String {
        brief(&self.answer(|shard, _, token, out| shard.fetch_offsets(token, request, out)))
    }

    pub(in crate::group) fn list(&mut self) -> String {
        brief(&self.answer(|shard, _, token, out| shard.list_groups(token, &Default::default(), out)))
    }

    pub(in crate::group) fn delete(&mut self, group: &str) -> String {
        let group: Str = group.into();
        brief(&self.answer(|shard, _, token, out| shard.delete_group(token, &group, out)))
    }

    /// The answer to a request in a few words, or that it waits.
    pub(in crate::group) fn told(&mut self, token: ReplyToken) -> String {
        match self.try_reply(token) {
            Some(reply) => brief(&reply),
            None if self.waits(token) => "waits".into(),
            None => "never answered".into(),
        }
    }

    /// New dynamic members join the empty group; the first one leads. Time passes by the initial delay.
    pub(in crate::group) fn joined(clients: &[&str]) -> World {
        World::new().and_join(clients.iter().map(|client| join(client)).collect())
    }

    /// Members join an empty group until it completes.
    pub(in crate::group) fn and_join(mut self, requests: Vec<JoinGroup>) -> World {
        let tokens: Vec<ReplyToken> = requests.into_iter().map(|request| self.join(request)).collect();
        while self.waiting() > 0 {
            self.pass(DELAY);
        }
        for token in tokens {
            assert!(matches!(self.reply(token), Reply::Join(JoinReply::Joined(_))));
        }
        self
    }

    /// A stable group of dynamic members in generation 1; the first one leads, and each is assigned its own name.
    pub(in crate::group) fn stable(clients: &[&str]) -> World {
        World::joined(clients).and_sync(clients, 1)
    }

    /// The first one brings assignments, the others fetch theirs.
    pub(in crate::group) fn and_sync(mut self, clients: &[&str], generation: i32) -> World {
        let assignments: Vec<(&str, &str)> = clients.iter().map(|client| (*client, *client)).collect();
        for (at, client) in clients.iter().enumerate() {
            let assignments = if at == 0 { &assignments[..] } else { &[] };
            let token = self.sync(sync(client, generation, assignments));
            assert_eq!(self.told(token), format!("gets {client:?}"));
        }
        self
    }
}
