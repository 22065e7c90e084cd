//! Why a group is behind: judged from two looks at it, some seconds apart.
//!
//! The Kafka protocol does not say when a group last committed, so that one look cannot tell a slow group from one that stands still.
//! Two can: what was committed in between against what was written in between.

use serde::Serialize;

use super::model::{Group, Member, Place, Progress};
use crate::moment::span;
use crate::output::thousands as count;

/// The judgement on a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) verdict: Verdict,
    /// What the verdict is about, partition by partition, worst first.
    pub(crate) partitions: Vec<Finding>,
    pub(crate) cause: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) attempts: Vec<Attempt>,
}

/// A command that helps, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    pub(crate) command: String,
    pub(crate) effect: String,
}

/// What is said of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
}

/// How a group does, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All is read, or nearly.
    Ok,
    /// Behind, and getting closer.
    CatchingUp,
    /// Behind, and falling further behind.
    Growing,
    /// Members are being assigned, and nothing is read meanwhile.
    Rebalancing,
    /// There are members, and nobody has the partition.
    Unassigned,
    /// A member has the partition and commits nothing.
    Stalled,
    /// There are no members.
    Stopped,
    /// Records were deleted before they were read.
    Lost,
    /// The commit is beyond the end of the log.
    Ahead,
}

impl Verdict {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::CatchingUp => "catching up",
            Verdict::Growing => "FALLING BEHIND",
            Verdict::Rebalancing => "REBALANCING",
            Verdict::Unassigned => "NOT ASSIGNED",
            Verdict::Stalled => "STALLED",
            Verdict::Stopped => "STOPPED",
            Verdict::Lost => "LOST RECORDS",
            Verdict::Ahead => "AHEAD OF THE LOG",
        }
    }

    /// Whether somebody should look.
    pub(crate) fn is_bad(self) -> bool {
        !matches!(self, Verdict::Ok | Verdict::CatchingUp)
    }
}

/// Two looks at one group.
pub(crate) struct Looks<'a> {
    pub(crate) before: &'a Group,
    pub(crate) after: &'a Group,
    /// Time between the two, in milliseconds.
    pub(crate) apart_ms: i64,
}

/// One partition in both looks.
struct Movement<'a> {
    now: &'a Progress,
    /// Offsets committed in between.
    committed: i64,
    /// Offsets written in between.
    written: i64,
}

