//! Whether a cluster is well.

use serde::Serialize;

use super::facts::{Facts, Troubled};
use crate::moment::span;
use crate::output::thousands;
use crate::words::plural;

/// A controller that had all so long ago is behind; heartbeats come every half second.
const QUORUM_LATE_MS: i64 = 10_000;

/// How full a disk may be, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskLimits {
    /// From here on it is worth a look.
    pub(crate) warn: u64,
    /// From here on it is a danger.
    pub(crate) bad: u64,
}

/// How well it is, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Healthy,
    /// Everything is served, with less in reserve than there should be.
    Degraded,
    /// Something is not served.
    Unhealthy,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Healthy => "HEALTHY",
            Status::Degraded => "DEGRADED",
            Status::Unhealthy => "UNHEALTHY",
        }
    }
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    pub(crate) status: Status,
    /// The worst of it in some words.
    pub(crate) summary: String,
    /// What is wrong, worst first.
    pub(crate) problems: Vec<Problem>,
    /// What is as it should be.
    pub(crate) well: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) status: Status,
    /// What it is about, such as `broker 1`.
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// Judges a cluster.
pub(crate) fn assess(facts: &Facts, limits: DiskLimits) -> Health {
    let mut problems = Vec::new();
    let mut well = Vec::new();
    let mut check = |found: Vec<Problem>, if_well: &str| {
        if found.is_empty() && !if_well.is_empty() {
            well.push(if_well.to_owned());
        }
        problems.extend(found);
    };
    check(leaderless(facts), "all partitions have a leader");
    check(under_min_isr(facts), "min.isr met");
    check(brokers(facts), "all brokers answer");
    check(out_of_sync(facts), "all replicas in sync");
    check(
        quorum(facts),
        if facts.quorum.as_ref().is_some_and(|quorum| quorum.leader >= 0) {
            "metadata log 0 behind"
        } else {
            ""
        },
    );
    let knows_disks = facts.brokers.iter().any(|broker| broker.disk.is_some());
    let if_well = if knows_disks { format!("disks below {}%", limits.warn) } else { String::new() };
    check(disks(facts, limits), &if_well);
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.status));
    let status = problems.first().map_or(Status::Healthy, |worst| worst.status);
    Health { status, summary: summary(facts, &problems), problems, well }
}

fn summary(facts: &Facts, problems: &[Problem]) -> String {
    let all = facts.brokers.len();
    let poorly = facts
        .brokers
        .iter()
        .filter(|broker| broker.is_fenced || broker.unreachable.is_some() || broker.out_of_sync > 0)
        .count();
    let leaderless = facts.troubled.iter().filter(|one| one.leader.is_none()).count();
    let under_min_isr = facts.troubled.iter().filter(|one| one.is_under_min_isr()).count();
    match problems.first() {
        None => format!("{} serving", plural(all, "broker")),
        Some(_) if leaderless > 0 => format!("{} without a leader", plural(leaderless, "partition")),
        Some(_) if under_min_isr > 0 => {
            format!("{} below min.insync.replicas", plural(under_min_isr, "partition"))
        }
        Some(_) if facts.quorum.as_ref().is_some_and(|quorum| quorum.leader < 0) => {
            "the controllers have no majority".to_owned()
        }
        Some(_) if facts.quorum_silent.is_some() => "the controllers do not answer".to_owned(),
        Some(worst) if worst.status == Status::Unhealthy => format!("{}: {}", worst.subject, worst.text),
        Some(_) if poorly > 0 => format!("{poorly} of {} behind", plural(all, "broker")),
        Some(worst) => format!("{}: {}", worst.subject, worst.text),
    }
}

fn leaderless(facts: &Facts) -> Vec<Problem> {
    let gone: Vec<&Troubled> = facts.troubled.iter().filter(|one| one.leader.is_none()).collect();
    let Some(first) = gone.first() else { return Vec::new() };
    let text = format!(
        "no leader, cannot be written or read (e.g. {}: replicas {} are not there)",
        first.place,
        list(&first.replicas)
    );
    vec![problem(Status::Unhealthy, plural(gone.len(), "partition"), text)]
}

fn under_min_isr(facts: &Facts) -> Vec<Problem> {
    let under: Vec<&Troubled> = facts.troubled.iter().filter(|one| one.is_under_min_isr()).collect();
    let Some(first) = under.first() else { return Vec::new() };
    let text = format!(
        "below min.insync.replicas, acks=all is refused (e.g. {}: in sync {}, needs {})",
        first.place,
        list(&first.isr),
        first.min_isr.unwrap_or_default()
    );
    vec![problem(Status::Unhealthy, plural(under.len(), "partition"), text)]
}

