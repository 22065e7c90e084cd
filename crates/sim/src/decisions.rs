//! The decisions of the product's controller, and the lies that mutants tell it: each of them makes it decide as one would that
//! lacks a check.

use eddy_core::{IsrDecision, IsrMember, IsrProposal};
use eddy_metadata::controller::{
    self, ElectionKind, IsrAccepted, IsrChange, IsrRefusal, NewReplicas, NewTopic, RegisterError,
    Registration, TopicRef,
};
use eddy_metadata::{Image, Record, Resource};
use eddy_types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicPartition};

use crate::mutant::Mutant;
use crate::view::{TOPIC_NAME, View, directory};

/// A broker that decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider {
    pub(crate) me: BrokerId,
    pub(crate) incarnation: u64,
    /// Number of its data directory.
    pub(crate) directory: u64,
    pub(crate) mutant: Option<Mutant>,
}

impl Decider {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Registers this run of the broker.
    pub(crate) fn register(&self, view: &View) -> Result<Vec<Record>, RegisterError> {
        let truth = Registration {
            broker: self.me,
            incarnation: self.incarnation,
            endpoints: Vec::new(),
            rack: None,
            directory: directory(self.directory),
        };
        let mut told = truth.clone();
        if let Some(known) = view.image().broker(self.me) {
            if self.is(Mutant::LeadsAgainInTheSameEpoch) {
                told.incarnation = known.incarnation;
            }
            if self.is(Mutant::WipedDiskStaysInSync) {
                told.directory = known.directory;
            }
        }
        let mut records = controller::register_broker(view.image(), &told)?;
        if told != truth {
            records.retain(|record| !matches!(record, Record::BrokerRegistered { .. }));
            let Registration { broker, incarnation, endpoints, rack, directory } = truth;
            records.insert(0, Record::BrokerRegistered { broker, incarnation, endpoints, rack, directory });
        }
        Ok(records)
    }

    /// Fences a broker, unless it has registered again since.
    pub(crate) fn fence(&self, view: &View, broker: BrokerId, broker_epoch: i64) -> Vec<Record> {
        match view.image().broker(broker) {
            Some(known) if known.epoch == broker_epoch => controller::fence_broker(&self.seen(view), broker),
            _ => Vec::new(),
        }
    }

    pub(crate) fn begin_shutdown(&self, view: &View) -> Vec<Record> {
        controller::begin_shutdown(&self.seen(view), self.me)
    }

    /// What this broker wants of a partition that it leads, and what it hears of that once it is committed.
    pub(crate) fn alter(
        &self,
        view: &View,
        partition: usize,
        proposal: &IsrProposal,
    ) -> (Vec<Record>, IsrDecision) {
        let mut image = self.seen(view);
        let mut change = self.change(view, &image, partition, proposal);
        if let Some(now) = view.partition(partition).filter(|_| self.is(Mutant::NoCompareAndSet)) {
            change.leader_epoch = now.leader_epoch;
            change.partition_epoch = now.partition_epoch;
        }
        for (member, epoch) in &mut change.isr {
            let asks_nothing = self.is(Mutant::FencedJoins) || self.is(Mutant::StaleEpochJoins);
            if asks_nothing && view.is_fenced(*member) {
                *epoch = unfence(&mut image, *member);
            }
            if self.is(Mutant::StaleEpochJoins) {
                *epoch = image.broker(*member).map_or(-1, |known| known.epoch);
            }
        }
        let epoch = image.broker(self.me).map_or(-1, |known| known.epoch);
        let (records, mut results) = controller::alter_partitions(&image, self.me, epoch, &[change]);
        let decision = results.pop().map_or(IsrDecision::Unanswered, decision);
        (self.in_the_same_epoch(view, records), decision)
    }

    fn change(&self, view: &View, image: &Image, partition: usize, proposal: &IsrProposal) -> IsrChange {
        let (topic, partition) = view.place_of(partition);
        let member = |member: &IsrMember| match member.broker_epoch {
            // One that has not been heard in this leadership is a member in its present life.
            -1 => (member.broker, image.broker(member.broker).map_or(-1, |known| known.epoch)),
            said => (member.broker, said),
        };
        IsrChange {
            topic,
            partition,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr.iter().map(member).collect(),
        }
    }

    /// Somebody wants other replicas of a partition of the topic, or to go back to those there were (`None`).
    pub(crate) fn reassign(&self, view: &View, index: usize, target: Option<&[BrokerId]>) -> Vec<Record> {
        let partition = partition_of_topic(index);
        let wish = NewReplicas { partition, replicas: target.map(<[BrokerId]>::to_vec) };
        let (records, _) = controller::alter_reassignments(&self.seen(view), &[wish], false);
        self.in_the_same_epoch(view, records)
    }

    /// Creates the topic, unless one has been created since.
    pub(crate) fn create_topic(&self, view: &View, incarnation: usize, topic: &NewTopic) -> Vec<Record> {
        if view.created() > incarnation {
            return Vec::new();
        }
        let created = controller::create_topic(view.image(), topic);
        created.map(|(records, _)| records).unwrap_or_default()
    }

