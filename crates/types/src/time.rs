//! Time as the broker counts it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, or a span of them. -1 is Kafka's "no timestamp".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// "No timestamp" on the wire.
    pub const NONE: Millis = Millis(-1);
}

impl Add for Millis {
    type Output = Millis;

    /// Saturates: limits such as `i64::MAX` mean "never".
    fn add(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }
}

impl Sub for Millis {
    type Output = Millis;

    fn sub(self, other: Millis) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl From<Duration> for Millis {
    /// Saturates.
    fn from(span: Duration) -> Millis {
        Millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Where "now" comes from. State machines never ask: they are told.
pub trait Clock: Send + Sync {
    /// The time of day, for what is compared with the timestamps of records or shown to people. Anybody may set it, forth and back.
    fn now(&self) -> Millis;

    /// Time that only goes on, however the time of day is set: for everything that measures how long ago something was. It begins at
    /// what the time of day was then, so that on a machine whose clock nobody sets the two are the same.
    fn steady(&self) -> Millis;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().into()
    }

    fn steady(&self) -> Millis {
        static BEGAN: OnceLock<(Instant, Millis)> = OnceLock::new();
        let (began, at) = BEGAN.get_or_init(|| (Instant::now(), self.now()));
        *at + began.elapsed().into()
    }
}
