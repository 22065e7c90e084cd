//! What must hold of every decision that the metadata group commits.

use eddy_metadata::Partition;
use eddy_types::BrokerId;

use crate::view::View;
use crate::world::{World, id_of, index_of};

impl World {
    /// The metadata group commits: elections are clean (R4), members of the ISR hold what was promised (R6), epochs rise. An election
    /// may be unclean if somebody asked for it, and nobody is alive who can lead without a loss.
    pub(crate) fn judge_commit(&mut self, before: &View, after: &View, asked: bool) {
        for partition in after.numbers() {
            let Some(is) = after.partition(partition) else { continue };
            self.judge_members(after, is);
            let Some(was) = before.partition(partition).filter(|was| *was != is) else { continue };
            let place = format!("partition {partition}: {was:?}, then {is:?}");
            if is.leader_epoch < was.leader_epoch || is.partition_epoch <= was.partition_epoch {
                self.oracle.report("EP-1", place.clone());
            }
            let parts = [&is.isr, &is.elr, &is.adding, &is.removing];
            if parts.into_iter().flat_map(|part| part.iter()).any(|id| !is.replicas.contains(id))
                || is.replicas.is_empty()
            {
                self.oracle.report("a stranger among the replicas", place.clone());
            }
            if is.leader != was.leader && is.leader_epoch == was.leader_epoch {
                self.oracle.report("R3", format!("another leader in the same epoch: {place}"));
            }
            // The last of the new replicas joins, and the old ones leave: any of the new ones has everything (R6).
            let complete = was.is_reassigning() && !is.is_reassigning();
            self.statistics.moves += u64::from(complete);
            let joined = |leader| complete && is.isr.contains(&leader);
            let clean = |leader| was.isr.contains(&leader) || was.elr.contains(&leader) || joined(leader);
            if is.leader != was.leader && is.leader.is_some_and(|leader| !clean(leader)) {
                let mut holders = was.isr.iter().chain(was.elr.iter());
                if !asked || holders.any(|id| !after.is_fenced(*id)) {
                    self.oracle.report("R4", place.clone());
                }
                self.statistics.unclean_elections += 1;
                self.oracle.histories[partition].fork(is.leader_epoch);
            }
            let promised = self.oracle.histories[partition].of(is.leader_epoch).end;
            for member in is.isr.iter().map(|id| index_of(*id)) {
                let disk = &self.brokers[member].disk;
                let noticed = after.has_directory(id_of(member), disk.directory);
                let end = disk.synced(partition).end();
                if noticed && end < promised {
                    let seen = format!("broker {member} has {end} of {promised} on disk");
                    self.oracle.report("R6", format!("{seen}; {place}"));
                } else if noticed && end >= promised {
                    self.oracle.wiped.remove(&(member, partition));
                    self.oracle.dropped.remove(&(member, partition));
                }
            }
        }
    }

    /// The leader is in sync, nobody who is fenced is while there is a leader, and there is one when somebody can lead.
    fn judge_members(&mut self, image: &View, partition: &Partition) {
        let Partition { leader, isr, elr, .. } = partition;
        let led = leader.is_some_and(|leader| isr.contains(&leader));
        let fenced = |id: &BrokerId| image.is_fenced(*id);
        let sound = match leader {
            Some(_) => led && !isr.iter().any(fenced),
            None => isr.len() <= 1 && isr.iter().chain(elr.iter()).all(fenced),
        };
        if partition.replicas.iter().any(|id| image.is_gone(*id)) {
            self.oracle.report("a removed broker among the replicas", format!("{partition:?}"));
        }
        if !sound || elr.iter().any(|id| isr.contains(id)) {
            self.oracle.report(
                "ISR-1",
                format!("{partition:?} of {:?}", image.image().brokers().collect::<Vec<_>>()),
            );
        }
    }
}
