//! Why a group is behind: judged from two looks at it, some seconds apart.
//!
//! The Kafka protocol does not say when a group last committed, so that one look cannot tell a slow group from one that stands still.
//! Two can: what was committed in between against what was written in between.

use serde::Serialize;

use super::model::{Group, Place, Progress};
use crate::output::thousands as count;

mod attempts;
mod cause;
mod evidence;

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

#[cfg(test)]
mod tests;
