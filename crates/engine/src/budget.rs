//! Memory that requests may hold between the socket and their answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A fixed number of bytes shared by all connections. A connection takes a request's size before it reads the body, so a
/// full broker stops reading sockets in place of growing.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    bytes: Arc<Semaphore>,
    capacity: u32,
}

/// Bytes taken from a [`MemoryBudget`]; given back when dropped.
#[derive(Debug)]
pub struct BudgetPermit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl MemoryBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> MemoryBudget {
        let capacity = u32::try_from(bytes).unwrap_or(u32::MAX);
        MemoryBudget { bytes: Arc::new(Semaphore::new(capacity as usize)), capacity }
    }

    /// Waits, first come first served, until `bytes` are free. A request larger than the whole budget takes all of it.
    pub async fn take(&self, bytes: usize) -> BudgetPermit {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity);
        match Arc::clone(&self.bytes).acquire_many_owned(wanted).await {
            Ok(permit) => BudgetPermit(permit),
            Err(_) => unreachable!("the budget's semaphore is never closed"),
        }
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
}
