//! Answers of one connection, in request order.
//!
//! Requests are started in order by the reading half and finish in any order; the writing half sends what is finished, several
//! answers in one write, and never lets one overtake another.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use eddy_engine::BudgetPermit;
use eddy_wire::Frame;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics::ApiMetrics;

/// An answer that is still being worked on; `None` when it cannot be encoded, which ends the connection.
pub(crate) type PendingFrame = Pin<Box<dyn Future<Output = Option<Frame>> + Send>>;

/// What a request leads to.
pub(crate) enum Answer {
    /// The answer is complete.
    Now(Frame),
    /// The answer comes later; the next request may start meanwhile.
    Later(PendingFrame),
    /// No answer is sent (acks=0).
    Nothing,
}

/// An answer in the queue, and what is given back or recorded when it is sent.
pub(crate) struct Queued {
    pub(crate) answer: Answer,
    pub(crate) started: Instant,
    pub(crate) metrics: &'static ApiMetrics,
    pub(crate) permit: BudgetPermit,
}

/// The queue between the halves of a connection.
#[derive(Default)]
pub(crate) struct Pipeline {
    queue: Mutex<Inner>,
    popped: Notify,
}

#[derive(Default)]
struct Inner {
    answers: VecDeque<Queued>,
    /// Answers taken by the writing half and not yet sent.
    taken: usize,
    closed: bool,
}

impl Pipeline {
    /// Requests of one connection that may be under way. Clients keep 5 (Java) to a few hundred (librdkafka) in flight; what
    /// is beyond waits in the socket.
    pub(crate) const DEPTH: usize = 128;

    /// Waits until another request may start.
    pub(crate) async fn room(&self) {
        while self.in_flight() >= Self::DEPTH {
            self.popped.notified().await;
        }
    }

    /// Requests started and not yet answered.
    pub(crate) fn in_flight(&self) -> usize {
        let inner = self.queue.lock();
        inner.answers.len() + inner.taken
    }

    pub(crate) fn push(&self, queued: Queued) {
        self.queue.lock().answers.push_back(queued);
    }

    /// No more requests: [`Pipeline::next`] ends after the last answer.
    pub(crate) fn close(&self) {
        self.queue.lock().closed = true;
    }

    /// The next answer in order; `None` after the last one. It wakes nobody: both halves are one task, in which the writing
    /// half is polled after the reading half.
    pub(crate) async fn next(&self) -> Option<Queued> {
        poll_fn(|_| {
            let mut inner = self.queue.lock();
            match inner.answers.pop_front() {
                Some(queued) => {
                    inner.taken += 1;
                    Poll::Ready(Some(queued))
                }
                None if inner.closed => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// The next answer if one is queued.
    pub(crate) fn try_next(&self) -> Option<Queued> {
        let mut inner = self.queue.lock();
        let queued = inner.answers.pop_front()?;
        inner.taken += 1;
        Some(queued)
    }

    /// `count` answers taken before were sent.
    pub(crate) fn sent(&self, count: usize) {
        self.queue.lock().taken -= count;
        self.popped.notify_one();
    }
}
