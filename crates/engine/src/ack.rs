//! Acknowledgements: of one produce request, where many partitions finish in any order and one task waits for all of them; or
//! of a batch whose appender is told by a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eddy_types::OffsetRange;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::AppendError;

/// What became of one partition's batch.
pub type AckResult = Result<OffsetRange, AppendError>;

/// The pending acknowledgements of a produce request, a slot a partition.
#[derive(Debug)]
pub struct AckGroup {
    remaining: AtomicUsize,
    slots: Mutex<Vec<Option<AckResult>>>,
    done: Notify,
}

impl AckGroup {
    /// A group that waits for `partitions` results.
    #[must_use]
    pub fn new(partitions: usize) -> Arc<AckGroup> {
        Arc::new(AckGroup {
            remaining: AtomicUsize::new(partitions),
            slots: Mutex::new(vec![None; partitions]),
            done: Notify::new(),
        })
    }

    /// The right, and the duty, to complete slot `slot`.
    #[must_use]
    pub fn token(self: &Arc<Self>, slot: usize) -> AckToken {
        AckToken { told: Some(Told::Slot(Arc::clone(self), slot)) }
    }

    /// Waits until every slot has its result, or until `deadline`; a slot without a result by then is `None`.
    pub async fn wait(&self, deadline: Instant) -> Vec<Option<AckResult>> {
        let everything_done = async {
            while self.remaining.load(Ordering::Acquire) > 0 {
                self.done.notified().await;
            }
        };
        // The deadline only decides when to stop waiting: what has finished by then counts.
        let _ = tokio::time::timeout_at(deadline, everything_done).await;
        std::mem::take(&mut *self.slots.lock())
    }

    fn complete(&self, slot: usize, result: AckResult) {
        if let Some(place) = self.slots.lock().get_mut(slot) {
            *place = Some(result);
        }
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

/// The right, and the duty, to tell what became of a batch; dropped unused it reports that the partition went away.
#[derive(Debug)]
pub struct AckToken {
    told: Option<Told>,
}

/// Who is told.
enum Told {
    Slot(Arc<AckGroup>, usize),
    Call(Box<dyn FnOnce(AckResult) + Send>),
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Told::Slot(_, slot) => f.debug_tuple("Slot").field(slot).finish(),
            Told::Call(_) => f.write_str("Call"),
        }
    }
}

impl Told {
    fn tell(self, result: AckResult) {
        match self {
            Told::Slot(group, slot) => group.complete(slot, result),
            Told::Call(call) => call(result),
        }
    }
}

impl AckToken {
    /// A token that hands the result to `call`, on the thread that writes the write-ahead log or from within [`Partition::append`]: it
    /// must be short, wait for nothing that the appender holds, and append nothing.
    ///
    /// [`Partition::append`]: crate::Partition::append
    #[must_use]
    pub fn call(call: impl FnOnce(AckResult) + Send + 'static) -> AckToken {
        AckToken { told: Some(Told::Call(Box::new(call))) }
    }

    /// Hands in the result.
    pub fn complete(mut self, result: AckResult) {
        if let Some(told) = self.told.take() {
            told.tell(result);
        }
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            told.tell(Err(AppendError::PartitionGone));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use eddy_types::Offset;

    use super::*;

    fn range(start: i64) -> OffsetRange {
        OffsetRange::from_count(Offset(start), 1)
    }

    #[tokio::test]
    async fn the_waiter_wakes_when_the_last_slot_is_filled() {
        let group = AckGroup::new(2);
        let (first, second) = (group.token(0), group.token(1));
        let waiter = tokio::spawn({
            let group = Arc::clone(&group);
            async move { group.wait(Instant::now() + Duration::from_secs(60)).await }
        });
        second.complete(Ok(range(7)));
        first.complete(Ok(range(3)));
        assert_eq!(waiter.await.unwrap(), vec![Some(Ok(range(3))), Some(Ok(range(7)))]);
    }

    #[tokio::test(start_paused = true)]
    async fn slots_without_a_result_at_the_deadline_are_none() {
        let group = AckGroup::new(2);
        let late = group.token(1);
        group.token(0).complete(Ok(range(0)));
        let results = group.wait(Instant::now() + Duration::from_millis(10)).await;
        assert_eq!(results, vec![Some(Ok(range(0))), None]);
        late.complete(Ok(range(1)));
    }

    #[tokio::test]
    async fn a_dropped_token_says_that_the_partition_is_gone() {
        let group = AckGroup::new(1);
        drop(group.token(0));
        let results = group.wait(Instant::now() + Duration::from_secs(60)).await;
        assert_eq!(results, vec![Some(Err(AppendError::PartitionGone))]);
    }

    #[test]
    fn a_call_gets_the_result_or_hears_that_the_partition_is_gone() {
        let (tell, told) = std::sync::mpsc::channel();
        let call = |tell: std::sync::mpsc::Sender<AckResult>| {
            AckToken::call(move |result| tell.send(result).unwrap())
        };
        call(tell.clone()).complete(Ok(range(7)));
        drop(call(tell));
        assert_eq!(told.iter().collect::<Vec<_>>(), [Ok(range(7)), Err(AppendError::PartitionGone)]);
    }
}
