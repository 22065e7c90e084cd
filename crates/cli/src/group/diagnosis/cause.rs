//! Why it is so: guessed from who stands still and who does not.

use super::{Looks, Movement, Verdict, waits_for_transaction};
use crate::moment::span;
use crate::output::thousands as count;

impl Looks<'_> {
    pub(super) fn cause(&self, verdict: Verdict, worst: &[&Movement<'_>]) -> String {
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
}
