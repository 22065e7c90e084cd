//! What happened to groups since the start, counted for metrics and told to the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use eddy_core::group::{ExpiryReason, Note, RebalanceReason, Str};
use parking_lot::Mutex;

/// Counts of what happened; they only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rebalances begun, by group and reason. Groups that come after the first thousand are counted under the empty name, which
    /// no group has, until others are deleted.
    pub rebalances: HashMap<Str, HashMap<RebalanceReason, u64>>,
    /// Members removed that did not leave by themselves, by reason.
    pub expired_members: HashMap<ExpiryReason, u64>,
    /// Generations begun.
    pub generations: u64,
    /// Offsets committed.
    pub commits: u64,
    /// Committed offsets that expired.
    pub expired_offsets: u64,
    /// Groups forgotten or deleted.
    pub deleted_groups: u64,
}

/// Groups that have counts of their own.
const COUNTED_GROUPS_MAX: usize = 1_000;

impl Counts {
    fn rebalance(&mut self, group: &Str, reason: RebalanceReason) {
        let has_room = self.rebalances.len() < COUNTED_GROUPS_MAX || self.rebalances.contains_key(group);
        let counted = if has_room { Str::clone(group) } else { Str::from("") };
        *self.rebalances.entry(counted).or_default().entry(reason).or_default() += 1;
    }
}

/// Takes the machines' notes.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Commits come by the thousand, the rest rarely.
    commits: AtomicU64,
    rare: Mutex<Counts>,
}

impl Notes {
    pub(crate) fn take(&self, notes: &[Note]) {
        for note in notes {
            match note {
                Note::OffsetsCommitted { count } => {
                    self.commits.fetch_add(*count as u64, Ordering::Relaxed);
                }
                Note::RebalanceStarted { group, reason } => {
                    tracing::debug!(%group, ?reason, "rebalance");
                    self.rare.lock().rebalance(group, *reason);
                }
                Note::GenerationStarted { group, generation, members } => {
                    tracing::debug!(%group, generation, members, "generation");
                    self.rare.lock().generations += 1;
                }
                Note::MemberExpired { group, member, reason } => {
                    tracing::debug!(%group, %member, ?reason, "member removed");
                    *self.rare.lock().expired_members.entry(*reason).or_default() += 1;
                }
                Note::OffsetsExpired { group, count } => {
                    tracing::debug!(%group, count, "committed offsets expired");
                    self.rare.lock().expired_offsets += *count as u64;
                }
                Note::GroupDeleted { group } => {
                    tracing::debug!(%group, "group deleted");
                    let mut counts = self.rare.lock();
                    counts.deleted_groups += 1;
                    counts.rebalances.remove(group);
                }
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { commits: self.commits.load(Ordering::Relaxed), ..self.rare.lock().clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_beyond_the_first_thousand_are_counted_together_until_others_go() {
        let notes = Notes::default();
        let started = |group: usize| Note::RebalanceStarted {
            group: group.to_string().into(),
            reason: RebalanceReason::Join,
        };
        for group in 0..COUNTED_GROUPS_MAX + 2 {
            notes.take(&[started(group), started(group)]);
        }
        let of =
            |group: &str| notes.counts().rebalances.get(group).map(|reasons| reasons[&RebalanceReason::Join]);
        assert_eq!((of("0"), of("1000"), of("1001"), of("")), (Some(2), None, None, Some(4)));
        notes.take(&[Note::GroupDeleted { group: "0".into() }, Note::GroupDeleted { group: "1".into() }]);
        notes.take(&[started(1000)]);
        assert_eq!((of("0"), of("1000"), of("")), (None, Some(1), Some(4)));
    }
}
