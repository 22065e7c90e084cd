//! The partitions that a session serves, and what it still has to tell.

use std::sync::Arc;

use ahash::AHashMap;
use eddy_engine::Partition;
use eddy_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::SLOTS_MAX;
use super::wire::{Follow, FromLeader, Position, Progress, Refusal};

/// A partition that is served.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) partition: Arc<Partition>,
    pub(super) generation: u32,
    pub(super) leader_epoch: LeaderEpoch,
    /// Epoch of the follower's registration as it said.
    pub(super) broker_epoch: i64,
    /// End of what was sent.
    pub(super) sent: Offset,
    /// What was told last.
    pub(super) told: Option<Position>,
    /// Whether it counts against what the follower allows.
    pub(super) limited: bool,
}

enum Slot {
    /// Asked for and not answered.
    Asked {
        generation: u32,
        limited: bool,
        /// What the follower has said since: its disk goes on while it waits, and it says nothing twice.
        progress: Option<Progress>,
    },
    Served(Served),
}

impl Slot {
    fn generation(&self) -> u32 {
        match self {
            Slot::Asked { generation, .. } => *generation,
            Slot::Served(served) => served.generation,
        }
    }

    fn limited(&mut self) -> &mut bool {
        match self {
            Slot::Asked { limited, .. } => limited,
            Slot::Served(served) => &mut served.limited,
        }
    }
}

/// Shared by the halves of a session and by the tasks that open logs for it.
#[derive(Default)]
pub(super) struct Serving {
    state: Mutex<State>,
    /// There are answers.
    nudge: Notify,
}

#[derive(Default)]
struct State {
    slots: AHashMap<u32, Slot>,
    /// At most one for each request of the follower.
    answers: Vec<FromLeader>,
    /// Bytes of limited slots that the follower still takes. Below 0 when the last batch was larger than thought.
    allowance: i64,
}

impl Serving {
    /// A follower asks: what it asked for the same slot before is void. False when it asks for too much.
    pub(super) fn asked(&self, follow: &Follow) -> bool {
        let mut state = self.state.lock();
        let fits = state.slots.len() < SLOTS_MAX || state.slots.contains_key(&follow.slot);
        if fits {
            let asked = Slot::Asked { generation: follow.generation, limited: false, progress: None };
            state.slots.insert(follow.slot, asked);
        }
        fits
    }

    /// Whether this is still what the follower asks for.
    pub(super) fn is_asked(&self, follow: &Follow) -> bool {
        let state = self.state.lock();
        state.slots.get(&follow.slot).is_some_and(|slot| slot.generation() == follow.generation)
    }

    /// The request is granted: the slot is served from the follower's log end on, unless the follower has said more of itself
    /// meanwhile. That is given then, and has to be told to the partition before this is called again: what comes later is told at
    /// once, and must not be overtaken.
    #[must_use]
    pub(super) fn granted(&self, follow: &Follow, partition: &Arc<Partition>) -> Option<Progress> {
        let mut state = self.state.lock();
        let limited = match state.slots.get_mut(&follow.slot) {
            Some(Slot::Asked { generation, limited, progress }) if *generation == follow.generation => {
                if let Some(progress) = progress.take() {
                    return Some(progress);
                }
                *limited
            }
            _ => return None,
        };
        let served = Served {
            partition: Arc::clone(partition),
            generation: follow.generation,
            leader_epoch: follow.leader_epoch,
            broker_epoch: follow.broker_epoch,
            sent: follow.log_end,
            told: None,
            limited,
        };
        state.slots.insert(follow.slot, Slot::Served(served));
        None
    }

    /// A follower says how far it is: gives what is served to it, or keeps it until its request is answered.
    pub(super) fn progressed(&self, said: Progress) -> Option<Served> {
        match self.state.lock().slots.get_mut(&said.slot) {
            Some(Slot::Served(served)) if served.generation == said.generation => Some(served.clone()),
            Some(Slot::Asked { generation, progress, .. }) if *generation == said.generation => {
                *progress = Some(said);
                None
            }
            _ => None,
        }
    }

    /// A request ends with `answer`: nothing more is sent for it.
    pub(super) fn ended(&self, slot: u32, generation: u32, answer: FromLeader) {
        let mut state = self.state.lock();
        if state.slots.get(&slot).is_some_and(|known| known.generation() == generation) {
            state.slots.remove(&slot);
            state.answers.push(answer);
            drop(state);
            self.nudge.notify_one();
        }
    }

    /// A request ends with a refusal.
    pub(super) fn refused(&self, slot: u32, generation: u32, refusal: Refusal) {
        self.ended(slot, generation, FromLeader::Refused { slot, generation, refusal });
    }

    /// Says no to a request that was not even noted.
    pub(super) fn answer(&self, answer: FromLeader) {
        self.state.lock().answers.push(answer);
        self.nudge.notify_one();
    }

    /// The follower wants no more of a slot; gives what was served there.
    pub(super) fn unfollowed(&self, slot: u32, generation: u32) -> Option<Served> {
        let mut state = self.state.lock();
        state.slots.get(&slot).filter(|known| known.generation() == generation)?;
        match state.slots.remove(&slot) {
            Some(Slot::Served(served)) => Some(served),
            _ => None,
        }
    }

    /// What is served in a slot.
    pub(super) fn served(&self, slot: u32) -> Option<Served> {
        match self.state.lock().slots.get(&slot) {
            Some(Slot::Served(served)) => Some(served.clone()),
            _ => None,
        }
    }

    /// Notes what is about to be sent; false when the follower has asked anew meanwhile.
    pub(super) fn sent(&self, slot: u32, generation: u32, sent: Offset, told: Position) -> bool {
        match self.state.lock().slots.get_mut(&slot) {
            Some(Slot::Served(served)) if served.generation == generation => {
                served.sent = sent;
                served.told = Some(told);
                true
            }
            _ => false,
        }
    }

    /// The follower says whether a slot counts against what it allows.
    pub(super) fn limit(&self, slot: u32, generation: u32, limited: bool) {
        let mut state = self.state.lock();
        if let Some(slot) = state.slots.get_mut(&slot).filter(|slot| slot.generation() == generation) {
            *slot.limited() = limited;
        }
        drop(state);
        self.nudge.notify_one();
    }

    /// The follower takes so many bytes more of limited slots.
    pub(super) fn allow(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.allowance = state.allowance.saturating_add(i64::from(bytes));
        drop(state);
        self.nudge.notify_one();
    }

    /// Bytes of limited slots that may be sent; `None` when that is nothing.
    pub(super) fn allowance(&self) -> Option<usize> {
        usize::try_from(self.state.lock().allowance).ok().filter(|bytes| *bytes > 0)
    }

    /// So many bytes of a limited slot are sent.
    pub(super) fn charge(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut state = self.state.lock();
        state.allowance = state.allowance.saturating_sub(bytes);
    }

    /// Waits until there is something in [`Serving::take_answers`], or limits have changed.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Answers to send.
    pub(super) fn take_answers(&self) -> Vec<FromLeader> {
        std::mem::take(&mut self.state.lock().answers)
    }

    /// Partitions that are served.
    pub(super) fn len(&self) -> usize {
        self.state.lock().slots.len()
    }
}
