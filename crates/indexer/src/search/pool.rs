//! Threads for searches: so many at once, and so many that wait for a place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SearchLimits;
use super::error::SearchError;

/// Places for searches.
pub(crate) struct Pool {
    places: std::sync::Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Counts one that waits, as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(limits: &SearchLimits) -> Pool {
        Pool {
            places: std::sync::Arc::new(Semaphore::new(limits.running_max.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.waiting_max,
        }
    }

    /// One more place for a search that runs, if nobody waits for it.
    pub(crate) fn spare(&self) -> Option<OwnedSemaphorePermit> {
        std::sync::Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Runs what blocks on a thread of its own, once there is a place.
    ///
    /// # Errors
    /// Too many wait, or there was no place in time.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SearchError> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Waiting(&self.waiting);
        if waiting >= self.waiting_max {
            return Err(SearchError::TooBusy { waiting });
        }
        let started = Instant::now();
        let place = std::sync::Arc::clone(&self.places).acquire_owned();
        let place = match tokio::time::timeout_at(deadline.into(), place).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(SearchError::Unavailable { reason: "the broker stops".to_owned() }),
            Err(_) => return Err(SearchError::Timeout { after: started.elapsed() }),
        };
        drop(counted);
        let done = tokio::task::spawn_blocking(move || {
            // The place is given back when the work is done, even if nobody waits for it any more.
            let _place = place;
            work()
        });
        done.await.map_err(|_| SearchError::Unavailable {
            reason: "the search failed; see the broker's log".to_owned(),
        })
    }
}
