//! Stories: one event a line, and what came of it.
//!
//! `m1 join a,b` · `m1 beat` · `m1 ack` (says that it owns what it was given) · `m1 leave` · `m1 away` · `wait 5000` ·
//! `topic a 4` · `restart` · `show`. Words after an event change its request: `epoch=3`, `owned=a0,a1`, `instance=i1`,
//! `regex=a.*`, `assignor=range`, `names=a,b`, `timeout=100`.
//!
//! Classic members: `c1 Join a,b` (it owns what it was given, or `owned=`) · `c1 Sync` · `c1 Beat` · `c1 Leave`, changed
//! by `id=` (an empty one joins as new), `generation=`, `instance=`, `protocols=range,sticky`, `assign=c1:a0`. Answers
//! that come later are told at the event that brings them.

use std::collections::BTreeMap;
use std::fmt::Write;

use eddy_types::{ErrorCode, Millis};
use expect_test::Expect;

use super::{World, beat, join};
use crate::group::consumer::classic::{by_id, to_bytes};
use crate::group::consumer::protocol::Assignment;
use crate::group::consumer::protocol::tests::subscription;
use crate::group::{
    ConsumerHeartbeat, Effects, Heartbeat, JoinGroup, JoinReply, LeaveGroup, LeavingMember, Note, Partitions,
    Protocol, Reply, ReplyToken, Str, SyncGroup,
};

/// A client as a story knows it: what it was told last.
#[derive(Clone, Debug, Default)]
struct Client {
    /// Its id, if that is not its name in the story.
    id: Option<Str>,
    epoch: i32,
    instance: Option<Str>,
    given: Partitions,
}

/// Plays a story and compares it with what is expected: the events again, each with its outcome.
pub(super) fn story(script: &str, expected: &Expect) {
    play(World::new(), script, expected);
}

pub(super) fn play(world: World, script: &str, expected: &Expect) {
    let mut told = Story { world, clients: BTreeMap::new(), waiting: BTreeMap::new() };
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let outcome = told.event(line);
        told.world.check_replay();
        let _ =
            if outcome.is_empty() { writeln!(out, "{line}") } else { writeln!(out, "{line} -> {outcome}") };
    }
    expected.assert_eq(&out);
}

struct Story {
    world: World,
    clients: BTreeMap<String, Client>,
    /// Whose answers are still to come.
    waiting: BTreeMap<ReplyToken, String>,
}

