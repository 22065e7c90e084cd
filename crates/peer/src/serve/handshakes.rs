//! The bound of unfinished handshakes.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::limits::HANDSHAKES_MAX;

/// The connections whose handshake is not finished, oldest first.
#[derive(Default)]
pub(crate) struct Handshakes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// None until the task's handle is known.
    open: VecDeque<(u64, Option<AbortHandle>)>,
}

impl Handshakes {
    /// Enters a handshake that is about to begin.
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.open.push_back((id, None));
        id
    }

    /// Hands over the task of a handshake. Ends the oldest one if there are too many: then true.
    pub(crate) fn begun(&self, id: u64, task: AbortHandle) -> bool {
        let mut state = self.state.lock();
        if let Some(entry) = state.open.iter_mut().rev().find(|entry| entry.0 == id) {
            entry.1 = Some(task);
        }
        if state.open.len() <= HANDSHAKES_MAX {
            return false;
        }
        let oldest = state.open.pop_front().and_then(|(_, task)| task);
        oldest.inspect(AbortHandle::abort).is_some()
    }

    /// Takes out a handshake that has ended, well or not.
    pub(crate) fn ended(&self, id: u64) {
        self.state.lock().open.retain(|entry| entry.0 != id);
    }
}
