//! The rules one by one, and the window against a model under any resends.

use eddy_types::{
    BatchFacts, ControlKind, Millis, Offset, OffsetRange, ProducerEpoch, ProducerId, ProducerSequence,
};
use proptest::prelude::*;

use super::*;

const PID: ProducerId = ProducerId(7);

fn batch(id: ProducerId, epoch: i16, first: i32, offsets: i32) -> BatchFacts {
    let last = i32::try_from((i64::from(first) + i64::from(offsets) - 1) % (1 << 31)).unwrap();
    BatchFacts {
        offsets,
        records: offsets,
        bytes: 100,
        max_timestamp: Millis(5),
        producer: Some(ProducerSequence { id, epoch: ProducerEpoch(epoch), first, last }),
        transactional: false,
        control: None,
    }
}

/// A log that appends what the window admits.
struct Log {
    windows: ProducerWindows,
    end: Offset,
    now: Millis,
}

impl Log {
    fn new() -> Log {
        Log::with(ProducerLimits::default())
    }

    fn with(limits: ProducerLimits) -> Log {
        Log { windows: ProducerWindows::new(limits), end: Offset(100), now: Millis(0) }
    }

    /// Some base offset when the batch was appended, the original one when it is a duplicate.
    fn send(&mut self, sent: &BatchFacts) -> Result<Admission, SequenceError> {
        let admission = self.windows.admit(self.now, sent);
        if admission == Ok(Admission::New) {
            self.windows.replay(self.now, sent, self.end);
            self.end += i64::from(sent.offsets);
        }
        self.windows.check();
        admission
    }

    fn takes(&mut self, epoch: i16, first: i32, offsets: i32) {
        assert_eq!(self.send(&batch(PID, epoch, first, offsets)), Ok(Admission::New));
    }

    fn expects(&mut self, epoch: i16, first: i32, expected: i32) {
        let refused = self.send(&batch(PID, epoch, first, 1));
        assert_eq!(refused, Err(SequenceError::OutOfOrder { id: PID, sent: first, expected }));
    }
}

