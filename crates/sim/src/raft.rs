//! Stands for the metadata group: one log of decisions, committed by one leader at a time, which reaches every broker in
//! order and sooner or later. That the group keeps these promises is not tested here.

use std::rc::Rc;

use eddy_metadata::Record;

use crate::broker::Task;
use crate::message::Call;
use crate::mutant::Mutant;
use crate::queue::{MILLI, Micros};
use crate::scenario::Scenario;
use crate::view::View;
use crate::world::{Event, World, id_of};

const TICK: Micros = 100 * MILLI;

pub(crate) struct Raft {
    pub(crate) leader: Option<usize>,
    /// The image after each entry; the first is what everything begins with.
    images: Vec<Rc<View>>,
    /// Since when the leader cannot lead.
    lost_since: Option<Micros>,
}

impl Raft {
    pub(crate) fn new(scenario: &Scenario, mutant: Option<Mutant>) -> Raft {
        Raft { leader: None, images: vec![Rc::new(View::genesis(scenario, mutant))], lost_since: Some(0) }
    }

    /// The image after `entries` entries.
    pub(crate) fn image(&self, entries: usize) -> Rc<View> {
        self.images[entries].clone()
    }

    /// Entries committed.
    pub(crate) fn end(&self) -> usize {
        self.images.len() - 1
    }

    pub(crate) fn head(&self) -> Rc<View> {
        self.image(self.end())
    }
}

impl World {
    /// The leader of the group must live and reach a majority; otherwise somebody else is chosen, after a while.
    pub(crate) fn raft_tick(&mut self) {
        self.queue.push(self.now + TICK, Event::Raft);
        if self.has_controller() {
            self.raft.lost_since = None;
            return;
        }
        let since = *self.raft.lost_since.get_or_insert(self.now);
        if self.now < since + 400 * MILLI && self.now > TICK {
            return;
        }
        let able: Vec<usize> = (0..self.brokers.len()).filter(|broker| self.can_lead_raft(*broker)).collect();
        let Some(chosen) = self.chance.pick(&able) else { return };
        self.raft.leader = Some(chosen);
        self.raft.lost_since = None;
        // A leader has every committed entry.
        self.catch_up(chosen, self.raft.end());
    }

    /// Whether the group has a leader that a majority confirms.
    pub(crate) fn has_controller(&self) -> bool {
        self.raft.leader.is_some_and(|leader| self.can_lead_raft(leader))
    }

    fn can_lead_raft(&self, broker: usize) -> bool {
        let lives = |other: usize| self.brokers[other].up && self.brokers[other].paused_until <= self.now;
        let reached =
            |other: usize| other == broker || (lives(other) && self.links.pass_both(self.now, broker, other));
        let head = self.raft.head();
        let voters = (0..self.brokers.len()).filter(|other| !head.is_gone(id_of(*other)));
        let (count, all) =
            voters.fold((0, 0), |(count, all), other| (count + usize::from(reached(other)), all + 1));
        lives(broker) && !head.is_gone(id_of(broker)) && count * 2 > all
    }

    /// A proposal reached `at`: committed if it leads and the log is where the proposer thinks.
    pub(crate) fn propose_at(
        &mut self,
        at: usize,
        version: u64,
        records: &[Record],
        unclean: bool,
    ) -> Option<Result<usize, usize>> {
        if self.raft.leader != Some(at) || !self.can_lead_raft(at) {
            return None;
        }
        let before = self.raft.head();
        if before.image().version() != version {
            return Some(Err(self.raft.end()));
        }
        let after = match before.after(records) {
            Ok(after) => after,
            Err(error) => {
                self.oracle.report("M4", format!("a decision does not fit: {error}: {records:?}"));
                return None;
            }
        };
        self.judge_commit(&before, &after, unclean);
        self.trace(|| format!("committed {records:?}"));
        self.topic_comes_and_goes(&before, &after);
        let brokers = |view: &View| view.image().brokers().count() as u64;
        self.statistics.removals += brokers(&before).saturating_sub(brokers(&after));
        self.raft.images.push(Rc::new(after));
        let end = self.raft.end();
        for broker in 0..self.brokers.len() {
            self.schedule_apply(broker);
        }
        Some(Ok(end))
    }

    /// The next entries reach a broker, later, if it is not cut off.
    pub(crate) fn schedule_apply(&mut self, broker: usize) {
        if self.brokers[broker].entered && !self.brokers[broker].applying {
            self.brokers[broker].applying = true;
            let delay = self.delay() * 2;
            self.later(broker, delay, Task::Apply);
        }
    }

    pub(crate) fn apply_next(&mut self, broker: usize) {
        self.brokers[broker].applying = false;
        let connected = self.reaches_controller(broker);
        if self.brokers[broker].applied >= self.raft.end() {
            return;
        }
        if connected {
            let upto = self.brokers[broker].applied + 1;
            self.catch_up(broker, upto);
        } else {
            self.brokers[broker].applying = true;
            self.later(broker, 20 * MILLI, Task::Apply);
            return;
        }
        if self.brokers[broker].applied < self.raft.end() {
            self.schedule_apply(broker);
        }
    }

    /// Whether the leader of the group can tell a broker what is committed.
    pub(crate) fn reaches_controller(&self, broker: usize) -> bool {
        self.raft.leader.is_some_and(|leader| {
            leader == broker || self.brokers[leader].up && self.links.pass_both(self.now, leader, broker)
        })
    }

    fn catch_up(&mut self, broker: usize, upto: usize) {
        while self.brokers[broker].applied < upto {
            self.brokers[broker].applied += 1;
            if self.brokers[broker].entered {
                self.note_unclean_elections(broker);
                self.image_moved(broker);
            }
        }
    }

    /// What a broker wants committed goes to the leader of the group, as far as anybody knows it.
    pub(crate) fn send_to_controller(&mut self, broker: usize, call: Call) {
        if let Some(leader) = self.raft.leader {
            self.send(broker, leader, call);
        }
    }
}
