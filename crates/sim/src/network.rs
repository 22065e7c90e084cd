//! Links between nodes, and streams between brokers: first in, first out, held up while the link is cut.

use std::collections::VecDeque;

use crate::message::{Down, Up};
use crate::queue::Micros;

/// A node: a broker by its index, or all clients together.
pub(crate) type Node = usize;

/// Which links are cut, and until when.
#[derive(Debug)]
pub(crate) struct Links {
    cut_until: Vec<Vec<Micros>>,
}

impl Links {
    pub(crate) fn new(nodes: usize) -> Links {
        Links { cut_until: vec![vec![0; nodes]; nodes] }
    }

    pub(crate) fn cut(&mut self, from: Node, to: Node, until: Micros) {
        let cut = &mut self.cut_until[from][to];
        *cut = (*cut).max(until);
    }

    pub(crate) fn heal(&mut self) {
        self.cut_until.iter_mut().flatten().for_each(|cut| *cut = 0);
    }

    /// Whether messages pass from one node to the other.
    pub(crate) fn pass(&self, now: Micros, from: Node, to: Node) -> bool {
        self.cut_until[from][to] <= now
    }

    pub(crate) fn pass_both(&self, now: Micros, one: Node, other: Node) -> bool {
        self.pass(now, one, other) && self.pass(now, other, one)
    }
}

/// One replication stream: a follower broker opened it to a leader broker.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) follower: Node,
    pub(crate) leader: Node,
    pub(crate) follower_incarnation: u64,
    pub(crate) leader_incarnation: u64,
    pub(crate) open: bool,
    pub(crate) up: Pipe<Up>,
    pub(crate) down: Pipe<Down>,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Pipe<M> {
    pub(crate) queue: VecDeque<(Micros, M)>,
    pub(crate) last: Micros,
    /// Since when nothing passes although something waits.
    pub(crate) stuck_since: Option<Micros>,
    pub(crate) pumping: bool,
}

impl<M> Pipe<M> {
    pub(crate) fn new() -> Pipe<M> {
        Pipe { queue: VecDeque::new(), last: 0, stuck_since: None, pumping: false }
    }
}
