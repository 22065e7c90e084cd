//! Events in the order of virtual time; those of one moment in the order in which they were scheduled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Virtual time, in microseconds since the run began.
pub(crate) type Micros = u64;

/// A millisecond of virtual time.
pub(crate) const MILLI: Micros = 1_000;

/// What shall happen, and when.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Scheduled<E>>,
    next: u64,
}

#[derive(Debug)]
struct Scheduled<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), next: 0 }
    }

    pub(crate) fn push(&mut self, at: Micros, event: E) {
        let number = self.next;
        self.next += 1;
        self.heap.push(Scheduled { at, number, event });
    }

    /// Puts back an event that cannot happen yet, in its place among the others that were put back.
    pub(crate) fn defer(&mut self, at: Micros, number: u64, event: E) {
        self.heap.push(Scheduled { at, number, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Micros, u64, E)> {
        self.heap.pop().map(|next| (next.at, next.number, next.event))
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Scheduled<E> {}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Scheduled<E> {
    /// The heap gives the greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