impl Story {
    fn event(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["topic", name, partitions] => {
                self.world.set_topic(name, partitions.parse().unwrap());
                String::new()
            }
            ["wait", span] => {
                let out = self.world.wait(Millis(span.parse().unwrap()));
                let expired = out.notes.iter().filter_map(|note| match note {
                    Note::MemberExpired { member, reason, .. } => Some(format!("{member} {reason:?}")),
                    _ => None,
                });
                let mut told: Vec<String> = expired.collect();
                told.extend(Some(self.hear(out)).filter(|heard| !heard.is_empty()));
                told.join(", ")
            }
            ["restart"] => {
                self.world.restart();
                String::new()
            }
            ["show"] => self.show(),
            [member, event @ ("Join" | "Sync" | "Beat" | "Leave"), words @ ..] => {
                self.classic(member, event, words)
            }
            [member, event, words @ ..] => self.heartbeat(member, event, words),
            _ => panic!("not an event: {line}"),
        }
    }

    fn heartbeat(&mut self, member: &str, event: &str, words: &[&str]) -> String {
        let client = self.clients.entry(member.to_owned()).or_default().clone();
        let mut request = match event {
            "join" => join(member, &[]),
            "leave" => beat(member, -1),
            "away" => beat(member, -2),
            _ => beat(member, client.epoch),
        };
        request.instance = client.instance.clone();
        if event == "ack" {
            request.owned = Some(client.given.clone());
        }
        for word in words {
            self.change(&mut request, word);
        }
        let instance = request.instance.clone();
        let (answer, out) = self.world.heartbeat_and_more(request);
        let heard = self.hear(out);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return error.code().name().to_owned(),
        };
        let client = self.clients.entry(member.to_owned()).or_default();
        (client.epoch, client.instance) = (answer.member_epoch, instance);
        let mut outcome = format!("epoch {}", answer.member_epoch);
        if let Some(given) = answer.assignment {
            let _ = write!(outcome, " [{}]", list(&self.world, &given));
            client.given = given;
        }
        if heard.is_empty() { outcome } else { format!("{outcome}, {heard}") }
    }

    fn change(&self, request: &mut ConsumerHeartbeat, word: &str) {
        let names = |list: &str| list.split(',').filter(|name| !name.is_empty()).map(Str::from).collect();
        match word.split_once('=') {
            None => request.topic_names = Some(names(word)),
            Some(("names", list)) => request.topic_names = Some(names(list)),
            Some(("epoch", epoch)) => request.member_epoch = epoch.parse().unwrap(),
            Some(("instance", instance)) => request.instance = Some(instance.into()),
            Some(("regex", regex)) => request.topic_regex = Some(regex.into()),
            Some(("assignor", name)) => request.assignor = Some(name.into()),
            Some(("timeout", span)) => request.rebalance_timeout = Some(Millis(span.parse().unwrap())),
            Some(("owned", list)) => request.owned = Some(parse(&self.world, list)),
            Some(_) => panic!("not a change of a request: {word}"),
        }
    }

    fn classic(&mut self, member: &str, event: &str, words: &[&str]) -> String {
        let client = self.clients.entry(member.to_owned()).or_default().clone();
        let mut said = Said { member, client, topics: "", protocols: "range", assign: "" };
        for word in words {
            said.change(&self.world, word);
        }
        let token = self.world.token();
        self.waiting.insert(token, member.to_owned());
        let out = match event {
            "Join" => {
                let request = said.join(&self.world);
                self.world.event(|shard, now, out| shard.join_group(now, token, request, out))
            }
            "Sync" => {
                let request = said.sync(&self.world);
                self.world.event(|shard, now, out| shard.sync_group(now, token, request, out))
            }
            "Beat" => {
                let request = said.beat();
                self.world.event(|shard, now, out| shard.heartbeat(now, token, request, out))
            }
            _ => {
                let request = said.leave();
                self.world.event(|shard, now, out| shard.leave_group(now, token, request, out))
            }
        };
        if event == "Join" {
            self.clients.insert(member.to_owned(), said.client);
        }
        self.hear(out)
    }

    /// What classic members are told.
    fn hear(&mut self, out: Effects) -> String {
        let mut told = Vec::new();
        for (token, reply) in out.replies {
            let Some(member) = self.waiting.remove(&token) else { continue };
            let client = self.clients.entry(member.clone()).or_default();
            let text = match reply {
                Reply::Join(JoinReply::Joined(joined)) => {
                    client.epoch = joined.generation;
                    client.id = Some(joined.member.clone());
                    let leads = if joined.leader == joined.member { " leads" } else { "" };
                    format!("generation {}{leads}", joined.generation)
                }
                Reply::Join(JoinReply::Failed { error, member }) => {
                    if error == ErrorCode::MemberIdRequired {
                        client.id = Some(member);
                    }
                    error.name().to_owned()
                }
                Reply::Sync(synced) if synced.error == ErrorCode::None => {
                    let given = Assignment::parse(&synced.assignment).unwrap();
                    client.given = by_id(&given.partitions, &self.world.cluster_topics());
                    format!("[{}]", list(&self.world, &client.given))
                }
                Reply::Sync(synced) => synced.error.name().to_owned(),
                Reply::Heartbeat(outcome) => outcome.err().unwrap_or(ErrorCode::None).name().to_owned(),
                Reply::Leave(left) => {
                    left.members.iter().map(|left| left.error.name()).collect::<Vec<_>>().join(" ")
                }
                other => format!("{other:?}"),
            };
            told.push(format!("{member}: {text}"));
        }
        told.join(", ")
    }

    fn show_classic(&mut self) -> Option<String> {
        let token = self.world.token();
        let out = self.world.event(|shard, _, out| shard.describe_group(token, "g", out));
        let Some((_, Reply::Describe(Ok(group)))) = out.replies.into_iter().next() else { return None };
        let members: Vec<_> = group.members.iter().map(|member| member.member.to_string()).collect();
        Some(format!("classic {} {}", group.state, members.join(" ")).trim().to_owned())
    }

    fn show(&mut self) -> String {
        let token = self.world.token();
        let out = self.world.event(|shard, _, out| shard.describe_consumer_group(token, "g", out));
        let Some((_, Reply::DescribeConsumer(described))) = out.replies.into_iter().next() else {
            panic!("no answer")
        };
        let group = match described {
            Ok(group) => group,
            Err(error) => return self.show_classic().unwrap_or_else(|| error.name().to_owned()),
        };
        let mut shown =
            format!("{} {}/{} {}", group.state, group.epoch, group.assignment_epoch, group.assignor);
        for member in &group.members {
            let (has, shall) = (list(&self.world, &member.assignment), list(&self.world, &member.target));
            let _ = write!(shown, "; {} {} [{has}]", member.member, member.epoch);
            if has != shall {
                let _ = write!(shown, " shall [{shall}]");
            }
        }
        shown
    }
}

