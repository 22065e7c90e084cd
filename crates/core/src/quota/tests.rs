//! Use in, pauses out.

use eddy_types::Millis;
use proptest::prelude::*;

use super::*;

const WINDOWS: QuotaWindows = QuotaWindows { count: 11, millis: 1000 };

fn quotas() -> RateQuotas<&'static str> {
    RateQuotas::new(1000)
}

fn record(quotas: &mut RateQuotas<&'static str>, now: i64, amount: f64, limit: f64) -> i64 {
    quotas.record(Millis(now), WINDOWS, &"a", amount, limit).0
}

/// ten of the eleven seconds are a burst, and the delay is what is used beyond them.
#[test]
fn delay_is_the_excess_over_the_windows() {
    let mut quotas = quotas();
    assert_eq!(record(&mut quotas, 0, 10_000.0, 1000.0), 0, "ten seconds' worth is a burst");
    assert_eq!(record(&mut quotas, 0, 1.0, 1000.0), 1);
    // 12,000 less the 500 that half a second is worth is 1150 a second over ten; 15 % too much.
    assert_eq!(record(&mut quotas, 500, 1999.0, 1000.0), 1500);
    // The pause brings it to the limit exactly.
    assert_eq!(record(&mut quotas, 2000, 0.0, 1000.0), 0);
}

#[test]
fn what_was_used_is_paid_for_at_the_rate_of_the_limit() {
    let mut quotas = quotas();
    assert_eq!(record(&mut quotas, 0, 30_000.0, 1000.0), 20_000);
    assert_eq!(record(&mut quotas, 15_000, 0.0, 1000.0), 5000, "and not forgotten with its window");
    assert_eq!(record(&mut quotas, 20_000, 0.0, 1000.0), 0);
    assert_eq!(record(&mut quotas, 30_000, 10_000.0, 1000.0), 0, "a burst again");
    assert_eq!(record(&mut quotas, 90_000, 10_001.0, 1000.0), 1, "rest is not saved up");
}

#[test]
fn what_did_not_happen_is_taken_back() {
    let mut quotas = quotas();
    assert_eq!(record(&mut quotas, 0, 10_000.0, 1000.0), 0);
    assert!(record(&mut quotas, 1500, 5000.0, 1000.0) > 0);
    quotas.unrecord(Millis(1500), &"a", 5000.0, 1000.0);
    assert_eq!(record(&mut quotas, 1500, 0.0, 1000.0), 0);
    assert_eq!(record(&mut quotas, 1500, 1500.0, 1000.0), 0);
    assert_eq!(record(&mut quotas, 1500, 1.0, 1000.0), 1);
    quotas.unrecord(Millis(1500), &"nobody", 5000.0, 1000.0);
}

#[test]
fn each_entity_has_its_own_limit() {
    let mut quotas = quotas();
    assert!(quotas.record(Millis(0), WINDOWS, &"a", 1e6, 10.0).0 > 0);
    assert_eq!(quotas.record(Millis(0), WINDOWS, &"b", 100.0, 10.0).0, 0);
}

#[test]
fn a_single_window_is_a_burst_itself() {
    let windows = QuotaWindows::new(1, 2);
    assert_eq!((windows.burst(50.0), QuotaWindows::new(0, 0).burst(50.0)), (100.0, 50.0));
}

/// KIP-599.
#[test]
fn a_bucket_lends_once_and_then_wants_it_back() {
    let mut quotas = BucketQuotas::new(10);
    let take = |quotas: &mut BucketQuotas<&str>, now, amount| {
        quotas.take_strictly(Millis(now), WINDOWS, &"a", amount, 2.0).map_err(|delay| delay.0)
    };
    // Full at first: 11 s of 2 a second.
    assert_eq!(take(&mut quotas, 0, 22.0), Ok(()));
    assert_eq!(take(&mut quotas, 0, 10.0), Ok(()), "an empty bucket owes nothing yet");
    assert_eq!(take(&mut quotas, 0, 1.0), Err(5000));
    assert_eq!(take(&mut quotas, 4999, 1.0), Err(1));
    assert_eq!(take(&mut quotas, 5000, 1.0), Ok(()));
}

#[test]
fn a_lenient_bucket_takes_all_and_tells_the_pause() {
    let mut quotas = BucketQuotas::new(10);
    let mut take = |now, amount| quotas.take(Millis(now), WINDOWS, &"a", amount, 2.0).0;
    assert_eq!(take(0, 22.0), 0);
    assert_eq!(take(0, 10.0), 5000);
    assert_eq!(take(1000, 2.0), 5000);
}

#[test]
fn what_a_change_took_is_given_back_when_it_is_decided_anew() {
    let mut quotas = BucketQuotas::new(10);
    quotas.take_strictly(Millis(0), WINDOWS, &"a", 30.0, 2.0).unwrap();
    quotas.give_back(Millis(0), &"a", 30.0, 2.0);
    quotas.give_back(Millis(0), &"nobody", 30.0, 2.0);
    quotas.take_strictly(Millis(0), WINDOWS, &"a", 30.0, 2.0).unwrap();
    assert_eq!(quotas.take_strictly(Millis(0), WINDOWS, &"a", 1.0, 2.0), Err(Millis(4000)));
}

#[test]
fn a_changed_limit_holds_at_once() {
    let mut quotas = quotas();
    assert_eq!(record(&mut quotas, 0, 20_000.0, 1000.0), 10_000);
    assert_eq!(record(&mut quotas, 0, 0.0, 2000.0), 0);
    assert_eq!(record(&mut quotas, 0, 0.0, 500.0), 30_000);
}

