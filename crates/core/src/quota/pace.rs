//! A rate that several senders share, each a small piece at a time (KIP-73).

use eddy_types::Millis;

use super::TokenBucket;

/// Pieces of a second's worth.
const PIECES: f64 = 10.0;

/// Hands out a rate of bytes a second in pieces. What a piece turned out to be is told afterwards, and paid for before the next:
/// over any time nobody gets more than the rate, two pieces, and what the last one was larger than thought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace(TokenBucket);

impl Pace {
    /// How many bytes may go now, at least 1.
    ///
    /// # Errors
    /// None: earlier ones are not paid for. The time until they are at this rate.
    pub fn piece(&mut self, now: Millis, rate: u64) -> Result<u64, Millis> {
        if rate == 0 {
            return Err(Millis(i64::MAX));
        }
        let rate = rate as f64;
        let piece = (rate / PIECES).max(1.0);
        match self.0.delay(now, piece, rate) {
            Millis(0) => Ok(piece as u64),
            delay => Err(delay),
        }
    }

    /// So many went.
    pub fn took(&mut self, now: Millis, rate: u64, bytes: u64) {
        self.0.take(now, rate as f64, bytes as f64);
    }
}