/// What a classic member says next.
struct Said<'a> {
    member: &'a str,
    client: Client,
    topics: &'a str,
    protocols: &'a str,
    assign: &'a str,
}

impl<'a> Said<'a> {
    fn change(&mut self, world: &World, word: &'a str) {
        match word.split_once('=') {
            None => self.topics = word,
            Some(("id", "")) => self.client.id = Some("".into()),
            Some(("id", id)) => self.client.id = Some(id.into()),
            Some(("generation", generation)) => self.client.epoch = generation.parse().unwrap(),
            Some(("instance", instance)) => self.client.instance = Some(instance.into()),
            Some(("protocols", protocols)) => self.protocols = protocols,
            Some(("assign", assign)) => self.assign = assign,
            Some(("owned", list)) => self.client.given = parse(world, list),
            Some(_) => panic!("not a change of a request: {word}"),
        }
    }

    fn id(&self) -> Str {
        self.client.id.clone().unwrap_or_else(|| self.member.into())
    }

    fn join(&self, world: &World) -> JoinGroup {
        let topics: Vec<&str> = self.topics.split(',').filter(|name| !name.is_empty()).collect();
        let owned: Vec<(String, Vec<i32>)> = self
            .client
            .given
            .topics()
            .map(|(id, partitions)| (world.topic_name(*id), partitions.iter().copied().collect()))
            .collect();
        let owned: Vec<(&str, &[i32])> =
            owned.iter().map(|(name, list)| (name.as_str(), list.as_slice())).collect();
        let metadata = subscription(1, &topics, &owned);
        let protocols =
            self.protocols.split(',').map(|name| Protocol { name: name.into(), metadata: metadata.clone() });
        JoinGroup {
            group: "g".into(),
            member: self.id(),
            new_member: format!("{}-1", self.member).into(),
            instance: self.client.instance.clone(),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: Millis(45_000),
            rebalance_timeout: Millis(60_000),
            protocol_type: "consumer".into(),
            protocols: protocols.collect(),
            id_required: false,
            can_skip_assignment: false,
        }
    }

    fn sync(&self, world: &World) -> SyncGroup {
        let assignment = |text: &str| {
            let (member, list) = text.split_once(':').unwrap();
            let partitions = parse(world, list);
            (member.into(), to_bytes(&partitions, &[0, 1], &world.cluster_topics()))
        };
        SyncGroup {
            group: "g".into(),
            member: self.id(),
            instance: self.client.instance.clone(),
            generation: self.client.epoch,
            protocol_type: Some("consumer".into()),
            protocol: Some(self.protocols.split(',').next().unwrap().into()),
            assignments: self.assign.split(';').filter(|text| !text.is_empty()).map(assignment).collect(),
        }
    }

    fn beat(&self) -> Heartbeat {
        let (instance, generation) = (self.client.instance.clone(), self.client.epoch);
        Heartbeat { group: "g".into(), member: self.id(), instance, generation }
    }

    fn leave(&self) -> LeaveGroup {
        let leaving = LeavingMember { member: self.id(), instance: self.client.instance.clone() };
        LeaveGroup { group: "g".into(), members: vec![leaving] }
    }
}

/// Partitions of "a0,a1,b0".
fn parse(world: &World, list: &str) -> Partitions {
    let partition = |text: &str| (world.topic_id(&text[..1]), text[1..].parse().unwrap());
    list.split(',').filter(|text| !text.is_empty()).map(partition).collect()
}

/// Partitions as "a0 a1 b0".
fn list(world: &World, partitions: &Partitions) -> String {
    let names: Vec<_> =
        partitions.iter().map(|(id, partition)| format!("{}{partition}", world.topic_name(id))).collect();
    names.join(" ")
}
