//! Answers on their way out: each leaves when all that it could have seen is on disk.

use std::collections::{HashMap, VecDeque};

use eddy_core::group::{Reply, ReplyToken};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::Unavailable;

/// Requests of one shard that may wait at the same time, parked ones included. The clients of a shard are rarely a
/// hundredth of that; a broker that is flooded refuses the rest and keeps its memory.
const WAITING_MAX: usize = 20_000;

/// The requests of a shard that were not answered yet.
///
/// Appends of the shard are numbered from 1. The machine's answer to an event waits for the last append so far, its own or
/// an earlier one: it may tell of records that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Replies(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests that the machine has not answered.
    asked: HashMap<ReplyToken, oneshot::Sender<Reply>>,
    /// Answers that wait for an append, by its number, ascending.
    held: VecDeque<Held>,
    /// Every append up to this one is on disk.
    durable: u64,
    closed: bool,
}

#[derive(Debug)]
struct Held {
    after: u64,
    to: oneshot::Sender<Reply>,
    reply: Reply,
}

impl Held {
    fn send(self) {
        // A client that is gone needs no answer.
        let _ = self.to.send(self.reply);
    }
}

impl Replies {
    /// Notes a request that the machine is about to see. What is received is its answer; nothing comes when the shard is
    /// closed first.
    pub(crate) fn ask(&self, token: ReplyToken) -> Result<oneshot::Receiver<Reply>, Unavailable> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(Unavailable::NotCoordinator);
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
            let held = Held { after, to, reply };
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

    /// Nobody is answered any more; those who wait are told so. Does nothing the second time.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.asked), std::mem::take(&mut state.held));
        drop(state);
        drop(dropped);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        Reply::Heartbeat(Ok(()))
    }

    fn ask(replies: &Replies, token: u64) -> oneshot::Receiver<Reply> {
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
        assert_eq!(first.try_recv(), Ok(reply()));
        assert!(second.try_recv().is_err());
        // Numbers may be told out of order: a later one speaks for those before.
        replies.durable(3);
        replies.durable(2);
        assert_eq!(second.try_recv(), Ok(reply()));
    }

    #[test]
    fn an_answer_without_anything_to_wait_for_leaves_at_once() {
        let replies = Replies::default();
        let mut asked = ask(&replies, 1);
        replies.answer(0, [(ReplyToken(1), reply())]);
        assert_eq!(asked.try_recv(), Ok(reply()));
    }

    #[test]
    fn those_who_wait_hear_of_the_end() {
        let replies = Replies::default();
        let (mut parked, mut held) = (ask(&replies, 1), ask(&replies, 2));
        replies.answer(1, [(ReplyToken(2), reply())]);
        replies.close();
        for asked in [&mut parked, &mut held] {
            assert_eq!(asked.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
        assert_eq!(replies.ask(ReplyToken(3)).unwrap_err(), Unavailable::NotCoordinator);
    }

    #[test]
    fn requests_beyond_the_limit_are_refused() {
        let replies = Replies::default();
        let waiting: Vec<_> = (0..WAITING_MAX as u64).map(|token| ask(&replies, token)).collect();
        assert_eq!(replies.ask(ReplyToken(u64::MAX)).unwrap_err(), Unavailable::Full);
        drop(waiting);
    }
}
