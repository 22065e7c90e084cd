//! Decisions about brokers and replicas, told as stories: a command, and how the partition stands after it.

mod drains;
mod elections;
mod members;
mod properties;
mod reassigns;

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::{BrokerId, ErrorCode, TopicId, TopicPartition};

use super::*;
use crate::config::StaticConfig;
use crate::{Image, Local, Partition, Record};

/// A cluster of brokers 1 to `n` in racks `r0`, `r1`, `r2`, `r0`, …; only its decisions change it.
pub(super) struct Cluster {
    pub(super) image: Image,
    incarnation: u64,
}

impl Cluster {
    pub(super) fn of(brokers: i32) -> Cluster {
        let local = Local { broker: BrokerId(1), config: StaticConfig::default() };
        let mut cluster = Cluster { image: Image::empty(Arc::new(local)), incarnation: 0 };
        for broker in 1..=brokers {
            cluster.register(broker, Some(broker), false).unwrap();
        }
        cluster
    }

    /// Adds topic `name` with these replicas a partition.
    pub(super) fn topic(mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> Cluster {
        let mut id = [0; 16];
        id.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        let new = NewTopic {
            assignments: (0..).zip(replicas.iter().map(|ids| brokers(ids))).collect(),
            configs: configs.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect(),
            ..NewTopic::with_defaults(TopicId(id), name)
        };
        let (records, _) = create_topic(&self.image, &new).unwrap();
        self.commit(&records);
        self
    }

    /// Applies records, whose stored form must say the same; a decision names a partition once.
    pub(super) fn commit(&mut self, records: &[Record]) {
        let mut changed = BTreeMap::new();
        for record in records {
            if let Record::PartitionChanged { topic_id, partition, .. } = record {
                assert_eq!(changed.insert((*topic_id, *partition), ()), None, "two records of one partition");
            }
            assert_eq!(Record::from_value(&record.to_value()).as_ref(), Ok(record));
            self.image.apply(record).unwrap();
        }
    }

    /// Registers a broker: with the directory of this number, or the one it has; as a new run, or the one that it is.
    pub(super) fn register(
        &mut self,
        broker: i32,
        directory: Option<i32>,
        same_run: bool,
    ) -> Result<(), RegisterError> {
        let known = self.image.broker(BrokerId(broker));
        self.incarnation += 1;
        let incarnation = known.filter(|_| same_run).map_or(self.incarnation, |known| known.incarnation);
        let directory = match directory {
            Some(number) => [u8::try_from(number).unwrap(); 16],
            None => known.unwrap().directory,
        };
        let rack = Some(format!("r{}", (broker - 1) % 3));
        let registration =
            Registration { broker: BrokerId(broker), incarnation, endpoints: Vec::new(), rack, directory };
        let records = register_broker(&self.image, &registration)?;
        self.commit(&records);
        Ok(())
    }

    pub(super) fn partition(&self, name: &str, index: usize) -> &Partition {
        &self.image.topic(name).unwrap().partitions[index]
    }

    /// What a leader wants, with everything it must know.
    pub(super) fn wish(&self, name: &str, index: i32, isr: &[i32]) -> IsrChange {
        let topic = self.image.topic(name).unwrap();
        let partition = &topic.partitions[usize::try_from(index).unwrap()];
        let epoch =
            |id: &i32| (BrokerId(*id), self.image.broker(BrokerId(*id)).map_or(-1, |known| known.epoch));
        IsrChange {
            topic: topic.id,
            partition: index,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: isr.iter().map(epoch).collect(),
        }
    }

    fn alter_isr(&mut self, isr: &[i32]) -> Result<(), ErrorCode> {
        let from = self.partition("t", 0).leader.expect("a leader that asks");
        let epoch = self.image.broker(from).unwrap().epoch;
        let wish = self.wish("t", 0, isr);
        let (records, mut results) = alter_partitions(&self.image, from, epoch, &[wish]);
        self.commit(&records);
        let accepted = results.pop().unwrap().map_err(|refusal| refusal.code())?;
        let partition = self.partition("t", 0);
        assert_eq!((&*accepted.isr, accepted.partition_epoch), (&*partition.isr, partition.partition_epoch));
        Ok(())
    }

    fn configure(&mut self, target: &ConfigTarget, key: &str, value: &str) -> Result<(), ErrorCode> {
        let (operation, value) = match value {
            "default" => (AlterOperation::Delete, None),
            value => (AlterOperation::Set, Some(value.to_owned())),
        };
        let change = ConfigChange { key: key.to_owned(), operation, value };
        let records = alter_configs(&self.image, target, &[change]).map_err(|error| error.code())?;
        self.commit(&records);
        Ok(())
    }

    /// Does what a line of a story says to partition 0 of topic `t`.
    fn run(&mut self, command: &str) -> Result<(), ErrorCode> {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let ids = ids(rest);
        let first = BrokerId(ids.first().copied().unwrap_or(-1));
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let records = match verb {
            "fence" => fence_broker(&self.image, first),
            "stop" => begin_shutdown(&self.image, first),
            "restart" => return self.register(first.0, None, false).map_err(|error| error.code()),
            "return" => return self.register(first.0, None, true).map_err(|error| error.code()),
            "replace" => return self.register(first.0, Some(100 + first.0), false).map_err(|e| e.code()),
            "isr" => return self.alter_isr(&ids),
            "min" => return self.configure(&ConfigTarget::Topic("t".into()), "min.insync.replicas", rest),
            "min-all" => return self.configure(&ConfigTarget::BrokerDefault, "min.insync.replicas", rest),
            "unclean" => {
                let key = "unclean.leader.election.enable";
                return self.configure(&ConfigTarget::Topic("t".into()), key, rest);
            }
            "elect" => {
                let code = if rest == "preferred" { 0 } else { 1 };
                let kind = ElectionKind::from_code(code).unwrap();
                let (records, outcomes) = elect_leaders(&self.image, kind, Some(&[partition]));
                self.commit(&records);
                return outcomes
                    .into_iter()
                    .try_for_each(|(_, result)| result.map_err(|refused| refused.code()));
            }
            "prefer" => preferred_leaders(&self.image),
            "reassign" | "cancel" => {
                let replicas = (verb == "reassign").then(|| brokers(&ids));
                let (records, results) =
                    alter_reassignments(&self.image, &[NewReplicas { partition, replicas }], false);
                self.commit(&records);
                return results.into_iter().try_for_each(|result| result.map_err(|refused| refused.code()));
            }
            "drain" => drain_broker(&self.image, first).map_err(|error| error.code())?,
            "undrain" => undrain_broker(&self.image, first).map_err(|error| error.code())?,
            "upkeep" => upkeep(&self.image),
            "remove" => {
                remove_broker(&self.image, first, Removal::WhenEmpty).map_err(|error| error.code())?
            }
            "bury" => remove_broker(&self.image, first, Removal::WhenDead).map_err(|error| error.code())?,
            _ => panic!("no such command: {command}"),
        };
        self.commit(&records);
        Ok(())
    }
}

/// Runs the lines; each is `command -> state of t-0` or `command -> CODE`. Epochs are those of leader and partition.
pub(super) fn story(mut cluster: Cluster, lines: &str) -> Cluster {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once("->").expect("an arrow");
        let before = state(cluster.partition("t", 0));
        let after = match cluster.run(command.trim()) {
            Ok(()) => state(cluster.partition("t", 0)),
            Err(code) => {
                assert_eq!(state(cluster.partition("t", 0)), before, "refused, and changed: {line}");
                code.name().to_owned()
            }
        };
        assert_eq!(after, expected.trim(), "after {command}");
    }
    cluster
}