fn duplicate(start: i64, count: i64) -> Result<Admission, SequenceError> {
    Ok(Admission::Duplicate(OffsetRange::from_count(Offset(start), count)))
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order_r_3_20() {
    let mut log = Log::new();
    for n in 0..6 {
        log.takes(0, n * 10, 10);
    }
    for n in 1..6 {
        assert_eq!(log.send(&batch(PID, 0, n * 10, 10)), duplicate(100 + i64::from(n) * 10, 10));
    }
    assert_eq!(
        log.send(&batch(PID, 0, 0, 10)),
        Err(SequenceError::OutOfOrder { id: PID, sent: 0, expected: 60 })
    );
    assert_eq!(
        log.send(&batch(PID, 0, 50, 9)),
        Err(SequenceError::OutOfOrder { id: PID, sent: 50, expected: 60 }),
        "a duplicate matches exactly"
    );
}

#[test]
fn sequences_follow_each_other_and_wrap_to_zero_r_3_21() {
    let mut log = Log::new();
    log.takes(0, i32::MAX - 5, 3);
    log.expects(0, i32::MAX - 1, i32::MAX - 2);
    log.takes(0, i32::MAX - 2, 5);
    log.expects(0, 1, 2);
    log.takes(0, 2, 1);
    assert_eq!(log.send(&batch(PID, 0, i32::MAX - 2, 5)), duplicate(103, 5), "a batch across the wrap");
    let mut log = Log::new();
    log.takes(0, i32::MAX, 1);
    log.takes(0, 0, 1);
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero_r_3_21() {
    let mut log = Log::new();
    log.takes(3, 0, 4);
    let (sent, current) = (ProducerEpoch(2), ProducerEpoch(3));
    assert_eq!(log.send(&batch(PID, 2, 4, 1)), Err(SequenceError::FencedEpoch { id: PID, sent, current }));
    log.expects(4, 4, 0);
    log.takes(4, 0, 4);
    assert_eq!(log.send(&batch(PID, 4, 0, 4)), duplicate(104, 4), "of the new epoch, not of the old one");
    assert!(matches!(log.send(&batch(PID, 3, 4, 1)), Err(SequenceError::FencedEpoch { .. })));
}

#[test]
fn an_unknown_producer_starts_anywhere_r_3_22() {
    let mut log = Log::new();
    log.takes(9, 1234, 1);
    log.expects(9, 1234 + 5, 1235);
}

#[test]
fn batches_without_a_producer_are_always_new() {
    let mut log = Log::new();
    let plain = BatchFacts { producer: None, ..batch(PID, 0, 0, 1) };
    assert_eq!(log.send(&plain), Ok(Admission::New));
    assert_eq!(log.send(&plain), Ok(Admission::New));
    assert!(log.windows.is_empty());
}

#[test]
fn an_idle_producer_expires_but_never_inside_its_transaction_r_3_23() {
    let mut log = Log::with(ProducerLimits { expiration: Millis(1000), ..ProducerLimits::default() });
    log.takes(0, 0, 1);
    let other = ProducerId(8);
    log.send(&BatchFacts { transactional: true, ..batch(other, 0, 0, 1) }).unwrap();
    log.now = Millis(500);
    log.takes(0, 1, 1);
    assert_eq!(log.windows.expire(Millis(1499)), 0);
    assert_eq!(log.windows.expire(Millis(1500)), 1);
    assert_eq!(log.windows.iter().map(|producer| producer.id).collect::<Vec<_>>(), [other]);
    log.now = Millis(2000);
    let marker = BatchFacts { control: Some(ControlKind::Abort), ..batch(other, 0, 0, 1) };
    log.windows.replay(log.now, &marker, log.end);
    assert_eq!(log.windows.expire(Millis(2999)), 0);
    assert_eq!(log.windows.expire(Millis(3000)), 1);
    log.takes(0, 77, 1);
}

#[test]
fn old_record_timestamps_do_not_expire_a_producer() {
    let mut log = Log::new();
    log.now = Millis(1_700_000_000_000);
    log.takes(0, 0, 1);
    assert_eq!(log.windows.expire(log.now + Millis(1)), 0);
}

#[test]
fn a_full_partition_makes_room_only_of_idle_producers() {
    let limits =
        ProducerLimits { producers_max: 3, evictable_after: Millis(100), ..ProducerLimits::default() };
    let mut log = Log::with(limits);
    let first = |id: i64| batch(ProducerId(id), 0, 0, 1);
    for id in 0..3 {
        log.now = Millis(id * 10);
        log.send(&first(id)).unwrap();
    }
    let full = |id| Err(SequenceError::TooManyProducers { id: ProducerId(id), in_use: 3 });
    assert_eq!(log.send(&first(3)), full(3));
    log.now = Millis(99);
    assert_eq!(log.send(&first(3)), full(3));
    assert_eq!(log.send(&batch(ProducerId(0), 0, 1, 1)), Ok(Admission::New), "known producers go on");
    log.now = Millis(110);
    assert_eq!(log.send(&first(3)), Ok(Admission::New));
    let left: Vec<i64> = log.windows.iter().map(|producer| producer.id.0).collect();
    assert_eq!(left, [0, 2, 3], "1 was idle longest");
    assert_eq!(log.send(&first(4)), full(4));
    for id in (5..50).rev() {
        log.windows.replay(log.now, &first(id), log.end);
        log.end += 1;
        assert!(log.windows.len() <= 3, "replay cannot refuse, but does not grow either");
    }
    let left: Vec<i64> = log.windows.iter().map(|producer| producer.id.0).collect();
    assert_eq!(left, [5, 6, 7], "the last ones in the log");
}

#[test]
fn a_coordinator_writes_for_a_producer_without_sequences() {
    let mut log = Log::new();
    let offsets = BatchFacts { transactional: true, ..batch(PID, 1, 0, 1) };
    let sequence = ProducerSequence { first: -1, last: -1, ..offsets.producer.unwrap() };
    let offsets = BatchFacts { producer: Some(sequence), ..offsets };
    assert_eq!(log.send(&offsets), Ok(Admission::New));
    assert_eq!(log.send(&offsets), Ok(Admission::New), "no sequences, no duplicates");
    assert_eq!(log.windows.first_open(), Some(Offset(100)));
    let older = ProducerSequence { epoch: ProducerEpoch(0), ..sequence };
    let refused = log.send(&BatchFacts { producer: Some(older), ..offsets });
    assert!(matches!(refused, Err(SequenceError::FencedEpoch { .. })));
}

#[test]
fn a_checkpoint_keeps_open_transactions_r_3_41() {
    let mut log = Log::new();
    log.takes(0, 0, 5);
    log.send(&BatchFacts { transactional: true, ..batch(ProducerId(8), 0, 0, 1) }).unwrap();
    let snapshot = log.windows.snapshot();
    let mut restored = ProducerWindows::restore(Millis(0), ProducerLimits::default(), snapshot);
    assert_eq!(restored.snapshot(), log.windows.snapshot());
    let stable = |windows: &ProducerWindows| windows.last_stable(Offset(0), Offset(200));
    assert_eq!((stable(&restored), stable(&log.windows)), (Offset(105), Offset(105)));
    let marker = BatchFacts { control: Some(ControlKind::Abort), ..batch(ProducerId(8), 0, 0, 1) };
    let ended = restored.replay(Millis(0), &marker, Offset(106)).unwrap();
    let expected = EndedTransaction {
        producer: ProducerId(8),
        first_offset: Offset(105),
        last_offset: Offset(106),
        aborted: true,
        last_stable: Offset(107),
    };
    assert_eq!(ended, expected);
    restored.replicated(Offset(200));
    assert_eq!(stable(&restored), Offset(200));
}

/// What producers may send: the next batch, one of those before, or one too far ahead.
#[derive(Clone, Copy, Debug)]
struct Sending {
    producer: usize,
    /// How many batches back; negative ones are ahead.
    back: i64,
    bump: bool,
}

fn sending() -> impl Strategy<Value = Sending> {
    let back = prop_oneof![4 => Just(0i64), 3 => 1..8i64, 1 => -3..0i64];
    (0..3usize, back, prop::bool::weighted(0.03)).prop_map(|(producer, back, bump)| Sending {
        producer,
        back,
        bump,
    })
}

/// A producer as its author thinks of it: numbered batches, each of its own size.
#[derive(Clone, Debug)]
struct Model {
    epoch: i16,
    start: i32,
    appended: Vec<OffsetRange>,
}

impl Model {
    /// First sequence and size of the n-th batch of this epoch.
    fn nth(&self, n: i64) -> (i32, i32) {
        let size = |n: i64| n % 4 + 1;
        let before: i64 = (0..n).map(size).sum();
        let first = (i64::from(self.start) + before) % (1 << 31);
        (i32::try_from(first).unwrap(), i32::try_from(size(n)).unwrap())
    }

    fn judge(&self, n: i64) -> Option<Result<Admission, ()>> {
        let next = i64::try_from(self.appended.len()).unwrap();
        if n < 0 {
            return None;
        }
        Some(if n == next {
            Ok(Admission::New)
        } else if n < next && next - n <= 5 {
            Ok(Admission::Duplicate(self.appended[usize::try_from(n).unwrap()]))
        } else {
            Err(())
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_batch_is_appended_exactly_once_under_any_resends(
        start in prop_oneof![Just(0i32), (i32::MAX - 40)..=i32::MAX],
        schedule in prop::collection::vec(sending(), 1..200),
        cut in 0..200usize,
    ) {
        let mut log = Log::new();
        let mut models = vec![Model { epoch: 0, start, appended: Vec::new() }; 3];
        let mut history: Vec<(BatchFacts, Offset)> = Vec::new();
        let mut checkpoint = (log.windows.snapshot(), 0);
        for (at, send) in schedule.iter().enumerate() {
            if at == cut {
                checkpoint = (log.windows.snapshot(), history.len());
            }
            let model = &mut models[send.producer];
            if send.bump {
                *model = Model { epoch: model.epoch + 1, start: 0, appended: Vec::new() };
            }
            let n = i64::try_from(model.appended.len()).unwrap() - send.back;
            // The very first batch of a producer is taken whatever its number: start with the right one.
            let n = if model.appended.is_empty() { 0 } else { n };
            let Some(expected) = model.judge(n) else { continue };
            let (first, size) = model.nth(n);
            let sent = batch(ProducerId(i64::try_from(send.producer).unwrap()), model.epoch, first, size);
            let base = log.end;
            let got = log.send(&sent);
            prop_assert_eq!(got.map_err(|_| ()), expected, "batch {} of {:?}", n, send);
            if got == Ok(Admission::New) {
                model.appended.push(OffsetRange::from_count(base, i64::from(size)));
                history.push((sent, base));
            }
        }
        // recovery from a checkpoint, and a follower from the whole log, come to the same state.
        let (snapshot, replayed) = checkpoint;
        let limits = ProducerLimits::default();
        let mut recovered = ProducerWindows::restore(Millis(9), limits, snapshot);
        for (sent, base) in &history[replayed..] {
            recovered.replay(Millis(9), sent, *base);
        }
        let mut follower = ProducerWindows::new(limits);
        for (sent, base) in &history {
            follower.replay(Millis(9), sent, *base);
        }
        prop_assert_eq!(recovered.snapshot(), log.windows.snapshot());
        prop_assert_eq!(follower.snapshot(), log.windows.snapshot());
    }
}
