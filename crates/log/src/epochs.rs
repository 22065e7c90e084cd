//! Leader epochs of a log and where each began (KIP-101, R-3.103).

use eddy_types::{LeaderEpoch, Offset};

/// (epoch, start offset), both rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    pub(crate) fn new(entries: Vec<(LeaderEpoch, Offset)>) -> Self {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs
    }

    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// Notes that `epoch` begins at `start`; nothing happens when it is not newer than the latest. An epoch that began at
    /// the same place and wrote nothing is forgotten.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch.0 < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        while self.0.pop_if(|(_, other)| *other >= start).is_some() {}
        self.0.push((epoch, start));
    }

    /// Forgets epochs that began at `to` or later.
    pub(crate) fn truncate_from_end(&mut self, to: Offset) {
        while self.0.pop_if(|(_, start)| *start >= to).is_some() {}
    }

    /// The log now begins at `start`: the epoch of that offset begins there too, those before it are forgotten.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) {
        let keep = self.0.partition_point(|(_, other)| *other <= start).saturating_sub(1);
        self.0.drain(..keep);
        if let Some((_, first)) = self.0.first_mut() {
            *first = start.max(*first);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Epochs that began below `end`.
    pub(crate) fn below(&self, end: Offset) -> Vec<(LeaderEpoch, Offset)> {
        self.0.iter().copied().take_while(|(_, start)| *start < end).collect()
    }

    /// The epoch that the record at `offset` has, none below the first known.
    pub(crate) fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.0.partition_point(|(_, start)| *start <= offset);
        self.0.get(after.checked_sub(1)?).map(|(epoch, _)| *epoch)
    }

    /// The largest epoch not above `asked`, and where it ends. `(-1, -1)` when `asked` is not known yet.
    pub(crate) fn end_of(&self, asked: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        let unknown = (LeaderEpoch::NONE, Offset::NONE);
        let Some(latest) = self.latest().filter(|_| asked.0 >= 0) else { return unknown };
        if asked == latest {
            return (asked, log_end);
        }
        let next = self.0.partition_point(|(epoch, _)| *epoch <= asked);
        let Some((_, end)) = self.0.get(next) else { return unknown };
        let floor = next.checked_sub(1).and_then(|floor| self.0.get(floor));
        (floor.map_or(asked, |(epoch, _)| *epoch), *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        Epochs::new(entries.iter().map(|(epoch, start)| (LeaderEpoch(*epoch), Offset(*start))).collect())
    }

    #[test]
    fn end_of_an_epoch_is_where_the_next_one_began() {
        let epochs = epochs(&[(2, 10), (3, 20), (7, 30)]);
        for (asked, answer) in [
            (-1, (-1, -1)),
            (0, (0, 10)),
            (1, (1, 10)),
            (2, (2, 20)),
            (3, (3, 30)),
            (5, (3, 30)),
            (7, (7, 44)),
            (8, (-1, -1)),
        ] {
            let (epoch, end) = epochs.end_of(LeaderEpoch(asked), Offset(44));
            assert_eq!((epoch.0, end.0), answer, "asked for {asked}");
        }
        assert_eq!(Epochs::default().end_of(LeaderEpoch(0), Offset(5)), (LeaderEpoch::NONE, Offset::NONE));
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way() {
        assert_eq!(epochs(&[(1, 0), (2, 10), (3, 10)]), epochs(&[(1, 0), (3, 10)]));
        assert_eq!(epochs(&[(1, 0), (3, 10), (2, 20), (3, 30)]), epochs(&[(1, 0), (3, 10)]));
    }

    #[test]
    fn both_ends_can_move() {
        let mut all = epochs(&[(1, 0), (2, 10), (3, 20)]);
        all.truncate_from_end(Offset(20));
        assert_eq!(all, epochs(&[(1, 0), (2, 10)]));
        all.truncate_from_start(Offset(5));
        assert_eq!(all, epochs(&[(1, 5), (2, 10)]));
        all.truncate_from_start(Offset(10));
        assert_eq!(all, epochs(&[(2, 10)]));
        all.truncate_from_start(Offset(15));
        assert_eq!(all, epochs(&[(2, 15)]));
    }
}