/// `leader/leader epoch/partition epoch isr … [elr …] [of replicas [+adding] [-removing]]`, the replicas when they move or are not 1,2,3.
pub(super) fn state(partition: &Partition) -> String {
    let list = |ids: &[BrokerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let leader = partition.leader.map_or("none".to_owned(), |leader| leader.to_string());
    let mut text = format!(
        "{leader}/{}/{} isr {}",
        partition.leader_epoch,
        partition.partition_epoch,
        list(&partition.isr)
    );
    if !partition.elr.is_empty() {
        text += &format!(" elr {}", list(&partition.elr));
    }
    if *partition.replicas != *brokers(&[1, 2, 3]) {
        text += &format!(" of {}", list(&partition.replicas));
    }
    if !partition.adding.is_empty() {
        text += &format!(" +{}", list(&partition.adding));
    }
    if !partition.removing.is_empty() {
        text += &format!(" -{}", list(&partition.removing));
    }
    text
}

pub(super) fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

fn ids(text: &str) -> Vec<i32> {
    text.split(',').filter_map(|id| id.trim().parse().ok()).collect()
}

/// Four brokers, and a partition on 1, 2 and 3 that needs two in the ISR.
pub(super) fn three_of_four() -> Cluster {
    Cluster::of(4).topic("t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")])
}
