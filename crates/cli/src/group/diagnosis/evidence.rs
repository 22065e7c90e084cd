//! What was seen.

use super::super::model::{Group, Member};
use super::{Finding, Looks, Movement, Verdict};
use crate::moment::span;
use crate::output::thousands as count;

impl Looks<'_> {
    pub(super) fn finding(&self, verdict: Verdict, movement: &Movement<'_>) -> Finding {
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

    pub(super) fn evidence(&self, verdict: Verdict, movements: &[Movement<'_>]) -> Vec<String> {
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
