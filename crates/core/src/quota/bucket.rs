//! The use of one entity, as a debt that is paid at the rate of its limit.

use eddy_types::Millis;

/// What one entity has used and not yet made good. A bucket of tokens, seen from its top: 0 is a full one. Counted so, a changed limit
/// holds at once, for the size of the bucket as for its filling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenBucket {
    debt: f64,
    counted: Option<Millis>,
}

impl TokenBucket {
    /// Takes tokens, whether they are there or not; a negative number gives back what was not used after all.
    pub fn take(&mut self, now: Millis, limit: f64, amount: f64) {
        self.refill(now, limit);
        self.debt = (self.debt + amount).max(0.0);
    }

    /// Tokens in a bucket of `size`; below 0 when more was taken than there was.
    #[must_use]
    pub fn tokens(&mut self, now: Millis, size: f64, limit: f64) -> f64 {
        self.refill(now, limit);
        size - self.debt
    }

    /// How long until no tokens are missing in a bucket of `size`.
    #[must_use]
    pub fn delay(&mut self, now: Millis, size: f64, limit: f64) -> Millis {
        let missing = -self.tokens(now, size, limit);
        if missing <= 0.0 {
            return Millis(0);
        }
        // A cast saturates.
        Millis((missing / limit * 1000.0).round() as i64)
    }

    /// A clock that steps back pays nothing, and is not paid for twice when it comes forward again.
    fn refill(&mut self, now: Millis, limit: f64) {
        let counted = self.counted.map_or(now, |counted| counted.max(now));
        let elapsed = (counted - self.counted.unwrap_or(now)).0.max(0);
        self.counted = Some(counted);
        self.debt = (self.debt - elapsed as f64 / 1000.0 * limit).max(0.0);
    }
}