fn brokers(facts: &Facts) -> Vec<Problem> {
    let mut found = Vec::new();
    for broker in &facts.brokers {
        let subject = format!("broker {}", broker.id);
        if let Some(reason) = &broker.unreachable {
            let text = format!("cannot be reached from here at {}: {reason}", broker.address);
            found.push(problem(Status::Degraded, subject, text));
        } else if broker.is_fenced {
            let text = "fenced: registered, but not serving".to_owned();
            found.push(problem(Status::Degraded, subject, text));
        } else if !broker.failed_dirs.is_empty() {
            let text = format!("cannot use {}", broker.failed_dirs.join(", "));
            found.push(problem(Status::Degraded, subject, text));
        }
    }
    // Metadata may name the last one for as long as nobody could change it.
    let text = match (&facts.quorum, facts.controller) {
        (Some(quorum), _) if quorum.leader < 0 => {
            let mut voters: Vec<i32> = quorum.voters.iter().map(|voter| voter.id).collect();
            voters.sort_unstable();
            format!("there is none: without a majority of {} metadata cannot be changed", list(&voters))
        }
        (None, None) => "there is none: metadata cannot be changed".to_owned(),
        _ => return found,
    };
    found.push(problem(Status::Unhealthy, "controller".to_owned(), text));
    found
}

fn out_of_sync(facts: &Facts) -> Vec<Problem> {
    let mut found: Vec<Problem> = facts
        .brokers
        .iter()
        .filter(|broker| broker.out_of_sync > 0)
        .map(|broker| {
            let alive = if broker.unreachable.is_some() || broker.is_fenced { "down" } else { "alive" };
            let text = format!("{alive}, {} out of ISR", plural(broker.out_of_sync, "partition"));
            problem(Status::Degraded, format!("broker {}", broker.id), text)
        })
        .collect();
    // Replicas on brokers that are no longer registered belong to no broker of the list.
    let known = |id: &i32| facts.brokers.iter().any(|broker| broker.id == *id);
    let orphans: Vec<&Troubled> = facts
        .troubled
        .iter()
        .filter(|one| one.replicas.iter().any(|id| !one.isr.contains(id) && !known(id)))
        .collect();
    if let Some(first) = orphans.first() {
        let mut missing: Vec<i32> =
            orphans.iter().flat_map(|one| one.replicas.clone()).filter(|id| !known(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        let text =
            format!("not there, {} out of ISR (e.g. {})", plural(orphans.len(), "partition"), first.place);
        found.push(problem(Status::Degraded, format!("broker {}", list(&missing)), text));
    }
    found
}

fn quorum(facts: &Facts) -> Vec<Problem> {
    if let Some(reason) = &facts.quorum_silent {
        let text = format!("{reason}: metadata cannot be changed");
        return vec![problem(Status::Unhealthy, "controllers".to_owned(), text)];
    }
    // Without a leader nobody knows who is behind.
    let Some(quorum) = facts.quorum.as_ref().filter(|quorum| quorum.leader >= 0) else { return Vec::new() };
    let late = quorum.voters.iter().filter(|voter| {
        voter.id != quorum.leader && voter.caught_up_ms_ago.is_none_or(|ago| ago > QUORUM_LATE_MS)
    });
    late.map(|voter| {
        let behind = voter.behind.map_or("unknown".to_owned(), thousands);
        let since = voter.caught_up_ms_ago.map_or(String::new(), |ago| format!(" for {}", span(ago)));
        let text = format!("metadata log {behind} behind{since}");
        problem(Status::Degraded, format!("controller {}", voter.id), text)
    })
    .collect()
}

fn disks(facts: &Facts, limits: DiskLimits) -> Vec<Problem> {
    let DiskLimits { warn, bad } = limits;
    let mut found = Vec::new();
    for broker in &facts.brokers {
        let Some(disk) = broker.disk else { continue };
        let used = disk.used_percent();
        let subject = format!("broker {}", broker.id);
        if used >= bad {
            found.push(problem(Status::Unhealthy, subject, format!("disk {used}% (bad from {bad}%)")));
        } else if used >= warn {
            found.push(problem(Status::Degraded, subject, format!("disk {used}% (warn at {warn}%)")));
        }
    }
    found
}

fn problem(status: Status, subject: String, text: String) -> Problem {
    Problem { status, subject, text }
}

fn list(ids: &[i32]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
