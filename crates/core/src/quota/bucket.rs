//! Use against a bucket of tokens that fills at the rate of the limit (KIP-599).

use eddy_types::Millis;

use super::QuotaWindows;

/// What one entity owes its bucket: 0 is a full one. Counted as a debt, so that a changed limit changes the size at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenBucket {
    debt: f64,
    counted: Option<Millis>,
}

impl TokenBucket {
    /// Tokens there are; below 0 when more was taken than there was.
    #[must_use]
    pub fn tokens(&mut self, now: Millis, windows: QuotaWindows, limit: f64) -> f64 {
        self.refill(now, limit);
        size(windows, limit) - self.debt
    }

    /// Takes tokens, whether they are there or not.
    pub fn take(&mut self, now: Millis, limit: f64, amount: f64) {
        self.refill(now, limit);
        self.debt += amount;
    }

    /// How long until there are no tokens missing.
    #[must_use]
    pub fn delay(&mut self, now: Millis, windows: QuotaWindows, limit: f64) -> Millis {
        let missing = -self.tokens(now, windows, limit);
        if missing <= 0.0 {
            return Millis(0);
        }
        // A cast saturates.
        Millis((missing / limit * 1000.0).round() as i64)
    }

    fn refill(&mut self, now: Millis, limit: f64) {
        let elapsed = self.counted.map_or(0, |counted| (now - counted).0.max(0));
        self.counted = Some(self.counted.map_or(now, |counted| counted.max(now)));
        self.debt = (self.debt - elapsed as f64 / 1000.0 * limit).max(0.0);
    }
}

/// Tokens of a full bucket: what all windows allow.
fn size(windows: QuotaWindows, limit: f64) -> f64 {
    limit * windows.total() as f64 / 1000.0
}
