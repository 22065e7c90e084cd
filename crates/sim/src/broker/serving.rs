//! What a leader does for clients.

use eddy_core::{AppendError, Appended, Effects};
use eddy_types::Offset;

use super::replica::{Role, Token};
use crate::disk::Entry;
use crate::log::Batch;
use crate::message::{Answer, Fetched, ProduceError};
use crate::mutant::Mutant;
use crate::world::World;

/// Batches of one answer.
const BATCHES_MAX: usize = 10;

impl World {
    pub(crate) fn produce(&mut self, broker: usize, partition: usize, batch: Batch, token: Token) {
        let may = self.holds_lease(broker);
        let (now, timestamp) = (self.machines_clock(broker), self.time_of_day(broker));
        let batch = Batch { timestamp, ..batch };
        let mut out = Effects::new();
        let replica = &mut self.brokers[broker].replicas[partition];
        let Role::Leader(leader) = &mut replica.role else {
            return self.answer_produce(broker, &token, Err(ProduceError::NotLeader));
        };
        if !may {
            return self.answer_produce(broker, &token, Err(ProduceError::NotLeader));
        }
        let appended = match leader.append(now, token.acks, &batch.facts(), &mut out) {
            Ok(appended) => appended,
            Err(error) => {
                let error = match error {
                    AppendError::NotEnoughReplicas { .. } => ProduceError::NotEnoughReplicas,
                    AppendError::Sequence(_) | AppendError::NoOffsets { .. } => ProduceError::OutOfOrder,
                };
                return self.answer_produce(broker, &token, Err(error));
            }
        };
        let range = appended.range();
        if let Appended::New(range) = appended {
            let batch = Batch { partition, base: range.start, epoch: leader.epoch(), ..batch };
            replica.log.append(batch);
            self.brokers[broker].disk.push(Entry::Append { partition, batch });
        }
        let replica = &mut self.brokers[broker].replicas[partition];
        let acks = token.acks;
        if let Err((token, _)) = replica.pending.push(range.end, acks, (token, range.start)) {
            self.answer_produce(broker, &token, Err(ProduceError::NotLeader));
        }
        if self.mutant == Some(Mutant::LeaderAcksBeforeSync)
            && let Role::Leader(leader) = &mut self.brokers[broker].replicas[partition].role
        {
            leader.durable(range.end, &mut out);
        }
        self.carry_out(broker, partition, out);
        self.write(broker);
        self.push_later(broker);
    }

    pub(crate) fn fetch(
        &mut self,
        broker: usize,
        client: usize,
        request: u64,
        partition: usize,
        offset: Offset,
    ) {
        let replica = &self.brokers[broker].replicas[partition];
        let result = match &replica.role {
            Role::Leader(leader) => {
                let offsets = leader.offsets();
                let upto = match self.mutant {
                    Some(Mutant::ServeBeforeHighWatermark) => offsets.log_end,
                    _ => offsets.high_watermark,
                };
                if offset < offsets.log_start {
                    Fetched::BelowStart(offsets.log_start)
                } else {
                    let batches = replica.log.read(offset, upto);
                    let batches = batches.get(..batches.len().min(BATCHES_MAX)).unwrap_or(batches).to_vec();
                    Fetched::Records { high_watermark: upto, epoch: leader.epoch(), batches }
                }
            }
            Role::None | Role::Follower { .. } => Fetched::NotLeader,
        };
        self.reply(broker, client, Answer::Fetched { request, result });
    }

    pub(crate) fn delete(&mut self, broker: usize, partition: usize, before: Offset) {
        let mut out = Effects::new();
        let replica = &mut self.brokers[broker].replicas[partition];
        let Role::Leader(leader) = &mut replica.role else { return };
        if leader.offsets().high_watermark >= before {
            self.oracle.deleted(partition, before);
            let _ = leader.delete_records(before, &mut out);
        }
        self.carry_out(broker, partition, out);
    }
}
