//! Retention by time and size.

use eddy_log::{DeletedSegments, Log, LogConfig, RetentionReason};
use eddy_types::{Millis, Offset};

use crate::support::{Machine, Plan, fill, read_all, small};

const NOW: Millis = Millis(10_000);

/// One batch of one record a segment, each with its own timestamp.
fn one_a_segment(machine: &Machine, timestamps: &[i64]) -> Log {
    let log = machine.open(&LogConfig { segment_bytes: 1, ..small() }, None);
    fill(&log, timestamps.len() as i64, 1, |number| timestamps[number as usize]);
    assert_eq!(log.segment_count(), timestamps.len());
    log
}

fn batch_bytes() -> i64 {
    Plan::new(0, &[1]).build().bytes.len() as i64
}

/// New start, segments and reason of the decision for the given limits.
fn decide(log: &Log, ms: i64, bytes: i64, high_watermark: i64) -> Option<(i64, usize, RetentionReason)> {
    let config =
        LogConfig { retention_ms: Millis(ms), retention_bytes: bytes, ..LogConfig::clone(&log.config()) };
    log.set_config(config.into());
    let retention = log.retention(NOW, Offset(high_watermark))?;
    assert_eq!(retention.bytes, retention.segments as u64 * batch_bytes() as u64);
    Some((retention.new_start.0, retention.segments, retention.reason))
}

#[test]
fn old_segments_go_by_their_largest_timestamp() {
    use RetentionReason::Time;
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[1000, 3000, 2000, 9000, 1000]);
    for (ms, high_watermark, decision) in [
        (-1, 5, None),
        (9000, 5, None),
        (8999, 5, Some((1, 1, Time))),
        (7999, 5, Some((1, 1, Time))),
        // The third is older than the second, but goes after it.
        (6999, 5, Some((3, 3, Time))),
        (1001, 5, Some((3, 3, Time))),
        (999, 5, Some((5, 5, Time))),
        (999, 4, Some((4, 4, Time))),
        (6999, 2, Some((2, 2, Time))),
        (6999, 0, None),
        (0, 5, Some((5, 5, Time))),
    ] {
        assert_eq!(
            decide(&log, ms, -1, high_watermark),
            decision,
            "{ms} ms, high watermark {high_watermark}"
        );
    }
}

#[test]
fn a_timestamp_in_the_future_keeps_a_segment() {
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[1, 90_000, 2]);
    assert_eq!(decide(&log, 1, -1, 3), Some((1, 1, RetentionReason::Time)));
}

#[test]
fn oldest_segments_go_while_the_rest_is_large_enough() {
    use RetentionReason::Size;
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[1000; 5]);
    let one = batch_bytes();
    for (bytes, high_watermark, decision) in [
        (-1, 5, None),
        (5 * one, 5, None),
        (4 * one + 1, 5, None),
        (4 * one, 5, Some((1, 1, Size))),
        (2 * one + 1, 5, Some((2, 2, Size))),
        (2 * one, 5, Some((3, 3, Size))),
        (0, 5, Some((5, 5, Size))),
        (0, 3, Some((3, 3, Size))),
    ] {
        assert_eq!(
            decide(&log, -1, bytes, high_watermark),
            decision,
            "{bytes} bytes, below {high_watermark}"
        );
    }
}

#[test]
fn what_waits_in_memory_counts_and_keeps_the_last_segment() {
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[1000; 3]);
    log.append(Plan::new(3, &[1000]).build());
    let one = batch_bytes();
    assert_eq!(decide(&log, -1, 3 * one, 4), Some((1, 1, RetentionReason::Size)));
    assert_eq!(decide(&log, 1, -1, 4), Some((2, 2, RetentionReason::Time)));
    log.flush(Offset(4)).unwrap();
    assert_eq!(decide(&log, 1, -1, 4), Some((4, 4, RetentionReason::Time)));
}

#[test]
fn segment_without_timestamps_ages_from_when_it_is_first_seen() {
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[-1, -1]);
    let config = LogConfig { retention_ms: Millis(100), ..LogConfig::clone(&log.config()) };
    log.set_config(config.into());
    assert_eq!(log.retention(Millis(5000), Offset(2)), None);
    assert_eq!(log.retention(Millis(5100), Offset(2)), None);
    // The second has been looked at for the first time when the first went.
    assert_eq!(log.retention(Millis(5101), Offset(2)).unwrap().new_start, Offset(1));
    assert_eq!(log.retention(Millis(5202), Offset(2)).unwrap().new_start, Offset(2));
}

#[test]
fn segments_below_the_start_are_removed_and_the_rest_stays() {
    for machine in [Machine::sim(), Machine::real()] {
        let log = one_a_segment(&machine, &[1000; 5]);
        log.set_start_offset(Offset(3));
        let bytes = 3 * batch_bytes() as u64;
        assert_eq!(log.delete_below_start().unwrap(), DeletedSegments { segments: 3, bytes });
        assert_eq!(log.delete_below_start().unwrap(), DeletedSegments::default());
        assert_eq!((log.start_offset(), log.end_offset(), log.segment_count()), (Offset(3), Offset(5), 2));
        assert_eq!(read_all(&log, 3).len() as i64, 2 * batch_bytes());
        let files = machine.disk().list(&machine.dir()).unwrap();
        // A sealed segment has its indexes, one that grows only as far as there are entries.
        assert_eq!(files.len(), 3 + 1);
    }
}

#[test]
fn log_emptied_by_retention_goes_on_where_it_was() {
    let machine = Machine::sim();
    let log = one_a_segment(&machine, &[1000; 3]);
    log.set_start_offset(Offset(3));
    log.delete_below_start().unwrap();
    let checkpoint = log.sync().unwrap();
    assert_eq!(
        (checkpoint.flushed_end, checkpoint.active_segment, checkpoint.active_bytes),
        (Offset(3), Offset(3), 0)
    );
    drop(log);
    machine.crash(1);
    let log = machine.open(&small(), Some(&checkpoint));
    assert_eq!((log.start_offset(), log.end_offset(), log.missing()), (Offset(3), Offset(3), None));
    fill(&log, 1, 1, |_| 7);
    assert_eq!(read_all(&log, 3).len() as i64, batch_bytes());
}

#[test]
fn start_inside_a_segment_keeps_its_file() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    fill(&log, 3, 5, |_| 1000);
    log.set_start_offset(Offset(7));
    assert_eq!(log.delete_below_start().unwrap().segments, 0);
    assert!(matches!(
        log.read(Offset(6), Offset(15), 100, true),
        Err(eddy_log::ReadError::OutOfRange { start: Offset(7), end: Offset(15) })
    ));
}
