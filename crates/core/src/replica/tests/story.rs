//! Stories: one event per line, what came of it behind the arrow. The expected text is the script as well, so that
//! `UPDATE_EXPECT=1` fills in the right-hand sides.

use std::fmt::Write as _;

use eddy_types::{
    BatchFacts, BrokerId, ControlKind, LeaderEpoch, Millis, Offset, PartitionEpoch, ProducerEpoch,
    ProducerId, ProducerSequence,
};
use expect_test::Expect;

use crate::{
    Acks, Appended, Effect, Effects, FollowerFetch, IsrDecision, Leader, LeaderStart, PartitionChange,
    PendingAcks, ProducerWindows,
};

/// Broker 1 leads at leader epoch 3 and partition epoch 5, an empty log from offset 0, lag limit 30 s.
pub(super) fn leader(isr: &[i32]) -> LeaderStart {
    LeaderStart {
        me: BrokerId(1),
        epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(5),
        replicas: brokers(isr),
        isr: brokers(isr),
        min_insync: 1,
        replica_lag_max: Millis(30_000),
        log_start: Offset(0),
        log_end: Offset(0),
        durable_end: Offset(0),
        high_watermark: Offset(0),
        producers: ProducerWindows::default(),
    }
}

pub(super) fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(super) fn plain_batch(offsets: i32) -> BatchFacts {
    BatchFacts {
        offsets,
        records: offsets,
        bytes: 100,
        max_timestamp: Millis(1),
        producer: None,
        transactional: false,
        control: None,
    }
}

/// Runs the events of `story` and compares what comes of them.
pub(super) fn check(start: LeaderStart, story: Expect) {
    let leader = Leader::new(start);
    let mut told = Told {
        told_durable: leader.offsets().durable_end,
        told_high_watermark: leader.offsets().high_watermark,
        leader,
        waiting: PendingAcks::new(100),
        now: Millis(0),
        based_on: PartitionEpoch(0),
        out: Effects::new(),
    };
    let mut text = String::new();
    let script = story.data;
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let events: Vec<&str> = lines.map(|line| line.split("->").next().unwrap().trim()).collect();
    for event in events {
        let outcome = told.event(event);
        told.leader.check();
        told.waiting.check();
        writeln!(text, "{event:<44} -> {outcome}").unwrap();
    }
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    story.assert_eq(&text);
}

struct Told {
    leader: Leader,
    /// What effects have said so far: waiters leave by these alone.
    told_durable: Offset,
    told_high_watermark: Offset,
    waiting: PendingAcks<String>,
    now: Millis,
    based_on: PartitionEpoch,
    out: Effects,
}

impl Told {
    fn event(&mut self, event: &str) -> String {
        let words: Vec<&str> = event.split_whitespace().collect();
        let after = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let number = |word: &str| after(word).map(|text| text.parse::<i64>().unwrap());
        let mut said = Vec::new();
        match words[0] {
            "append" | "commit" | "abort" => said.push(self.append(&words)),
            "durable" => self.leader.durable(Offset(number("durable").unwrap()), &mut self.out),
            "time" => self.now = Millis(number("time").unwrap()),
            "tick" => {
                self.now = Millis(number("tick").unwrap());
                self.leader.tick(self.now, &mut self.out);
            }
            "fetch" => {
                let offset = Offset(number("at").unwrap());
                let fetch = FollowerFetch {
                    offset,
                    durable_end: number("durable").map_or(offset, Offset),
                    log_start: Offset(number("start").unwrap_or(0)),
                    broker_epoch: number("life").unwrap_or(-1),
                };
                let from = BrokerId(words[1].parse().unwrap());
                match self.leader.follower_fetched(self.now, from, fetch, &mut self.out) {
                    Ok(grant) => said.push(format!("up to {}", grant.upto)),
                    Err(error) => said.push(error.to_string()),
                }
            }
            "isr" => {
                let decision = match words[1] {
                    "accepted" => IsrDecision::Accepted {
                        isr: ids(words[2]),
                        partition_epoch: PartitionEpoch(i32::try_from(number("as").unwrap()).unwrap()),
                    },
                    "refused" => IsrDecision::Refused,
                    "superseded" => IsrDecision::Superseded,
                    "unanswered" => IsrDecision::Unanswered,
                    other => panic!("no such decision: {other}"),
                };
                self.leader.isr_decided(self.now, self.based_on, decision, &mut self.out);
            }
            "metadata" => {
                let change = PartitionChange {
                    partition_epoch: PartitionEpoch(words[1].parse().unwrap()),
                    replicas: ids(after("replicas").unwrap()),
                    isr: ids(after("isr").unwrap()),
                    min_insync: usize::try_from(number("min").unwrap()).unwrap(),
                };
                self.leader.reconfigure(change, &mut self.out);
            }
            "delete" => match self.leader.delete_records(Offset(number("delete").unwrap()), &mut self.out) {
                Ok(start) => said.push(format!("start {start}, everywhere {}", self.leader.low_watermark())),
                Err(error) => said.push(error.to_string()),
            },
            "retention" => self.leader.log_start_moved(Offset(number("retention").unwrap()), &mut self.out),
            "offsets" => {
                let o = self.leader.offsets();
                said.push(format!(
                    "start {} stable {} hw {} durable {} end {}",
                    o.log_start, o.last_stable, o.high_watermark, o.durable_end, o.log_end
                ));
            }
            "lags" => {
                said.extend(self.leader.lags().map(|(broker, lag)| format!("broker {broker} lacks {lag}")));
            }
            other => panic!("no such event: {other}"),
        }
        for effect in std::mem::take(&mut self.out) {
            said.extend(self.effect(effect));
        }
        said.join(", ")
    }

