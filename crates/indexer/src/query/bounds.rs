//! What a query says of timestamps and offsets before any split is opened.

use std::ops::Bound;

use super::name::Name;
use super::ranges::whole_numbers;
use super::tree::Node;

/// Every match lies within. Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) times: (i64, i64),
    pub(crate) offsets: (i64, i64),
}

const ALL: Bounds = Bounds { times: (i64::MIN, i64::MAX), offsets: (i64::MIN, i64::MAX) };

impl Bounds {
    pub(crate) fn of(node: &Node) -> Bounds {
        match node {
            Node::Range { name: Name::Timestamp, ranges } => {
                let (from, to) = ranges.dates.unwrap_or((Bound::Unbounded, Bound::Unbounded));
                let from = match from {
                    Bound::Unbounded => i64::MIN,
                    Bound::Included(from) => from.0,
                    Bound::Excluded(from) => from.0.saturating_add(1),
                };
                let to = match to {
                    Bound::Unbounded => i64::MAX,
                    Bound::Included(to) => to.0,
                    Bound::Excluded(to) => to.0.saturating_sub(1),
                };
                Bounds { times: (from, to), ..ALL }
            }
            Node::Range { name: Name::Offset, ranges } => {
                let range = ranges.numbers.unwrap_or((Bound::Unbounded, Bound::Unbounded));
                // An empty range ends before it begins.
                Bounds { offsets: whole_numbers(&range).unwrap_or((i64::MAX, i64::MIN)), ..ALL }
            }
            Node::Bool(all) => {
                all.must.iter().chain(&all.filter).fold(ALL, |bounds, node| bounds.and(Bounds::of(node)))
            }
            Node::Boost(node, _) | Node::Constant(node) => Bounds::of(node),
            _ => ALL,
        }
    }

    fn and(self, other: Bounds) -> Bounds {
        let and = |one: (i64, i64), two: (i64, i64)| (one.0.max(two.0), one.1.min(two.1));
        Bounds { times: and(self.times, other.times), offsets: and(self.offsets, other.offsets) }
    }

    /// Whether a split of these timestamps and offsets (the last one excluded) can have a match.
    pub(crate) fn touch(&self, times: (i64, i64), offsets: (i64, i64)) -> bool {
        self.times.0 <= times.1
            && times.0 <= self.times.1
            && self.offsets.0 < offsets.1
            && offsets.0 <= self.offsets.1
            && self.times.0 <= self.times.1
            && self.offsets.0 <= self.offsets.1
    }
}
