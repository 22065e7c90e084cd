//! Clients as they behave: a consumer gives partitions back before it says so, starts anew when it is fenced, and may
//! lose an answer; a classic one joins and syncs.

use eddy_types::{ErrorCode, Millis};

use super::{World, beat};
use crate::group::consumer::classic::by_id;
use crate::group::consumer::protocol::Assignment;
use crate::group::consumer::protocol::tests::subscription;
use crate::group::tests::random::Random;
use crate::group::{
    ConsumerGroupError, ConsumerHeartbeat, Heartbeat, JoinGroup, JoinReply, LeaveGroup, LeavingMember,
    Partitions, Protocol, Reply, Str, SyncGroup,
};

/// What a client subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) names: Vec<&'static str>,
    pub(super) regex: &'static str,
    pub(super) assignor: Option<&'static str>,
}

/// A client that speaks the consumer protocol.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) id: Str,
    pub(super) instance: Option<Str>,
    pub(super) wishes: Wishes,
    /// 0 when it has to join.
    pub(super) epoch: i32,
    /// What it reads.
    pub(super) owned: Partitions,
    /// What it was told last.
    pub(super) given: Partitions,
    /// It is not sure what the coordinator knows: it says all of it.
    pub(super) unsure: bool,
    /// What it said it owns, in the last request that was answered.
    said: Partitions,
    /// Its last answer was lost.
    pub(super) lost: bool,
}

impl Consumer {
    pub(super) fn new(id: Str, instance: Option<Str>, wishes: Wishes) -> Consumer {
        Consumer {
            id,
            instance,
            wishes,
            epoch: 0,
            owned: Partitions::default(),
            given: Partitions::default(),
            unsure: true,
            said: Partitions::default(),
            lost: false,
        }
    }

    fn request(&self) -> ConsumerHeartbeat {
        let full = self.unsure || self.epoch == 0;
        let mut request = ConsumerHeartbeat { instance: self.instance.clone(), ..beat(&self.id, self.epoch) };
        if full {
            request.rebalance_timeout = Some(Millis(60_000));
            request.topic_names = Some(self.wishes.names.iter().map(|&name| name.into()).collect());
            request.topic_regex = Some(self.wishes.regex.into());
            request.assignor = self.wishes.assignor.map(Str::from);
        }
        request.owned = (full || self.owned != self.said).then(|| self.owned.clone());
        request
    }

    /// Sends a heartbeat, whose answer may be lost.
    pub(super) fn beat(&mut self, world: &mut World, lose_answer: bool) {
        if self.epoch == 0 {
            self.owned = Partitions::default();
        }
        let request = self.request();
        let answer = world.heartbeat(request);
        if lose_answer {
            (self.unsure, self.lost) = (true, true);
            return;
        }
        match answer {
            Ok(answer) => {
                assert!(answer.member_epoch >= self.epoch, "G3: {} fell to {}", self.id, answer.member_epoch);
                self.epoch = answer.member_epoch;
                self.said = self.owned.clone();
                (self.unsure, self.lost) = (false, false);
                self.told(answer.assignment);
            }
            Err(error) => self.refused(&error),
        }
    }

    /// It gives back what it is not to have before it takes anything new; what it has to give back it gives back later.
    fn told(&mut self, assignment: Option<Partitions>) {
        let Some(given) = assignment else { return };
        if self.owned.iter().all(|(topic, partition)| given.contains(topic, partition)) {
            self.owned = given.clone();
        }
        self.given = given;
    }

    fn refused(&mut self, error: &ConsumerGroupError) {
        match error {
            ConsumerGroupError::FencedEpoch { .. } => {
                assert!(!self.lost, "{} lost one answer and is fenced: {error}", self.id);
            }
            ConsumerGroupError::UnknownMember { .. }
            | ConsumerGroupError::GroupNotFound { .. }
            | ConsumerGroupError::FencedInstance { .. }
            | ConsumerGroupError::UnreleasedInstance { .. } => {}
            other => panic!("{} is refused: {other}", self.id),
        }
        self.start_anew();
    }

    pub(super) fn start_anew(&mut self) {
        (self.epoch, self.unsure, self.lost) = (0, true, false);
        self.owned = Partitions::default();
        self.given = Partitions::default();
    }

    /// Gives back what it has to.
    pub(super) fn give_back(&mut self) {
        let keep = |&(topic, partition): &(_, _)| self.given.contains(topic, partition);
        self.owned = self.owned.iter().filter(keep).collect();
    }

    pub(super) fn has_to_give_back(&self) -> bool {
        self.owned.iter().any(|(topic, partition)| !self.given.contains(topic, partition))
    }

    pub(super) fn leave(&mut self, world: &mut World, epoch: i32) {
        let request = ConsumerHeartbeat { instance: self.instance.clone(), ..beat(&self.id, epoch) };
        let _ = world.heartbeat(request);
        self.start_anew();
    }

    /// Sends an epoch that is neither its own nor the one before, in which case it must be refused.
    pub(super) fn lie(&self, world: &mut World, random: &mut Random) {
        let epoch = self.epoch + random.pick(&[1, 2, 100]);
        let request = ConsumerHeartbeat { member_epoch: epoch, owned: None, ..self.request() };
        if self.epoch > 0 && !self.lost {
            world.heartbeat(request).expect_err("an epoch that was never handed out");
        }
    }
}

