//! Which splits become one.

use std::ops::Range;

use crate::split::SplitMeta;

/// Splits of like size that become one: each record is written about once for each power of this that its index has records.
const FACTOR: usize = 8;

/// Records of a split above which it is not merged any more. It bounds what one merge takes of memory, time and disk.
const RECORDS_MAX: u64 = 1 << 20;

/// Bytes of a split above which it is not merged any more.
const BYTES_MAX: u64 = 512 << 20;

/// Splits that one merge takes at most: when a broker comes back from long pressure there may be many.
const INPUTS_MAX: usize = 64;

/// Time windows of a topic whose records are kept for ever: their splits.
const WINDOW_FOR_EVER: i64 = 7 * 24 * 3_600_000;

/// Windows that the retention time of a topic is cut into: an index keeps at most about one such part longer than the log does.
const WINDOWS: i64 = 16;

/// Shortest window.
const WINDOW_MIN: i64 = 60_000;

/// Length of the windows across which splits of a topic are not merged, in milliseconds, so that retention can drop whole splits.
pub(crate) fn window(retention_ms: i64) -> i64 {
    if retention_ms < 0 { WINDOW_FOR_EVER } else { (retention_ms / WINDOWS).max(WINDOW_MIN) }
}

/// The next splits to be merged, adjacent ones; `None` when all is well. Small ones come first: they are what searches pay for.
pub(crate) fn next(splits: &[SplitMeta], window_ms: i64) -> Option<Range<usize>> {
    let mut best: Option<(u32, Range<usize>)> = None;
    let mut start = 0;
    while start < splits.len() {
        let run = run(splits, start, window_ms);
        let is_closed = run.end < splits.len();
        for level in levels(splits.get(run.clone()).unwrap_or_default()) {
            if let Some(range) = within(splits, run.clone(), level, is_closed)
                && best.as_ref().is_none_or(|(found, _)| level < *found)
            {
                best = Some((level, range));
                break;
            }
        }
        start = run.end;
    }
    best.map(|(_, range)| range)
}

/// Splits from `start` on that lie in one time window.
fn run(splits: &[SplitMeta], start: usize, window_ms: i64) -> Range<usize> {
    let window = |split: &SplitMeta| split.last_time.div_euclid(window_ms.max(1));
    let of_first = splits.get(start).map(window);
    let rest = splits.get(start..).unwrap_or_default();
    start..start + rest.iter().take_while(|split| Some(window(split)) == of_first).count()
}

/// Sizes that occur, the smallest first.
fn levels(splits: &[SplitMeta]) -> impl Iterator<Item = u32> + use<> {
    let greatest = splits.iter().map(level).max();
    greatest.map_or(0..0, |greatest| 0..greatest + 1)
}

/// The power of [`FACTOR`] that a split's records are.
fn level(split: &SplitMeta) -> u32 {
    split.records.max(1).ilog(FACTOR as u64)
}

/// Adjacent splits of at most one size: as many as make the next size, or whatever is left of a window that is over.
fn within(splits: &[SplitMeta], run: Range<usize>, most: u32, is_closed: bool) -> Option<Range<usize>> {
    let mut start = run.start;
    while start < run.end {
        let (mut records, mut bytes) = (0, 0);
        let rest = splits.get(start..run.end).unwrap_or_default();
        let fitting = rest.iter().take(INPUTS_MAX).take_while(|split| {
            records += split.records;
            bytes += split.bytes;
            level(split) <= most && records <= RECORDS_MAX && bytes <= BYTES_MAX
        });
        let count = fitting.count();
        let taken = rest.get(..count).unwrap_or_default();
        let sum: u64 = taken.iter().map(|split| split.records).sum();
        let largest = taken.iter().map(|split| split.records).max().unwrap_or(0);
        // A large split is not written again for the sake of a few small ones.
        let is_worth_it = count >= FACTOR && sum >= largest * FACTOR as u64;
        if is_worth_it || (is_closed && count >= 2 && start + count == run.end) {
            return Some(start..start + count);
        }
        start += count.max(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn split(number: u64, records: u64, time: i64) -> SplitMeta {
        let start = i64::try_from(number).unwrap() * 1_000_000;
        SplitMeta {
            id: number + 1,
            start,
            end: start + 1_000_000,
            records,
            bytes: records * 100,
            first_time: time,
            last_time: time,
            epoch: 0,
            crc: 0,
        }
    }

    /// Adds splits one by one and merges whenever the policy says so; gives what is left and the records written by merges.
    fn settle(commits: &[(u64, i64)]) -> (Vec<SplitMeta>, u64) {
        let (mut splits, mut written) = (Vec::new(), 0);
        for (number, (records, time)) in (0..).zip(commits) {
            splits.push(split(number, *records, *time));
            while let Some(range) = next(&splits, HOUR) {
                assert!(range.len() >= 2);
                let inputs: Vec<_> = splits.drain(range.clone()).collect();
                let mut merged = inputs[0].clone();
                merged.end = inputs[inputs.len() - 1].end;
                merged.records = inputs.iter().map(|split| split.records).sum();
                merged.bytes = inputs.iter().map(|split| split.bytes).sum();
                merged.last_time = inputs.iter().map(|split| split.last_time).max().unwrap();
                written += merged.records;
                splits.insert(range.start, merged);
            }
        }
        (splits, written)
    }

    #[test]
    fn few_splits_are_left_and_each_record_is_written_a_few_times() {
        let (splits, written) = settle(&vec![(5_000, 0); 3_600]);
        assert!(splits.len() < 60, "{}", splits.len());
        assert!(written < 5 * 5_000 * 3_600, "{written}");
        let (splits, written) = settle(&vec![(1, 0); 5_000]);
        assert!(splits.len() < 40, "{}", splits.len());
        assert!(written < 6 * 5_000, "{written}");
    }

    #[test]
    fn no_split_crosses_a_window_and_a_window_that_is_over_has_few() {
        let commits: Vec<_> = (0..5 * 60).map(|minute| (100, minute * 60_000)).collect();
        let (splits, _) = settle(&commits);
        let window = |time: i64| time / HOUR;
        assert!(splits.iter().all(|split| window(split.first_time) == window(split.last_time)));
        for over in 0..4 {
            assert_eq!(splits.iter().filter(|split| window(split.last_time) == over).count(), 1);
        }
    }

    #[test]
    fn what_is_large_is_left_alone() {
        let (splits, written) = settle(&[(RECORDS_MAX, 0); 20]);
        assert_eq!((splits.len(), written), (20, 0));
    }

    #[test]
    fn a_backlog_of_small_splits_is_merged_in_bounded_steps() {
        let splits: Vec<_> = (0..500).map(|number| split(number, 10, 0)).collect();
        assert_eq!(next(&splits, HOUR), Some(0..INPUTS_MAX));
        assert_eq!(next(&splits[..FACTOR - 1], HOUR), None);
    }

    #[test]
    fn a_window_is_a_part_of_the_retention() {
        assert_eq!(window(-1), WINDOW_FOR_EVER);
        assert_eq!(window(16 * HOUR), HOUR);
        assert_eq!(window(1000), WINDOW_MIN);
    }
}
