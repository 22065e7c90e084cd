//! What operators ask of the cluster while it suffers: other replicas, another topic of the same name, a leader at any price.

use eddy_metadata::Partition;
use eddy_metadata::controller::NewTopic;
use eddy_types::BrokerId;

use crate::message::Wish;
use crate::queue::{MILLI, Micros};
use crate::view::{TOPIC_NAME, View, configs, topic_id};
use crate::world::{Event, World, id_of, index_of};

impl World {
    /// A partition is to have other replicas; often the old ones again after a while, or what is under way is taken back.
    pub(crate) fn move_something(&mut self, span: Micros) {
        let index = self.chance.index(self.scenario.partitions);
        let head = self.raft.head();
        let Some(state) = head.number_of(index).and_then(|number| head.partition(number)) else { return };
        if state.is_reassigning() && self.chance.percent(30) {
            return self.reassign(index, None);
        }
        if self.chance.percent(25) && self.take_away_for_a_moment(index, state) {
            return;
        }
        let before: Vec<BrokerId> = state.target_replicas().collect();
        let target = self.draw_replicas(&before);
        if self.chance.percent(50) {
            self.queue.push(self.now + span, Event::Reassign { index, target: before });
        }
        self.reassign(index, Some(target));
    }

    /// A follower loses its replica and gets it back while what it says to the leader is stuck on the way. False when nobody can be
    /// spared.
    fn take_away_for_a_moment(&mut self, index: usize, state: &Partition) -> bool {
        let Some(leader) = state.leader.filter(|_| state.replicas.len() > 2 && !state.is_reassigning())
        else {
            return false;
        };
        let followers: Vec<BrokerId> = state.isr.iter().copied().filter(|id| *id != leader).collect();
        let Some(follower) = self.chance.pick(&followers) else { return false };
        let target = state.replicas.iter().copied().filter(|id| *id != follower).collect();
        let (taken, given) = (self.now + 100 * MILLI, self.now + 400 * MILLI);
        let cut_until = given + self.chance.between(10, 1_000) * MILLI;
        self.links.cut(index_of(follower), index_of(leader), cut_until);
        self.queue.push(taken, Event::Reassign { index, target });
        self.queue.push(given, Event::Reassign { index, target: state.replicas.to_vec() });
        true
    }

    /// One replica more, one fewer, one on another broker, or all of them anew and in another order. Partitions of a single replica
    /// keep to one: what it loses with its broker's last moments is not to be found elsewhere.
    fn draw_replicas(&mut self, before: &[BrokerId]) -> Vec<BrokerId> {
        let mut others: Vec<BrokerId> = (0..self.brokers.len()).map(id_of).collect();
        others.retain(|id| !before.contains(id));
        let mut target = before.to_vec();
        let place = self.chance.index(target.len());
        let other = self.chance.pick(&others);
        let alone = self.scenario.replication_factor == 1;
        match (self.chance.below(4), other) {
            (0, Some(other)) if !alone => target.insert(place, other),
            (1, _) if target.len() > 2 => drop(target.remove(place)),
            (2, Some(other)) => target[place] = other,
            _ => {
                target.extend(others);
                for at in (1..target.len()).rev() {
                    target.swap(at, self.chance.index(at + 1));
                }
                target.truncate(before.len());
            }
        }
        target
    }

    /// Asks for other replicas of a partition of the topic.
    pub(crate) fn reassign(&mut self, index: usize, target: Option<Vec<BrokerId>>) {
        // Who gives up a replica that is in sync while another one's disk is lost gives up what only it has.
        let number = self.raft.head().number_of(index);
        if number.is_some_and(|number| (0..self.brokers.len()).any(|id| self.oracle.is_wiped(id, number))) {
            return;
        }
        self.trace(|| format!("partition {index} of the topic is to have {target:?}"));
        self.ask(Wish::Reassign { index, target });
    }

    /// Deletes the topic, unless it has been created as often as it may be.
    pub(crate) fn delete_topic(&mut self) {
        if self.raft.head().created() < self.scenario.incarnations {
            self.ask(Wish::DeleteTopic);
        }
    }

    /// Creates the topic, and looks again later whether it is there.
    pub(crate) fn create_topic(&mut self) {
        let head = self.raft.head();
        if head.topic().is_some() {
            return;
        }
        let incarnation = head.created();
        let factor = self.scenario.replication_factor.min(self.brokers.len());
        let configs = configs(&self.scenario, self.mutant);
        let topic = NewTopic {
            id: topic_id(incarnation),
            name: TOPIC_NAME.to_owned(),
            partitions: i32::try_from(self.scenario.partitions).unwrap_or(1),
            replication_factor: i16::try_from(factor).unwrap_or(1),
            assignments: Vec::new(),
            configs: configs.into_iter().map(|(key, value)| (key, Some(value))).collect(),
        };
        if self.wipes_are_noticed() {
            self.ask(Wish::CreateTopic { incarnation, topic });
        }
        self.queue.push(self.now + 300 * MILLI, Event::CreateTopic);
    }

    /// The group has committed: who has deleted the topic creates it again, sooner or later.
    pub(crate) fn topic_comes_and_goes(&mut self, before: &View, after: &View) {
        self.statistics.recreations += (after.created() - before.created()) as u64;
        if before.topic().is_some() && after.topic().is_none() {
            let pause = self.chance.below(1_500 * MILLI);
            self.queue.push(self.now + pause, Event::CreateTopic);
        }
    }

    /// A partition without a leader gets one, whatever it lacks. If there is none, the followers of a partition are down while it goes
    /// on, then its leader is when they are back, and somebody asks for an election.
    pub(crate) fn strand(&mut self) {
        let head = self.raft.head();
        let is_leaderless =
            |number: &usize| head.partition(*number).is_some_and(|state| state.leader.is_none());
        let leaderless = head.numbers().position(|number| is_leaderless(&number));
        let index = leaderless.unwrap_or(self.chance.index(self.scenario.partitions));
        self.ask(Wish::ElectUnclean { index });
        let Some(state) = head.number_of(index).and_then(|number| head.partition(number)) else { return };
        let Some(leader) = state.leader.map(index_of) else { return };
        let away = self.scenario.session_timeout + self.chance.between(500, 2_500) * MILLI;
        for follower in state.replicas.iter().map(|id| index_of(*id)).filter(|id| *id != leader) {
            self.crash(follower, away);
        }
        let down_for = self.scenario.session_timeout + self.chance.between(2_000, 5_000) * MILLI;
        self.queue.push(self.now + away, Event::Crash { broker: leader, down_for });
        for after in [300, 800, 1_500] {
            let at = self.now + away + self.scenario.session_timeout + after * MILLI;
            self.queue.push(at, Event::ElectUnclean { index });
        }
    }

    /// Asks any broker that runs.
    pub(crate) fn ask(&mut self, wish: Wish) {
        let up: Vec<usize> = (0..self.brokers.len()).filter(|broker| self.brokers[*broker].up).collect();
        if let Some(broker) = self.chance.pick(&up) {
            self.wish(broker, wish);
        }
    }
}
