//! Offsets and the epochs that fence them.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

counter!(
    /// Position of a record in a partition. Dense from 0; -1 on the wire means "none".
    Offset(i64)
);
counter!(
    /// Term of a partition's leader, stamped into each batch (KIP-101). Rises by one at each election; -1 is unknown.
    LeaderEpoch(i32)
);
counter!(
    /// Version of a partition's leader-and-ISR state, for compare-and-set by the controller (KIP-497).
    PartitionEpoch(i32)
);
counter!(
    /// Epoch of a producer id; a higher one fences the lower (KIP-98).
    ProducerEpoch(i16)
);

impl Offset {
    /// The first offset of an empty log.
    pub const ZERO: Offset = Offset(0);
    /// "No offset" on the wire.
    pub const NONE: Offset = Offset(-1);

    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl Add<i64> for Offset {
    type Output = Offset;

    fn add(self, records: i64) -> Offset {
        Offset(self.0 + records)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, records: i64) {
        self.0 += records;
    }
}

impl LeaderEpoch {
    /// "Unknown" on the wire: no check is asked for.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

impl ProducerEpoch {
    /// What a batch without a producer id carries.
    pub const NONE: ProducerEpoch = ProducerEpoch(-1);
}

/// Offsets `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetRange {
    /// First offset of the range.
    pub start: Offset,
    /// The offset after the last one.
    pub end: Offset,
}

impl OffsetRange {
    /// The range of `records` offsets from `start`.
    #[must_use]
    pub fn from_count(start: Offset, records: i64) -> OffsetRange {
        OffsetRange { start, end: start + records }
    }

    /// Last offset of the range; one below `start` when the range is empty.
    #[must_use]
    pub fn last(self) -> Offset {
        Offset(self.end.0 - 1)
    }

    /// Number of offsets in the range.
    #[must_use]
    pub fn count(self) -> i64 {
        self.end.0 - self.start.0
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}
