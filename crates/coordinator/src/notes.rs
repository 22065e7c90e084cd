//! What happened to groups since the start, counted for metrics and told to the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use eddy_core::group::{ExpiryReason, Note, RebalanceReason};
use parking_lot::Mutex;

/// Counts of what happened; they only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rebalances begun, by reason.
    pub rebalances: HashMap<RebalanceReason, u64>,
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
                    *self.rare.lock().rebalances.entry(*reason).or_default() += 1;
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
                    self.rare.lock().deleted_groups += 1;
                }
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { commits: self.commits.load(Ordering::Relaxed), ..self.rare.lock().clone() }
    }
}
