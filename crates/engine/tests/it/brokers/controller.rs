//! The controller that the test plays: it commits records to every broker's metadata.

use std::sync::Arc;

use eddy_core::IsrDecision;
use eddy_engine::{Engine, IsrProposals};
use eddy_metadata::{Assignment, Record};
use eddy_types::{BrokerId, PartitionEpoch};

use super::{Brokers, Known, TOPIC, id};

impl Brokers {
    pub(super) async fn catch_up(&self, number: usize) {
        let (engine, missing) = {
            let mut world = self.world.lock();
            let all = world.records.len();
            let broker = &mut world.brokers[number - 1];
            let Some(engine) = broker.engine.clone() else { return };
            let told = std::mem::replace(&mut broker.told, all);
            (engine, world.records[told..].to_vec())
        };
        if !missing.is_empty() {
            engine.quorum().propose(missing).await.unwrap();
        }
    }

    async fn commit_in_turn(&self, record: Record, but: &[usize]) {
        self.world.lock().records.push(record);
        let count = self.world.lock().brokers.len();
        for number in (1..=count).filter(|number| !but.contains(number)) {
            self.catch_up(number).await;
        }
    }

    /// All brokers hear of what they have missed.
    pub(crate) async fn tell_all(&self) {
        let _turn = self.turn.lock().await;
        let count = self.world.lock().brokers.len();
        for number in 1..=count {
            self.catch_up(number).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) -> Record {
        let known = &mut self.world.lock().known;
        known.partition_epoch.0 += 1;
        change(known);
        Record::PartitionChanged {
            topic_id: TOPIC,
            partition: 0,
            leader: known.leader,
            leader_epoch: known.leader_epoch,
            isr: known.isr.clone(),
            elr: Vec::new(),
            assignment: None,
            partition_epoch: known.partition_epoch,
        }
    }

    /// Elects a leader; `but` hear of it later.
    pub(crate) async fn elect(&self, leader: usize, isr: &[usize], but: &[usize]) {
        let _turn = self.turn.lock().await;
        let record = self.change(|known| {
            known.leader = Some(id(leader));
            known.leader_epoch.0 += 1;
            known.isr = isr.iter().map(|number| id(*number)).collect();
        });
        self.commit_in_turn(record, but).await;
    }

    /// Moves the partition to other replicas.
    pub(crate) async fn move_to(&self, replicas: &[usize]) {
        let _turn = self.turn.lock().await;
        let replicas: Vec<BrokerId> = replicas.iter().map(|number| id(*number)).collect();
        let mut record = self.change(|known| known.isr.retain(|broker| replicas.contains(broker)));
        if let Record::PartitionChanged { assignment, .. } = &mut record {
            *assignment = Some(Assignment { replicas, adding: Vec::new(), removing: Vec::new() });
        }
        self.commit_in_turn(record, &[]).await;
    }

    /// Decides what the leaders of one broker propose, as a controller does.
    pub(super) async fn decide(self, engine: Arc<Engine>) {
        let proposals: Arc<IsrProposals> = Arc::clone(engine.isr_proposals());
        loop {
            for (key, proposal) in proposals.next().await {
                let _turn = self.turn.lock().await;
                let known = self.known();
                let based_on = proposal.partition_epoch;
                let decision =
                    if (known.leader_epoch, known.partition_epoch) == (proposal.leader_epoch, based_on) {
                        let isr: Vec<BrokerId> = proposal.isr.iter().map(|member| member.broker).collect();
                        let record = self.change(|known| known.isr.clone_from(&isr));
                        self.commit_in_turn(record, &[]).await;
                        IsrDecision::Accepted { isr, partition_epoch: PartitionEpoch(based_on.0 + 1) }
                    } else {
                        IsrDecision::Superseded
                    };
                let partition = engine.replica(&engine.image(), key).await.unwrap();
                partition.isr_decided(based_on, decision);
            }
        }
    }
}