/// Judges a group.
pub(crate) fn diagnose(looks: &Looks<'_>) -> Diagnosis {
    let movements: Vec<Movement<'_>> = looks.after.partitions.iter().map(|now| looks.movement(now)).collect();
    let mut judged: Vec<(Verdict, &Movement<'_>)> =
        movements.iter().map(|movement| (looks.judge(movement), movement)).collect();
    judged.sort_by_key(|(verdict, movement)| {
        (std::cmp::Reverse(*verdict), std::cmp::Reverse(movement.now.lag), movement.now.place.clone())
    });
    let verdict = judged.first().map_or(Verdict::Ok, |(verdict, _)| *verdict);
    let worst: Vec<&Movement<'_>> = judged
        .iter()
        .filter(|(one, _)| *one == verdict && one.is_bad())
        .map(|(_, movement)| *movement)
        .collect();
    Diagnosis {
        verdict,
        partitions: judged
            .iter()
            .filter(|(one, movement)| one.is_bad() || movement.now.unread() > 0)
            .map(|(one, movement)| looks.finding(*one, movement))
            .collect(),
        cause: looks.cause(verdict, &worst),
        evidence: looks.evidence(verdict, &movements),
        attempts: looks.attempts(verdict, &worst),
    }
}

impl Looks<'_> {
    fn movement<'a>(&self, now: &'a Progress) -> Movement<'a> {
        let before = self.before.progress(&now.place);
        let moved = |now: Option<i64>, before: Option<i64>| match (now, before) {
            (Some(now), Some(before)) => now - before,
            _ => 0,
        };
        Movement {
            now,
            committed: moved(now.committed, before.and_then(|before| before.committed)),
            written: moved(now.end, before.and_then(|before| before.end)).max(0),
        }
    }

    fn judge(&self, movement: &Movement<'_>) -> Verdict {
        let now = movement.now;
        if let (Some(committed), Some(end)) = (now.committed, now.end)
            && committed > end
        {
            return Verdict::Ahead;
        }
        if now.lost().is_some() {
            return Verdict::Lost;
        }
        if now.unread() == 0 {
            return Verdict::Ok;
        }
        if self.after.is_empty() {
            return Verdict::Stopped;
        }
        if movement.committed > 0 {
            return if movement.committed < movement.written {
                Verdict::Growing
            } else {
                Verdict::CatchingUp
            };
        }
        if is_rebalancing(self.after) && is_rebalancing(self.before) {
            return Verdict::Rebalancing;
        }
        // What was written in this very moment is not late yet.
        let just_written = now.unread() <= movement.written && now.lag_ms.unwrap_or(0) <= self.apart_ms;
        match (&now.member, just_written) {
            (_, true) => Verdict::Ok,
            (None, false) => Verdict::Unassigned,
            (Some(_), false) => Verdict::Stalled,
        }
    }

    fn finding(&self, verdict: Verdict, movement: &Movement<'_>) -> Finding {
        let now = movement.now;
        let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), count);
        let mut text = format!("committed {}, end {}", offset(now.committed), offset(now.end));
        match (now.lag, now.lag_ms) {
            (Some(lag), Some(ms)) if lag > 0 => text += &format!(" ({} behind, {})", count(lag), span(ms)),
            (Some(lag), None) if lag > 0 => text += &format!(" ({} behind)", count(lag)),
            _ => {}
        }
        match verdict {
            Verdict::Lost => {
                text += &format!("; {} deleted before they were read", count(now.lost().unwrap_or(0)))
            }
            Verdict::Growing | Verdict::CatchingUp => {
                text += &format!(
                    "; reads {}, written {}",
                    self.rate(movement.committed),
                    self.rate(movement.written)
                );
            }
            _ => {}
        }
        if let Some(stable) = now.last_stable {
            text += &format!("; an open transaction holds back all from {}", count(stable));
        }
        match now.member.as_deref().and_then(|id| self.after.member(id)) {
            Some(member) => text += &format!("; member {}", at_host(member)),
            None if !self.after.is_empty() => text += "; no member has it",
            None => {}
        }
        Finding { place: now.place.clone(), verdict, text }
    }

    fn cause(&self, verdict: Verdict, worst: &[&Movement<'_>]) -> String {
        match verdict {
            Verdict::Ok => "nothing is wrong: what is written is read".to_owned(),
            Verdict::CatchingUp => self.catching_up(),
            Verdict::Growing => self.too_slow(worst),
            Verdict::Rebalancing => format!(
                "the group was {} at both looks: a member joins and leaves, or takes long to join",
                self.after.state
            ),
            Verdict::Unassigned => {
                "the members no longer subscribe to the topic, or just joined; what they committed \
                 earlier is kept"
                    .to_owned()
            }
            Verdict::Stalled => self.stall(worst),
            Verdict::Stopped => "no consumer is running under this group id".to_owned(),
            Verdict::Lost => "retention deleted records before they were read; the next fetch goes where \
                 auto.offset.reset says"
                .to_owned(),
            Verdict::Ahead => {
                "the topic was deleted and created again, or lost its end; the next fetch goes where \
                 auto.offset.reset says"
                    .to_owned()
            }
        }
    }

    /// Who stands still tells what stands still: one partition a record, a member its handler, all of them what they share.
    fn stall(&self, worst: &[&Movement<'_>]) -> String {
        let Some(first) = worst.first() else { return String::new() };
        if let Some(stable) = first.now.last_stable
            && waits_for_transaction(first.now)
        {
            return format!(
                "a transaction that began at {} is still open: with isolation.level=read_committed consumers wait until its \
                 producer ends it, or transaction.timeout.ms does",
                count(stable)
            );
        }
        if worst.iter().all(|movement| movement.now.committed.is_none()) {
            return "it never committed: the first records are still being processed, or commits are switched off"
                .to_owned();
        }
        let Some(member) = first.now.member.as_deref().and_then(|id| self.after.member(id)) else {
            return "its member commits nothing".to_owned();
        };
        let alone = worst.iter().all(|movement| movement.now.member.as_deref() == Some(&member.member));
        if !alone {
            return "several members commit nothing: what they all depend on is down, or commits are switched off".to_owned();
        }
        let moves_elsewhere = self
            .after
            .partitions
            .iter()
            .any(|now| now.member.as_deref() == Some(&member.member) && self.movement(now).committed > 0);
        if moves_elsewhere {
            format!(
                "{} commits elsewhere: one record of this partition is failing again and again",
                member.short_name()
            )
        } else {
            format!(
                "{} keeps its place in the group but commits nothing: its handler is blocked, or one record is failing",
                member.short_name()
            )
        }
    }

    fn too_slow(&self, worst: &[&Movement<'_>]) -> String {
        let partitions = self.after.partitions.len();
        let readers = self.after.members.iter().filter(|member| member.partition_count() > 0).count();
        let skewed = worst.len() == 1 && partitions > 1;
        match worst.first() {
            Some(first) if skewed => format!(
                "{} alone takes more than its member can handle: its keys are more frequent than others",
                first.now.place
            ),
            _ if readers < partitions => {
                format!(
                    "the members are too slow: {readers} read {partitions} partitions, more can share the work"
                )
            }
            _ => {
                "the members are too slow, and each partition has its own already: more members would be idle"
                    .to_owned()
            }
        }
    }

    fn catching_up(&self) -> String {
        let slowest = self
            .after
            .partitions
            .iter()
            .filter_map(|now| {
                let movement = self.movement(now);
                let gain = movement.committed - movement.written;
                let lag = now.lag.filter(|lag| *lag > 0)?;
                (gain > 0).then(|| lag.saturating_mul(self.apart_ms) / gain)
            })
            .max();
        match slowest {
            Some(ms) => format!("it reads faster than is written: about {} to go", span(ms)),
            None => "it reads as fast as is written".to_owned(),
        }
    }

    fn evidence(&self, verdict: Verdict, movements: &[Movement<'_>]) -> Vec<String> {
        let committed: i64 = movements.iter().map(|movement| movement.committed).sum();
        let written: i64 = movements.iter().map(|movement| movement.written).sum();
        let mut evidence = vec![format!(
            "in {} it committed {} and {} were written ({} against {})",
            span(self.apart_ms),
            count(committed),
            count(written),
            self.rate(committed),
            self.rate(written),
        )];
        let moving: Vec<String> = movements
            .iter()
            .filter(|movement| movement.committed > 0)
            .map(|movement| movement.now.place.to_string())
            .collect();
        if verdict == Verdict::Stalled && !moving.is_empty() {
            evidence.push(format!("commits go on at {}", first_few(&moving)));
        }
        let ids = |group: &Group| -> Vec<String> {
            group.members.iter().map(|member| member.member.clone()).collect()
        };
        let (before, after) = (ids(self.before), ids(self.after));
        if before != after {
            let came = after.iter().filter(|id| !before.contains(id)).count();
            let left = before.iter().filter(|id| !after.contains(id)).count();
            evidence.push(format!("members changed meanwhile: {came} came, {left} left"));
        } else if let (Some(before), Some(after)) = (self.before.epoch, self.after.epoch)
            && before != after
        {
            evidence.push(format!("the group's epoch rose from {before} to {after}"));
        } else if !after.is_empty() {
            evidence.push("the members stayed the same".to_owned());
        }
        let idle: Vec<String> = self
            .after
            .members
            .iter()
            .filter(|member| member.partition_count() == 0)
            .map(|member| member.short_name().to_owned())
            .collect();
        if !idle.is_empty() {
            evidence.push(format!("without a partition: {}", first_few(&idle)));
        }
        evidence
    }

    fn attempts(&self, verdict: Verdict, worst: &[&Movement<'_>]) -> Vec<Attempt> {
        let group = &self.after.group;
        let attempt = |command: String, effect: &str| Attempt { command, effect: effect.to_owned() };
        let first = worst.first().map(|movement| movement.now);
        match (verdict, first) {
            (Verdict::Ok | Verdict::CatchingUp, _) | (_, None) => Vec::new(),
            (Verdict::Stalled, Some(now)) if waits_for_transaction(now) => Vec::new(),
            (Verdict::Stalled, Some(now)) => {
                let Some(at) = now.committed.or(now.start) else { return Vec::new() };
                let Place { topic, partition } = &now.place;
                vec![
                    attempt(
                        format!("eddy consume {topic} -p {partition} -O {at} -n 1"),
                        "look at the record it is stuck on",
                    ),
                    attempt(
                        format!("eddy group seek {group} --to {} --topic {topic}:{partition}", at + 1),
                        "skip it (dry run; the group must be stopped)",
                    ),
                ]
            }
            (Verdict::Stopped, Some(_)) => {
                vec![attempt(
                    format!("eddy group seek {group} --to latest"),
                    "start from new records only (dry run)",
                )]
            }
            (Verdict::Growing, Some(now)) => vec![
                attempt(format!("eddy topic describe {}", now.place.topic), "see its partitions and rates"),
                attempt(
                    format!("eddy topic alter {} --partitions N", now.place.topic),
                    "more partitions, for more members",
                ),
            ],
            (Verdict::Rebalancing, Some(_)) => {
                vec![attempt(format!("eddy group describe {group}"), "see who is a member now")]
            }
            (Verdict::Unassigned, Some(now)) => {
                vec![attempt(
                    format!("eddy group delete {group} --topic {}", now.place.topic),
                    "forget what it committed there",
                )]
            }
            (Verdict::Lost, Some(now)) => vec![
                attempt(
                    format!("eddy config get topic {} retention.ms retention.bytes", now.place.topic),
                    "see how long records are kept",
                ),
                attempt(
                    format!("eddy group seek {group} --to earliest"),
                    "go on with the oldest record (dry run)",
                ),
            ],
            (Verdict::Ahead, Some(_)) => {
                vec![attempt(
                    format!("eddy group seek {group} --to earliest"),
                    "read the new topic whole (dry run)",
                )]
            }
        }
    }

    /// A number of offsets as a rate.
    fn rate(&self, offsets: i64) -> String {
        format!("{}/s", count(offsets.saturating_mul(1000) / self.apart_ms.max(1)))
    }
}

/// Whether all that may be read without open transactions is read.
fn waits_for_transaction(now: &Progress) -> bool {
    now.last_stable.is_some_and(|stable| now.committed.is_some_and(|committed| committed >= stable))
}

fn is_rebalancing(group: &Group) -> bool {
    matches!(group.state.as_str(), "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling")
}

fn at_host(member: &Member) -> String {
    match member.host.trim_start_matches('/') {
        "" => member.short_name().to_owned(),
        host => format!("{} @{host}", member.short_name()),
    }
}

/// The names, or as many as fit a line.
fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests;