    fn append(&mut self, words: &[&str]) -> String {
        let after = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let control = match words[0] {
            "commit" => Some(ControlKind::Commit),
            "abort" => Some(ControlKind::Abort),
            _ => None,
        };
        let offsets = if control.is_some() { 1 } else { words[1].parse().unwrap() };
        let producer = after("pid").map(|pid| {
            let (id, epoch) = pid.split_once('/').unwrap();
            let first = after("seq").map_or(-1, |seq| seq.parse::<i32>().unwrap());
            ProducerSequence {
                id: ProducerId(id.parse().unwrap()),
                epoch: ProducerEpoch(epoch.parse().unwrap()),
                first,
                last: if first < 0 { -1 } else { first + offsets - 1 },
            }
        });
        let transactional = words.contains(&"txn") || control.is_some();
        let batch = BatchFacts { producer, transactional, control, ..plain_batch(offsets) };
        let acks = match after("acks") {
            Some("all") => Acks::All,
            Some("1") | None => Acks::Leader,
            Some("0") => Acks::None,
            other => panic!("no such acks: {other:?}"),
        };
        match self.leader.append(self.now, acks, &batch, &mut self.out) {
            Err(error) => error.to_string(),
            Ok(appended) => {
                let range = appended.range();
                self.waiting.push(range.end, acks, format!("ack {range}")).unwrap();
                let mut said = match appended {
                    Appended::New(_) => vec![format!("log {range}")],
                    Appended::Duplicate(_) => vec![format!("duplicate of {range}")],
                };
                said.extend(self.waiting.release(self.told_durable, self.told_high_watermark));
                said.join(", ")
            }
        }
    }

    fn effect(&mut self, effect: Effect) -> Vec<String> {
        let mut said = match effect {
            Effect::DurableEnd(end) => {
                self.told_durable = end;
                vec![format!("durable {end}")]
            }
            Effect::HighWatermark(end) => {
                self.told_high_watermark = end;
                vec![format!("hw {end}")]
            }
            Effect::LogStart(start) => vec![format!("start {start}")],
            Effect::TransactionEnded(ended) => vec![format!(
                "{} of {} {}..={} stable {}",
                if ended.aborted { "abort" } else { "commit" },
                ended.producer,
                ended.first_offset,
                ended.last_offset,
                ended.last_stable
            )],
            Effect::ProposeIsr(proposal) => {
                self.based_on = proposal.partition_epoch;
                let members: Vec<String> =
                    proposal.isr.iter().map(|member| member.broker.to_string()).collect();
                vec![format!("propose {} on {}", members.join(","), proposal.partition_epoch)]
            }
        };
        said.extend(self.waiting.release(self.told_durable, self.told_high_watermark));
        said
    }
}

fn ids(text: &str) -> Vec<BrokerId> {
    text.split(',').map(|id| BrokerId(id.parse().unwrap())).collect()
}
