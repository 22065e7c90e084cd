//! Memory that requests may hold between the socket and their answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A fixed number of bytes shared by all connections. A connection takes memory for a request's bytes as they arrive, so that
/// a full broker stops reading sockets in place of growing, and a client that only claims to send much holds nothing.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    bytes: Arc<Semaphore>,
    capacity: u32,
    /// For the one request that may go over the budget. Requests that each hold a part and wait for the rest would
    /// otherwise wait for each other.
    overdraft: Arc<Semaphore>,
}

/// Bytes taken from a [`MemoryBudget`]; given back when dropped.
#[derive(Debug)]
pub struct BudgetPermit {
    bytes: OwnedSemaphorePermit,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> MemoryBudget {
        let capacity = u32::try_from(bytes).unwrap_or(u32::MAX);
        let bytes = Arc::new(Semaphore::new(capacity as usize));
        MemoryBudget { bytes, capacity, overdraft: Arc::new(Semaphore::new(1)) }
    }

    /// Waits, first come first served, until `bytes` are free. A request larger than the whole budget takes all of it.
    pub async fn take(&self, bytes: usize) -> BudgetPermit {
        BudgetPermit { bytes: self.acquire(bytes).await, overdraft: None }
    }

    /// Makes a permit larger by `bytes`. When they are not free this waits for them, or to become the one request that goes
    /// over the budget, whichever comes first; that request is not counted any further.
    pub async fn grow(&self, permit: &mut BudgetPermit, bytes: usize) {
        if permit.overdraft.is_some() {
            return;
        }
        tokio::select! {
            biased;
            more = self.acquire(bytes) => permit.bytes.merge(more),
            overdraft = acquire(&self.overdraft, 1) => permit.overdraft = Some(overdraft),
        }
    }

    async fn acquire(&self, bytes: usize) -> OwnedSemaphorePermit {
        acquire(&self.bytes, u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity)).await
    }

    /// Bytes taken at the moment.
    #[must_use]
    pub fn used(&self) -> usize {
        self.capacity as usize - self.bytes.available_permits()
    }

    /// Size of the budget in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: u32) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_many_owned(permits).await {
        Ok(permit) => permit,
        Err(_) => unreachable!("the budget's semaphores are never closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_waits_for_the_bytes_that_others_hold() {
        let budget = MemoryBudget::new(100);
        let held = budget.take(80).await;
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(30).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        let _permit = waiting.await.unwrap();
        assert_eq!(budget.used(), 30);
    }

    #[tokio::test]
    async fn a_request_above_the_budget_takes_all_of_it() {
        let budget = MemoryBudget::new(100);
        let _permit = budget.take(1_000).await;
        assert_eq!(budget.used(), 100);
    }

    #[tokio::test]
    async fn requests_that_hold_a_part_each_do_not_wait_for_each_other() {
        let budget = MemoryBudget::new(100);
        let (mut first, mut second) = (budget.take(50).await, budget.take(50).await);
        budget.grow(&mut first, 30).await;
        budget.grow(&mut first, 500).await;
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.grow(&mut second, 30).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "only one goes over the budget");
        drop(first);
        waiting.await.unwrap();
        assert_eq!(budget.used(), 0);
    }
}
