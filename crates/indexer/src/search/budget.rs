//! What is left for one search: time, and the wish of somebody for its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tantivy::TantivyError;

/// Ends a search from outside.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline: Instant,
    abandoned: AtomicBool,
}

impl Budget {
    pub(crate) fn new(deadline: Instant) -> Budget {
        Budget { deadline, abandoned: AtomicBool::new(false) }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether the search must end.
    pub(crate) fn is_spent(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// An error if the search must end. Whoever started it asks [`Budget::is_spent`] why it failed.
    pub(crate) fn check(&self) -> tantivy::Result<()> {
        if self.is_spent() { Err(TantivyError::InternalError("out of time".to_owned())) } else { Ok(()) }
    }
}
