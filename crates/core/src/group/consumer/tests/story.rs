//! Stories: one event a line, and what came of it.
//!
//! `m1 join a,b` · `m1 beat` · `m1 ack` (says that it owns what it was given) · `m1 leave` · `m1 away` · `wait 5000` ·
//! `topic a 4` · `restart` · `show`. Words after an event change its request: `epoch=3`, `owned=a0,a1`, `instance=i1`,
//! `regex=a.*`, `assignor=range`, `names=a,b`, `timeout=100`.

use std::collections::BTreeMap;
use std::fmt::Write;

use eddy_types::Millis;
use expect_test::Expect;

use super::{World, beat, join};
use crate::group::{ConsumerHeartbeat, Partitions, Reply, Str};

/// A client as a story knows it: what it was told last.
#[derive(Clone, Debug, Default)]
struct Client {
    epoch: i32,
    instance: Option<Str>,
    given: Partitions,
}

/// Plays a story and compares it with what is expected: the events again, each with its outcome.
pub(super) fn story(script: &str, expected: &Expect) {
    play(World::new(), script, expected);
}

pub(super) fn play(world: World, script: &str, expected: &Expect) {
    let mut told = Story { world, clients: BTreeMap::new() };
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let outcome = told.event(line);
        told.world.check_replay();
        let _ = if outcome.is_empty() { writeln!(out, "{line}") } else { writeln!(out, "{line} -> {outcome}") };
    }
    expected.assert_eq(&out);
}

struct Story {
    world: World,
    clients: BTreeMap<String, Client>,
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
                let expired = out.notes.iter().filter(|note| matches!(note, crate::group::Note::MemberExpired { .. }));
                expired.map(|note| format!("{note:?}")).map(|text| brief(&text)).collect::<Vec<_>>().join(", ")
            }
            ["restart"] => {
                self.world.restart();
                String::new()
            }
            ["show"] => self.show(),
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
        let answer = match self.world.heartbeat(request) {
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
        outcome
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
            Some(("owned", list)) => {
                let partition = |text: &str| (self.world.topic_id(&text[..1]), text[1..].parse().unwrap());
                request.owned = Some(list.split(',').filter(|text| !text.is_empty()).map(partition).collect());
            }
            Some(_) => panic!("not a change of a request: {word}"),
        }
    }

    fn show(&mut self) -> String {
        let token = self.world.token();
        let out = self.world.event(|shard, _, out| shard.describe_consumer_group(token, "g", out));
        let Some((_, Reply::DescribeConsumer(described))) = out.replies.into_iter().next() else { panic!("no answer") };
        let group = match described {
            Ok(group) => group,
            Err(error) => return error.name().to_owned(),
        };
        let mut shown = format!("{} {}/{} {}", group.state, group.epoch, group.assignment_epoch, group.assignor);
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

/// Partitions as "a0 a1 b0".
fn list(world: &World, partitions: &Partitions) -> String {
    let names: Vec<_> = partitions.iter().map(|(id, partition)| format!("{}{partition}", world.topic_name(id))).collect();
    names.join(" ")
}

/// "m1 SessionTimeout" of a note.
fn brief(note: &str) -> String {
    let part = |name: &str| note.split(name).nth(1).unwrap_or_default();
    let member = part("member: \"").split('"').next().unwrap_or_default();
    let reason = part("reason: ").split(' ').next().unwrap_or_default();
    format!("{member} {reason}")
}