#[test]
fn a_clock_that_steps_back_gives_and_takes_nothing() {
    let mut bucket = TokenBucket::default();
    bucket.take(Millis(10_000), 1.0, 11.0);
    for now in [5000, 10_000, 0, 10_000] {
        assert_eq!(bucket.tokens(Millis(now), 11.0, 1.0), 0.0, "{now}");
    }
    assert_eq!(bucket.tokens(Millis(11_000), 11.0, 1.0), 1.0);
}

#[test]
fn the_idle_are_forgotten_first_and_the_map_stays_small() {
    let mut tracked = Tracked::<u32, u32>::new(10);
    for key in 0..1000 {
        *tracked.entry(&key) += 1;
        *tracked.entry(&7777) += 1;
        assert!(tracked.len() <= 10, "{}", tracked.len());
    }
    assert_eq!(*tracked.entry(&7777), 1000, "used all the time, kept all the time");
    assert!(tracked.get_mut(&0).is_none());
    assert_eq!(tracked.get_mut(&999), Some(&mut 1));
}

#[test]
fn a_pace_of_zero_lets_nothing_through_until_it_is_raised() {
    let mut pace = Pace::default();
    assert_eq!(pace.piece(Millis(0), 0), Err(Millis(i64::MAX)));
    assert_eq!(pace.piece(Millis(0), 1000), Ok(100));
    pace.took(Millis(0), 1000, 1100);
    assert_eq!(pace.piece(Millis(0), 1000), Err(Millis(1000)));
    assert_eq!(pace.piece(Millis(0), 10_000), Err(Millis(10)), "a changed rate holds at once");
}

proptest! {
    /// Who pauses as told never uses more than the limit over any time, beyond the burst and the one request under way.
    #[test]
    fn an_obedient_client_stays_within_its_quota(
        requests in prop::collection::vec((0i64..3000, 1.0f64..5000.0), 1..200),
        limit in 1.0f64..2000.0,
        count in 2u32..12,
    ) {
        let windows = QuotaWindows::new(count, 1);
        let mut quotas = RateQuotas::new(10);
        let mut now = 0;
        let mut history: Vec<(i64, f64)> = Vec::new();
        for (idle, amount) in requests {
            now += idle;
            history.push((now, amount));
            now += quotas.record(Millis(now), windows, &"a", amount, limit).0;
        }
        let largest = history.iter().map(|(_, amount)| *amount).fold(0.0, f64::max);
        for (index, (from, _)) in history.iter().enumerate() {
            let mut used = 0.0;
            for (at, amount) in history.iter().skip(index) {
                used += amount;
                let seconds = (at - from) as f64 / 1000.0;
                // Pauses are whole milliseconds, and may be half a one too short.
                let allowed = limit * (seconds + 0.001) + windows.burst(limit) + largest;
                prop_assert!(used <= allowed, "{used} in {seconds} s, limit {limit}");
            }
        }
    }

    /// Who takes only what it may never takes more than the limit and the full bucket, and one request beyond.
    #[test]
    fn strict_buckets_hold_over_any_time(
        requests in prop::collection::vec((0i64..3000, 1.0f64..50.0), 1..200),
        limit in 0.5f64..20.0,
    ) {
        let mut quotas = BucketQuotas::new(10);
        let mut history: Vec<(i64, f64)> = Vec::new();
        let mut now = 0;
        for (idle, amount) in requests {
            now += idle;
            if quotas.take_strictly(Millis(now), WINDOWS, &"a", amount, limit).is_ok() {
                history.push((now, amount));
            }
        }
        for (index, (from, _)) in history.iter().enumerate() {
            let mut used = 0.0;
            for (at, amount) in history.iter().skip(index) {
                used += amount;
                let seconds = (at - from) as f64 / 1000.0;
                prop_assert!(used - amount <= limit * (seconds + 11.001));
            }
        }
    }

    /// Senders that ask before each piece keep to the rate together, whatever their pieces turn out to be, and lose none of it.
    #[test]
    fn a_pace_is_kept_over_any_time(
        sizes in prop::collection::vec(1u64..3000, 20..200),
        late in prop::collection::vec(0i64..40, 1..20),
        rate in 1000u64..100_000,
    ) {
        let (mut pace, mut now, mut sent, mut largest) = (Pace::default(), 0, 0, 0);
        for (size, late) in sizes.iter().zip(late.iter().cycle()) {
            let piece = loop {
                match pace.piece(Millis(now), rate) {
                    Ok(piece) => break piece,
                    Err(delay) => now += delay.0 + late,
                }
            };
            // A batch goes whole.
            let bytes = (*size).max(piece.min(2 * size));
            pace.took(Millis(now), rate, bytes);
            (sent, largest) = (sent + bytes, largest.max(bytes));
            let worth = rate as f64 * now as f64 / 1000.0;
            prop_assert!(sent as f64 <= worth + 0.2 * rate as f64 + largest as f64 + 2.0, "{sent} in {now} ms");
        }
        prop_assert!(sent as f64 >= rate as f64 * (now as f64 / 1000.0) * 0.7, "{sent} in {now} ms at {rate}");
    }

    /// The delay of a first burst follows from its size alone.
    #[test]
    fn delay_formula(amount in 0.0f64..1e9, limit in 1.0f64..1e6) {
        let mut quotas = quotas();
        let delay = record(&mut quotas, 0, amount, limit);
        let expected = ((amount / 10.0 - limit) / limit * 10_000.0).round().max(0.0);
        prop_assert!((delay as f64 - expected).abs() <= 1.0, "{delay} {expected}");
    }
}
