//! Answers on their way out: each leaves when all that it could have seen is on the disks of the replicas in sync.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use eddy_core::group::{Reply, ReplyToken};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Unavailable;

/// Where an answer comes out.
pub(crate) type Receiver = oneshot::Receiver<Result<Reply, Unavailable>>;
type Sender = oneshot::Sender<Result<Reply, Unavailable>>;

/// Requests of one shard that may wait at the same time, parked ones included. The clients of a shard are rarely a
/// hundredth of that; a broker that is flooded refuses the rest and keeps its memory.
const WAITING_MAX: usize = 20_000;
/// How long an answer waits for its append. The replicas of a partition that cannot take it within that have lost each other,
/// and the client looks for another coordinator meanwhile.
const APPEND_WAIT: Duration = Duration::from_secs(5);

/// The requests of a shard that were not answered yet.
///
/// Appends of the shard are numbered from 1. The machine's answer to an event waits for the last append so far, its own or
/// an earlier one: it may tell of records that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Replies(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests that the machine has not answered.
    asked: HashMap<ReplyToken, Sender>,
    /// Answers that wait for an append, by its number, ascending.
    held: VecDeque<Held>,
    /// Every append up to this one is on the disks of the replicas in sync.
    durable: u64,
    /// Why nobody is answered any more.
    closed: Option<Unavailable>,
}

#[derive(Debug)]
struct Held {
    after: u64,
    since: Instant,
    to: Sender,
    reply: Reply,
}

impl Held {
    fn send(self) {
        // A client that is gone needs no answer.
        let _ = self.to.send(Ok(self.reply));
    }
}

impl Replies {
    /// Notes a request that the machine is about to see. What is received is its answer; nothing comes when the shard is
    /// closed first.
    pub(crate) fn ask(&self, token: ReplyToken) -> Result<Receiver, Unavailable> {
        let mut state = self.0.lock();
        if let Some(why) = state.closed {
            return Err(why);
        }
        if state.asked.len() + state.held.len() >= WAITING_MAX {
            return Err(Unavailable::Full);
        }
        let (sender, receiver) = oneshot::channel();
        state.asked.insert(token, sender);
        Ok(receiver)
    }

    /// Answers of the machine, which leave when append number `after` is on disk.
    pub(crate) fn answer(&self, after: u64, replies: impl IntoIterator<Item = (ReplyToken, Reply)>) {
        let mut state = self.0.lock();
        for (token, reply) in replies {
            let Some(to) = state.asked.remove(&token) else { continue };
            let held = Held { after, since: Instant::now(), to, reply };
            if after <= state.durable { held.send() } else { state.held.push_back(held) }
        }
    }

    /// Append number `append` is on disk, and with it all before.
    pub(crate) fn durable(&self, append: u64) {
        let mut state = self.0.lock();
        state.durable = state.durable.max(append);
        let ready = state.held.partition_point(|held| held.after <= state.durable);
        let ready: Vec<Held> = state.held.drain(..ready).collect();
        drop(state);
        ready.into_iter().for_each(Held::send);
    }

    /// Nobody is answered any more; those who wait are told why. Does nothing the second time.
    pub(crate) fn close(&self, why: Unavailable) {
        let mut state = self.0.lock();
        state.closed.get_or_insert(why);
        let (asked, held) = (std::mem::take(&mut state.asked), std::mem::take(&mut state.held));
        drop(state);
        for to in asked.into_values().chain(held.into_iter().map(|held| held.to)) {
            // A client that is gone need not know.
            let _ = to.send(Err(why));
        }
    }

    /// Those whose answers have waited too long for their appends are told so.
    pub(crate) fn expire(&self) {
        let mut state = self.0.lock();
        let late = state.held.partition_point(|held| held.since.elapsed() >= APPEND_WAIT);
        let late: Vec<Held> = state.held.drain(..late).collect();
        drop(state);
        for held in late {
            let _ = held.to.send(Err(Unavailable::NotReplicated));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().closed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        Reply::Heartbeat(Ok(()))
    }

    fn ask(replies: &Replies, token: u64) -> Receiver {
        replies.ask(ReplyToken(token)).unwrap()
    }

    #[test]
    fn an_answer_leaves_when_its_append_is_on_disk_and_not_before() {
        let replies = Replies::default();
        let (mut first, mut second) = (ask(&replies, 1), ask(&replies, 2));
        replies.answer(1, [(ReplyToken(1), reply())]);
        replies.answer(2, [(ReplyToken(2), reply())]);
        assert!(first.try_recv().is_err());
        replies.durable(1);
        assert_eq!(first.try_recv(), Ok(Ok(reply())));
        assert!(second.try_recv().is_err());
        // Numbers may be told out of order: a later one speaks for those before.
        replies.durable(3);
        replies.durable(2);
        assert_eq!(second.try_recv(), Ok(Ok(reply())));
    }

    #[test]
    fn an_answer_without_anything_to_wait_for_leaves_at_once() {
        let replies = Replies::default();
        let mut asked = ask(&replies, 1);
        replies.answer(0, [(ReplyToken(1), reply())]);
        assert_eq!(asked.try_recv(), Ok(Ok(reply())));
    }

    #[test]
    fn those_who_wait_hear_of_the_end() {
        let replies = Replies::default();
        let (mut parked, mut held) = (ask(&replies, 1), ask(&replies, 2));
        replies.answer(1, [(ReplyToken(2), reply())]);
        replies.close(Unavailable::NotCoordinator);
        replies.close(Unavailable::TooFewReplicas);
        for asked in [&mut parked, &mut held] {
            assert_eq!(asked.try_recv(), Ok(Err(Unavailable::NotCoordinator)));
        }
        assert_eq!(replies.ask(ReplyToken(3)).unwrap_err(), Unavailable::NotCoordinator);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_replicas_do_not_confirm_fails_and_later_ones_do_not() {
        let replies = Replies::default();
        let (mut parked, mut first, mut second) = (ask(&replies, 1), ask(&replies, 2), ask(&replies, 3));
        replies.answer(1, [(ReplyToken(2), reply())]);
        tokio::time::advance(APPEND_WAIT / 2).await;
        replies.answer(2, [(ReplyToken(3), reply())]);
        tokio::time::advance(APPEND_WAIT / 2).await;
        replies.expire();
        assert_eq!(first.try_recv(), Ok(Err(Unavailable::NotReplicated)));
        replies.durable(2);
        assert_eq!(second.try_recv(), Ok(Ok(reply())));
        assert!(parked.try_recv().is_err(), "the machine has not answered it");
    }

    #[test]
    fn requests_beyond_the_limit_are_refused() {
        let replies = Replies::default();
        let waiting: Vec<_> = (0..WAITING_MAX as u64).map(|token| ask(&replies, token)).collect();
        assert_eq!(replies.ask(ReplyToken(u64::MAX)).unwrap_err(), Unavailable::Full);
        drop(waiting);
    }
}
