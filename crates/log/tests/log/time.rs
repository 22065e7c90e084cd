//! Lookups by timestamp against a scan of all records; the model test does the same with everything else going on.

use eddy_batch::Compression;
use eddy_log::{Found, Log};
use eddy_types::{LeaderEpoch, Millis, Offset};

use crate::support::{Machine, Plan, small};

fn found(timestamp: i64, offset: i64) -> Option<Found> {
    Some(Found { timestamp: Millis(timestamp), offset: Offset(offset), leader_epoch: LeaderEpoch(0) })
}

fn lookup(log: &Log, timestamp: i64) -> Option<Found> {
    log.offset_for_timestamp(Millis(timestamp), log.end_offset()).unwrap()
}

/// Flushed and not cached, flushed and cached, not flushed.
fn three_ways(plans: &[Plan], check: impl Fn(&Log)) {
    for (flush, evict) in [(true, true), (true, false), (false, false)] {
        let machine = Machine::sim();
        let log = machine.open(&small(), None);
        for plan in plans {
            log.append(plan.build());
        }
        if flush {
            log.flush(log.end_offset()).unwrap();
        }
        if evict {
            assert!(log.evict(0) > 0);
        }
        check(&log);
    }
}

#[test]
fn the_first_record_counts_not_its_batch() {
    let plans = [Plan::new(0, &[10, 50, 30]), Plan::new(3, &[20, 40, 60])];
    three_ways(&plans, |log| {
        for (timestamp, answer) in [
            (0, found(10, 0)),
            (10, found(10, 0)),
            (11, found(50, 1)),
            (50, found(50, 1)),
            (51, found(60, 5)),
            (61, None),
        ] {
            assert_eq!(lookup(log, timestamp), answer, "{timestamp}");
        }
        assert_eq!(log.offset_for_timestamp(Millis(51), Offset(5)).unwrap(), None, "below the limit only");
        assert_eq!(log.max_timestamp(Offset(6)).unwrap(), found(60, 5));
        assert_eq!(log.max_timestamp(Offset(5)).unwrap(), found(50, 1));
        assert_eq!(log.max_timestamp(Offset(0)).unwrap(), None);
        log.set_start_offset(Offset(2));
        assert_eq!(lookup(log, 0), found(30, 2));
        assert_eq!(log.max_timestamp(Offset(5)).unwrap(), found(40, 4));
    });
}

#[test]
fn records_are_found_in_batches_of_every_codec() {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let plans: Vec<Plan> = codecs
        .iter()
        .zip(0..)
        .map(|(codec, number)| {
            let mut plan =
                Plan::new(number * 10, &(0..10).map(|record| number * 10 + record).collect::<Vec<_>>());
            plan.compression = *codec;
            plan
        })
        .collect();
    three_ways(&plans, |log| {
        for timestamp in 0..50 {
            assert_eq!(lookup(log, timestamp), found(timestamp, timestamp));
        }
    });
}

#[test]
fn brokers_time_counts_for_all_records_of_a_batch() {
    let mut plans = vec![Plan::new(0, &[900, 1, 2]), Plan::new(3, &[900, 1, 2])];
    for (plan, now) in plans.iter_mut().zip([100, 200]) {
        plan.log_append_time = Some(now);
    }
    three_ways(&plans, |log| {
        assert_eq!(lookup(log, 1), found(100, 0));
        assert_eq!(lookup(log, 101), found(200, 3));
        assert_eq!(lookup(log, 201), None);
        assert_eq!(log.max_timestamp(Offset(6)).unwrap(), found(200, 3));
    });
}

#[test]
fn records_without_timestamps_are_never_found() {
    let plans = [Plan::new(0, &[-1, -1]), Plan::new(2, &[-1])];
    three_ways(&plans, |log| {
        assert_eq!(lookup(log, 0), None);
        assert_eq!(log.max_timestamp(Offset(3)).unwrap(), None);
    });
}

#[test]
fn out_of_order_timestamps_over_many_segments() {
    let plans: Vec<Plan> = (0..120)
        .map(|number| Plan::new(number * 2, &[(number * 7919) % 1009, (number * 104_729) % 1013]))
        .collect();
    let records: Vec<(i64, i64)> = plans
        .iter()
        .flat_map(|plan| {
            plan.timestamps.iter().zip(plan.base..).map(|(timestamp, offset)| (*timestamp, offset))
        })
        .collect();
    three_ways(&plans, |log| {
        for timestamp in 0..1020 {
            let expected = records.iter().find(|(other, _)| *other >= timestamp);
            assert_eq!(lookup(log, timestamp), expected.and_then(|(time, offset)| found(*time, *offset)));
        }
    });
}