    /// Somebody wants a leader of a partition, even if records are lost.
    pub(crate) fn elect_unclean(&self, view: &View, index: usize) -> Vec<Record> {
        let (mut image, targets) = (view.image().clone(), [partition_of_topic(index)]);
        let before = view.number_of(index).and_then(|number| view.partition(number));
        let Some(before) = before.filter(|_| self.is(Mutant::UncleanThoughSomebodyCanLead)) else {
            return controller::elect_leaders(&image, ElectionKind::Unclean, Some(&targets)).0;
        };
        for holder in before.isr.iter().chain(before.elr.iter()) {
            controller::fence_broker(&image, *holder).iter().for_each(|record| commit(&mut image, record));
        }
        let (mut records, _) = controller::elect_leaders(&image, ElectionKind::Unclean, Some(&targets));
        for record in &mut records {
            if let Record::PartitionChanged { leader_epoch, partition_epoch, .. } = record {
                *leader_epoch = LeaderEpoch(before.leader_epoch.0 + 1);
                *partition_epoch = PartitionEpoch(before.partition_epoch.0 + 1);
            }
        }
        records
    }

    pub(crate) fn delete_topic(&self, view: &View) -> Vec<Record> {
        let deleted = controller::delete_topic(view.image(), &TopicRef::Name(TOPIC_NAME));
        deleted.map(|(records, _)| records).unwrap_or_default()
    }

    /// Begins to empty a broker when enough others are left.
    pub(crate) fn drain(&self, view: &View, broker: BrokerId, others: usize) -> Vec<Record> {
        if view.others_than(broker).len() < others {
            return Vec::new();
        }
        controller::drain_broker(view.image(), broker).unwrap_or_default()
    }

    /// Empties a broker when enough others are left, and removes it once it is empty.
    pub(crate) fn decommission(&self, view: &View, broker: BrokerId, others: usize) -> Vec<Record> {
        if view.others_than(broker).len() < others || view.is_gone(broker) {
            return Vec::new();
        }
        if self.is(Mutant::RemovedBeforeItIsEmpty) {
            return vec![Record::BrokerRemoved { broker }];
        }
        controller::decommission(view.image(), broker).map(|(records, _)| records).unwrap_or_default()
    }

    pub(crate) fn upkeep(&self, view: &View) -> Vec<Record> {
        let mut records = controller::upkeep(view.image());
        if self.is(Mutant::UpkeepElectsUnclean) && records.is_empty() {
            records = controller::elect_leaders(view.image(), ElectionKind::Unclean, None).0;
        }
        let moves = |record: &Record| matches!(record, Record::PartitionChanged { assignment: Some(_), .. });
        records.retain(|record| !self.is(Mutant::UpkeepForgetsDrains) || !moves(record));
        records
    }

    /// The image that decisions are made on.
    fn seen(&self, view: &View) -> Image {
        let mut image = view.image().clone();
        if let Some(topic) = view.topic().filter(|_| self.is(Mutant::EligibleThoughTheLogGrows)) {
            let changes = [("min.insync.replicas".to_owned(), Some("5".to_owned()))].into();
            commit(&mut image, &Record::ConfigsSet { resource: Resource::Topic(topic), changes });
        }
        image
    }

    /// Takes back the epoch that begins when a replica leaves.
    fn in_the_same_epoch(&self, view: &View, mut records: Vec<Record>) -> Vec<Record> {
        for record in &mut records {
            let Record::PartitionChanged { partition, leader, leader_epoch, .. } = record else { continue };
            let index = usize::try_from(*partition).ok();
            let before = index.and_then(|index| view.partition(view.number_of(index)?));
            if let Some(before) = before.filter(|_| self.is(Mutant::ReplicaLeavesInTheSameEpoch))
                && before.leader == *leader
            {
                *leader_epoch = before.leader_epoch;
            }
        }
        records
    }
}

fn partition_of_topic(index: usize) -> TopicPartition {
    TopicPartition { topic: TOPIC_NAME.into(), partition: i32::try_from(index).unwrap_or(i32::MAX) }
}

/// Lets a broker live that is fenced, and gives its new epoch.
fn unfence(image: &mut Image, broker: BrokerId) -> i64 {
    let Some(known) = image.broker(broker).cloned() else { return -1 };
    let again = Record::BrokerRegistered {
        broker,
        incarnation: known.incarnation,
        endpoints: known.endpoints,
        rack: known.rack,
        directory: known.directory,
    };
    commit(image, &again);
    image.broker(broker).map_or(-1, |known| known.epoch)
}

fn commit(image: &mut Image, record: &Record) {
    let applied = image.apply(record);
    assert_eq!(applied, Ok(()), "{record:?}");
}

/// What a leader is told, as `cluster` tells it.
fn decision(answer: Result<IsrAccepted, IsrRefusal>) -> IsrDecision {
    match answer {
        Ok(IsrAccepted { isr, partition_epoch }) => IsrDecision::Accepted { isr, partition_epoch },
        Err(
            IsrRefusal::StalePartition { .. }
            | IsrRefusal::FencedEpoch { .. }
            | IsrRefusal::NotLeader(_)
            | IsrRefusal::NewLeader
            | IsrRefusal::UnknownTopic(_)
            | IsrRefusal::UnknownPartition { .. },
        ) => IsrDecision::Superseded,
        Err(
            IsrRefusal::AheadOfImage { .. } | IsrRefusal::NotRegistered(_) | IsrRefusal::StaleBroker { .. },
        ) => IsrDecision::Unanswered,
        Err(IsrRefusal::InvalidIsr { .. } | IsrRefusal::Ineligible { .. }) => IsrDecision::Refused,
    }
}
