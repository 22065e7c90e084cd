//! A client of the classic protocol in random schedules: it knows what it was told, and may do anything with it.

use eddy_types::{ErrorCode, Millis};

use super::clients::{join, protocol};
use super::world::World;
use crate::group::{
    Blob, JoinGroup, JoinReply, LeaveGroup, LeavingMember, Reply, ReplyToken, Str, SyncGroup, SyncReply,
};

/// How many partitions there are to assign.
pub(super) const PARTITIONS: u8 = 6;

/// What a client believes.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) name: String,
    pub(super) group: Str,
    pub(super) instance: Option<Str>,
    /// How often it has started.
    pub(super) starts: u32,
    pub(super) member: Str,
    pub(super) generation: i32,
    /// The members that it has to assign to.
    pub(super) leads: Vec<Str>,
    pub(super) waits_for: Option<ReplyToken>,
    /// It has its assignment.
    pub(super) is_settled: bool,
    /// Another has its static name: it has to end.
    pub(super) is_fenced: bool,
    pub(super) session: i64,
    pub(super) rebalance: i64,
    pub(super) protocols: Vec<&'static str>,
    pub(super) protocol_type: &'static str,
    pub(super) id_required: bool,
    pub(super) can_skip: bool,
}

impl Player {
    pub(super) fn new(name: &str, group: &str, instance: Option<&str>) -> Player {
        Player {
            name: name.into(),
            group: group.into(),
            instance: instance.map(Into::into),
            starts: 0,
            member: "".into(),
            generation: -1,
            leads: Vec::new(),
            waits_for: None,
            is_settled: false,
            is_fenced: false,
            session: 10_000,
            rebalance: 20_000,
            protocols: vec!["range"],
            protocol_type: "consumer",
            id_required: true,
            can_skip: true,
        }
    }

    /// The process dies, and starts again without knowing anything. Its requests wait for nobody.
    pub(super) fn restart(&mut self) {
        self.starts += 1;
        self.waits_for = None;
        self.is_fenced = false;
        self.forget_membership();
    }

    fn forget_membership(&mut self) {
        self.member = "".into();
        self.generation = -1;
        self.leads.clear();
        self.is_settled = false;
    }

    /// Who it is for the one who assigns: a static member is the same one under every id.
    pub(super) fn identity(&self) -> Str {
        self.instance.clone().unwrap_or_else(|| self.member.clone())
    }

    pub(super) fn join(&mut self, world: &mut World) {
        self.starts += 1;
        self.is_settled = false;
        let request = JoinGroup {
            group: self.group.clone(),
            member: self.member.clone(),
            new_member: format!("{}-{}", self.name, self.starts).into(),
            instance: self.instance.clone(),
            session_timeout: Millis(self.session),
            rebalance_timeout: Millis(self.rebalance),
            protocol_type: self.protocol_type.into(),
            protocols: self.protocols.iter().map(|name| protocol(name)).collect(),
            id_required: self.id_required,
            can_skip_assignment: self.can_skip,
            ..join(&self.name)
        };
        self.waits_for = Some(world.join(request));
    }

    pub(super) fn sync(&mut self, world: &mut World, generation: i32) {
        let request = SyncGroup {
            group: self.group.clone(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            generation,
            protocol_type: None,
            protocol: None,
            assignments: self.assign(),
        };
        self.waits_for = Some(world.sync(request));
    }

    /// Each partition goes to one member, by turns.
    fn assign(&self) -> Vec<(Str, Blob)> {
        let members = self.leads.iter().enumerate();
        let assigned = members.map(|(at, member)| {
            let partitions =
                (0..PARTITIONS).filter(|partition| usize::from(*partition) % self.leads.len() == at);
            (member.clone(), partitions.collect::<Vec<u8>>().into())
        });
        assigned.collect()
    }

    pub(super) fn heartbeat(&mut self, world: &mut World, generation: i32) {
        let (group, member, instance) = (self.group.clone(), self.member.clone(), self.instance.clone());
        let request = crate::group::Heartbeat { group, member, instance, generation };
        let reply = world.answer(|shard, now, token, out| shard.heartbeat(now, token, request, out));
        if let Reply::Heartbeat(Err(error)) = reply
            && generation == self.generation
        {
            self.obey(error);
        }
    }

    pub(super) fn leave(&mut self, world: &mut World) {
        let member = LeavingMember { member: self.member.clone(), instance: self.instance.clone() };
        let request = LeaveGroup { group: self.group.clone(), members: vec![member] };
        world.answer(|shard, now, token, out| shard.leave_group(now, token, request, out));
        self.restart();
    }

    /// Takes the answer that it waits for, if it has come; gives the assignment, if it is one.
    pub(super) fn listen(&mut self, world: &mut World) -> Option<SyncReply> {
        let token = self.waits_for?;
        let Some(reply) = world.try_reply(token) else {
            if !world.waits(token) {
                // The coordinator died: the request is lost.
                self.waits_for = None;
            }
            return None;
        };
        self.waits_for = None;
        match reply {
            Reply::Join(JoinReply::Joined(joined)) => {
                self.member = joined.member.clone();
                self.generation = joined.generation;
                let assigns = joined.leader == joined.member && !joined.skip_assignment;
                let members = joined.members.iter().map(|member| member.member.clone());
                self.leads = if assigns { members.collect() } else { Vec::new() };
                None
            }
            Reply::Join(JoinReply::Failed { error: ErrorCode::MemberIdRequired, member }) => {
                self.member = member;
                None
            }
            Reply::Join(JoinReply::Failed { error, .. }) => {
                self.obey(error);
                None
            }
            Reply::Sync(sync) if sync.error == ErrorCode::None => {
                self.is_settled = true;
                Some(sync)
            }
            Reply::Sync(sync) => {
                self.obey(sync.error);
                None
            }
            other => panic!("{other:?} answers a join or a sync"),
        }
    }

    /// What Kafka's clients do on these errors.
    fn obey(&mut self, error: ErrorCode) {
        self.is_settled = false;
        match error {
            ErrorCode::RebalanceInProgress => self.generation = -1,
            ErrorCode::FencedInstanceId => self.is_fenced = true,
            _ => self.forget_membership(),
        }
    }

    /// Does what a well-behaved client does next; gives the assignment, if that led to one.
    pub(super) fn behave(&mut self, world: &mut World) -> Option<SyncReply> {
        if self.is_fenced {
            return None;
        }
        if self.waits_for.is_none() {
            match (self.generation, self.is_settled) {
                (-1, _) => self.join(world),
                (generation, false) => self.sync(world, generation),
                (generation, true) => self.heartbeat(world, generation),
            }
        }
        self.listen(world)
    }
}