/// A client that speaks the classic protocol, with cooperative rebalancing.
#[derive(Clone, Debug)]
pub(super) struct Classic {
    pub(super) id: Str,
    pub(super) name: Str,
    /// JoinGroups that were sent, each with a fresh id to be given.
    joins: u32,
    pub(super) topic: &'static str,
    pub(super) next: ClassicStep,
    generation: i32,
    given: Partitions,
    /// The members of its generation, if it leads it.
    led: Vec<Str>,
}

/// What a classic client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClassicStep {
    Join,
    Sync,
    Beat,
    /// It waits for an answer.
    Wait,
}

impl Classic {
    pub(super) fn new(name: Str, topic: &'static str) -> Classic {
        Classic {
            id: "".into(),
            name,
            joins: 0,
            topic,
            next: ClassicStep::Join,
            generation: -1,
            given: Partitions::default(),
            led: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, world: &mut World) {
        let token = world.token();
        let (group, member) = (Str::from("g"), self.id.clone());
        match self.next {
            ClassicStep::Wait => {}
            ClassicStep::Join => {
                self.joins += 1;
                let request = self.join_request(world);
                world.send(self.name.clone(), token, |shard, now, out| {
                    shard.join_group(now, token, request, out)
                });
            }
            ClassicStep::Sync => {
                let request = self.sync_request(world);
                world.send(self.name.clone(), token, |shard, now, out| {
                    shard.sync_group(now, token, request, out)
                });
            }
            ClassicStep::Beat => {
                let request = Heartbeat { group, member, instance: None, generation: self.generation };
                world.send(self.name.clone(), token, |shard, now, out| {
                    shard.heartbeat(now, token, request, out)
                });
            }
        }
        if self.next != ClassicStep::Wait {
            self.next = ClassicStep::Wait;
        }
    }

    fn join_request(&self, world: &World) -> JoinGroup {
        let owned: Vec<(String, Vec<i32>)> = self
            .given
            .topics()
            .map(|(id, partitions)| (world.topic_name(*id), partitions.iter().copied().collect()))
            .collect();
        let owned: Vec<(&str, &[i32])> =
            owned.iter().map(|(name, list)| (name.as_str(), list.as_slice())).collect();
        let metadata = subscription(1, &[self.topic], &owned);
        JoinGroup {
            group: "g".into(),
            member: self.id.clone(),
            new_member: format!("{}-{}", self.name, self.joins).into(),
            instance: None,
            client_id: "classic".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: Millis(45_000),
            rebalance_timeout: Millis(60_000),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "cooperative-sticky".into(), metadata }],
            id_required: false,
            can_skip_assignment: false,
        }
    }

    /// The leader of a classic generation gives everything to one member.
    fn sync_request(&self, world: &World) -> SyncGroup {
        let count =
            world.topics().find(|(name, _)| ***name == *self.topic).map_or(0, |(_, facts)| facts.partitions);
        let assignment =
            Assignment { partitions: vec![(self.topic.into(), (0..count).collect())], has_user_data: false };
        let assignments = self.led.first().map(|member| (member.clone(), assignment.to_bytes(1)));
        SyncGroup {
            group: "g".into(),
            member: self.id.clone(),
            instance: None,
            generation: self.generation,
            protocol_type: Some("consumer".into()),
            protocol: Some("cooperative-sticky".into()),
            assignments: assignments.into_iter().collect(),
        }
    }

    pub(super) fn leave(&self, world: &mut World) {
        let token = world.token();
        let leaving = LeavingMember { member: self.id.clone(), instance: None };
        let request = LeaveGroup { group: "g".into(), members: vec![leaving] };
        world.send("".into(), token, |shard, now, out| shard.leave_group(now, token, request, out));
    }

    pub(super) fn hear(&mut self, world: &World, reply: &Reply) {
        self.next = match reply {
            Reply::Join(JoinReply::Joined(joined)) => {
                self.id = joined.member.clone();
                self.generation = joined.generation;
                self.led = joined.members.iter().map(|member| member.member.clone()).collect();
                ClassicStep::Sync
            }
            Reply::Join(JoinReply::Failed { error, .. }) => self.failed(*error),
            Reply::Sync(synced) if synced.error == ErrorCode::None => {
                let given = Assignment::parse(&synced.assignment).expect("an assignment");
                let given = by_id(&given.partitions, &world.cluster_topics());
                let kept = |partition: &(_, _)| given.contains(partition.0, partition.1);
                let gives_back = !self.given.iter().all(|partition| kept(&partition));
                self.given = given;
                if gives_back { ClassicStep::Join } else { ClassicStep::Beat }
            }
            Reply::Sync(synced) => self.failed(synced.error),
            Reply::Heartbeat(outcome) => {
                outcome.map_or_else(|error| self.failed(error), |()| ClassicStep::Beat)
            }
            other => panic!("not for a classic member: {other:?}"),
        };
    }

    fn failed(&mut self, error: ErrorCode) -> ClassicStep {
        match error {
            ErrorCode::RebalanceInProgress => {}
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                self.given = Partitions::default();
                if error == ErrorCode::UnknownMemberId {
                    self.id = "".into();
                }
            }
            other => panic!("{} is refused: {other:?}", self.name),
        }
        ClassicStep::Join
    }
}
