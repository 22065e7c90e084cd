//! Leader epochs in requests: fencing (KIP-320) and divergence (KIP-595), and what a follower does about it.

use std::ops::Range;

use eddy_types::{LeaderEpoch, Offset};

/// The leader epoch in a request is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// The sender has not heard of the current leader (FENCED_LEADER_EPOCH).
    #[error("leader epoch {asked} is fenced by {current}")]
    Fenced {
        /// Epoch in the request.
        asked: LeaderEpoch,
        /// Our epoch.
        current: LeaderEpoch,
    },
    /// We have not heard of the leader that the sender knows (UNKNOWN_LEADER_EPOCH).
    #[error("leader epoch {asked} is not known here, current one {current}")]
    Unknown {
        /// Epoch in the request.
        asked: LeaderEpoch,
        /// Our epoch.
        current: LeaderEpoch,
    },
}

/// Compares the epoch of a request with ours; [`LeaderEpoch::NONE`] asks for no check.
pub(super) fn check_epoch(asked: LeaderEpoch, current: LeaderEpoch) -> Result<(), EpochError> {
    if asked == LeaderEpoch::NONE || asked == current {
        Ok(())
    } else if asked < current {
        Err(EpochError::Fenced { asked, current })
    } else {
        Err(EpochError::Unknown { asked, current })
    }
}

/// Where a reader's log leaves ours: it truncates to the end of that epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverging {
    /// Largest epoch of ours that is not above the reader's.
    pub epoch: LeaderEpoch,
    /// Where that epoch ends in our log.
    pub end_offset: Offset,
}

/// Whether a reader's log is a prefix of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochMatch {
    /// As far as one can tell: serve it.
    Agrees,
    /// Send the diverging epoch and no records.
    Diverges(Diverging),
    /// Our log does not reach back to that epoch (OFFSET_OUT_OF_RANGE).
    OutOfRange,
}

/// Judges a fetch at `fetch_offset` by a reader whose last record has epoch `last_fetched`. `end_of` is the
/// log's answer for that epoch: the largest epoch not above it and the end offset of that one, or
/// ([`LeaderEpoch::NONE`], [`Offset::NONE`]) when it has none.
#[must_use]
pub fn divergence(
    last_fetched: LeaderEpoch,
    fetch_offset: Offset,
    end_of: (LeaderEpoch, Offset),
) -> EpochMatch {
    if last_fetched == LeaderEpoch::NONE {
        return EpochMatch::Agrees;
    }
    let (epoch, end_offset) = end_of;
    if epoch == LeaderEpoch::NONE || end_offset == Offset::NONE {
        EpochMatch::OutOfRange
    } else if epoch < last_fetched || end_offset < fetch_offset {
        EpochMatch::Diverges(Diverging { epoch, end_offset })
    } else {
        EpochMatch::Agrees
    }
}

/// What a follower does whose log and its leader's do not reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Everything from here on goes: the leader's log ends here.
    Truncate(Offset),
    /// Everything goes, and the log begins anew here, where the leader's begins.
    Restart(Offset),
}

/// What a follower does when no epoch of its log is known to the leader, or its end lies outside the leader's log. A log that lies
/// behind the leader's end as a whole has nothing to keep: to cut it to its own start would lead here again and again.
#[must_use]
pub fn correction(own: Range<Offset>, leaders: Range<Offset>) -> Correction {
    if own.end > leaders.end && own.start <= leaders.end {
        Correction::Truncate(leaders.end)
    } else {
        Correction::Restart(leaders.start)
    }
}

/// Where a follower's log, if it is empty, begins anew when the leader's first batch for it begins at `base`, before its start: batches
/// are stored whole.
#[must_use]
pub fn straddled(own: Range<Offset>, base: Offset) -> Option<Offset> {
    (own.is_empty() && Offset::ZERO <= base && base < own.start).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: LeaderEpoch = LeaderEpoch(5);

    #[test]
    fn older_epochs_are_fenced_and_newer_ones_unknown_r_2_45() {
        assert_eq!(check_epoch(LeaderEpoch::NONE, OURS), Ok(()));
        assert_eq!(check_epoch(OURS, OURS), Ok(()));
        let asked = LeaderEpoch(4);
        assert_eq!(check_epoch(asked, OURS), Err(EpochError::Fenced { asked, current: OURS }));
        let asked = LeaderEpoch(6);
        assert_eq!(check_epoch(asked, OURS), Err(EpochError::Unknown { asked, current: OURS }));
    }

    #[test]
    fn a_log_out_of_reach_is_cut_or_begun_anew() {
        let decide = |own: Range<i64>, leaders: Range<i64>| {
            let offsets = |range: Range<i64>| Offset(range.start)..Offset(range.end);
            correction(offsets(own), offsets(leaders))
        };
        assert_eq!(decide(0..9, 0..5), Correction::Truncate(Offset(5)));
        assert_eq!(decide(5..9, 0..5), Correction::Truncate(Offset(5)));
        assert_eq!(decide(0..5, 7..9), Correction::Restart(Offset(7)));
        assert_eq!(decide(6..9, 0..5), Correction::Restart(Offset(0)));
        assert_eq!(decide(6..6, 0..5), Correction::Restart(Offset(0)));
    }

    #[test]
    fn an_empty_log_begins_where_the_batch_at_its_start_does() {
        assert_eq!(straddled(Offset(19)..Offset(19), Offset(18)), Some(Offset(18)));
        assert_eq!(straddled(Offset(19)..Offset(19), Offset(19)), None);
        assert_eq!(straddled(Offset(19)..Offset(20), Offset(18)), None);
        assert_eq!(straddled(Offset(19)..Offset(19), Offset(-1)), None);
    }

    #[test]
    fn a_log_that_leaves_ours_is_told_where_r_2_46() {
        let judge = |last, offset, epoch, end| {
            divergence(LeaderEpoch(last), Offset(offset), (LeaderEpoch(epoch), Offset(end)))
        };
        let diverges = |epoch, end| {
            EpochMatch::Diverges(Diverging { epoch: LeaderEpoch(epoch), end_offset: Offset(end) })
        };
        assert_eq!(judge(-1, 99, 2, 10), EpochMatch::Agrees, "no check asked for");
        assert_eq!(judge(2, 10, 2, 10), EpochMatch::Agrees, "at the end");
        assert_eq!(judge(2, 7, 2, 10), EpochMatch::Agrees, "inside");
        assert_eq!(judge(2, 11, 2, 10), diverges(2, 10), "past the end of the epoch");
        assert_eq!(judge(3, 7, 2, 10), diverges(2, 10), "an epoch that we never had");
        assert_eq!(judge(3, 7, -1, -1), EpochMatch::OutOfRange, "older than our log");
    }
}
