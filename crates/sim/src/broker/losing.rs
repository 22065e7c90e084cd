//! What a follower gives up when its leader lacks what was committed here, after an unclean election.

use std::ops::Range;

use eddy_core::{Correction, TruncationKind, correction};
use eddy_types::Offset;

use super::replica::{Cut, Role};
use crate::queue::MILLI;
use crate::world::{World, id_of};

impl World {
    /// Metadata moves by one entry: notes leaders from outside ISR and ELR, who may lack what was promised.
    pub(crate) fn note_unclean_elections(&mut self, broker: usize) {
        let applied = self.brokers[broker].applied;
        let (before, after) = (self.raft.image(applied - 1), self.raft.image(applied));
        for partition in after.numbers() {
            let (Some(was), Some(is)) = (before.partition(partition), after.partition(partition)) else {
                continue;
            };
            let is_clean = |leader| was.isr.contains(&leader) || was.elr.contains(&leader);
            if is.leader_epoch > was.leader_epoch && is.leader.is_some_and(|leader| !is_clean(leader)) {
                self.brokers[broker].unclean.insert(partition, is.leader_epoch);
            }
        }
    }

    /// Whether records below the high watermark may go.
    pub(crate) fn kind_of_truncation(&self, broker: usize, partition: usize) -> TruncationKind {
        let state = &self.brokers[broker];
        let epoch = state.replicas[partition].role.epoch();
        match state.unclean.get(&partition) {
            Some(unclean) if epoch >= *unclean => TruncationKind::Unclean,
            _ => TruncationKind::Clean,
        }
    }

    /// Cuts the log where it leaves the leader's. Who has not heard of an unclean election cuts nothing that was committed: outside
    /// the ISR it copies the leader's log anew, from `anew` on.
    pub(crate) fn truncate(&mut self, broker: usize, partition: usize, to: Offset, anew: Offset) {
        let Role::Follower { machine, .. } = &self.brokers[broker].replicas[partition].role else { return };
        let is_clean = self.kind_of_truncation(broker, partition) == TruncationKind::Clean;
        if to >= machine.offsets().high_watermark || !is_clean {
            self.cut(broker, partition, Cut::Truncate(to));
        } else {
            self.start_over(broker, partition, to, anew);
        }
    }

    /// The leader's log does not reach this one: one of the two has lost its beginning or its end.
    pub(crate) fn out_of_range(&mut self, broker: usize, partition: usize, leaders: Range<Offset>) {
        let log = &self.brokers[broker].replicas[partition].log;
        let (own, anew) = (log.start..log.end(), leaders.start);
        match correction(own.clone(), leaders.clone()) {
            Correction::Truncate(to) => self.truncate(broker, partition, to, anew),
            Correction::Restart(at) if own.start > leaders.end => {
                self.start_over(broker, partition, leaders.end, at);
            }
            Correction::Restart(at) => self.cut(broker, partition, Cut::Restart(at)),
        }
    }

    /// Drops a log whose committed records the leader lacks from `to` on; but not as a member of the ISR, who keeps what it has
    /// promised.
    fn start_over(&mut self, broker: usize, partition: usize, to: Offset, at: Offset) {
        self.judge_truncation(broker, partition, to);
        let image = self.image_of(broker);
        if image.partition(partition).is_none_or(|state| state.isr.contains(&id_of(broker))) {
            self.brokers[broker].replicas[partition].following = None;
            self.connect_later(broker, 50 * MILLI);
        } else {
            self.cut(broker, partition, Cut::Restart(at));
        }
    }
}
