//! The follower's rules.

use eddy_types::{
    BatchFacts, ControlKind, LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerSequence,
};

use super::story::plain_batch;
use crate::{Effect, Effects, Follower, FollowerError, FollowerStart, ProducerWindows, TruncationKind};

fn follower() -> Follower {
    Follower::new(FollowerStart {
        epoch: LeaderEpoch(4),
        last_epoch: LeaderEpoch(2),
        log_start: Offset(0),
        log_end: Offset(10),
        durable_end: Offset(10),
        high_watermark: Offset(6),
        producers: ProducerWindows::default(),
    })
}

fn append(follower: &mut Follower, base: i64, epoch: i32) -> Result<(), FollowerError> {
    let mut out = Effects::new();
    follower.append(Millis(0), &plain_batch(5), Offset(base), LeaderEpoch(epoch), &mut out)
}

#[test]
fn batches_continue_the_log_and_epochs_do_not_fall_r_3_103() {
    let mut follower = follower();
    append(&mut follower, 10, 2).unwrap();
    append(&mut follower, 15, 3).unwrap();
    assert_eq!(follower.offsets().log_end, Offset(20));
    let overlap = append(&mut follower, 19, 3);
    assert_eq!(overlap, Err(FollowerError::NotContiguous { base: Offset(19), log_end: Offset(20) }));
    for epoch in [2, 5] {
        assert!(matches!(append(&mut follower, 20, epoch), Err(FollowerError::EpochOutOfOrder { .. })));
    }
    append(&mut follower, 25, 4).unwrap();
    assert_eq!(follower.offsets().log_end, Offset(30), "a compacted log has gaps");
    follower.check();
}

#[test]
fn the_high_watermark_is_the_leaders_up_to_what_this_disk_has() {
    let mut follower = follower();
    append(&mut follower, 10, 4).unwrap();
    let mut out = Effects::new();
    follower.leader_told(Offset(14), Offset(2), &mut out);
    follower.durable(Offset(12), &mut out);
    follower.durable(Offset(99), &mut out);
    follower.leader_told(Offset(13), Offset(1), &mut out);
    let expected = [
        Effect::HighWatermark(Offset(10)),
        Effect::LogStart(Offset(2)),
        Effect::DurableEnd(Offset(12)),
        Effect::HighWatermark(Offset(12)),
        Effect::DurableEnd(Offset(15)),
        Effect::HighWatermark(Offset(14)),
    ];
    assert_eq!(out, expected);
    follower.check();
}

#[test]
fn a_clean_truncation_never_goes_below_the_high_watermark_log_2() {
    let mut follower = follower();
    let producers = ProducerWindows::default;
    let refused = follower.truncate(Offset(5), LeaderEpoch(1), TruncationKind::Clean, producers());
    assert_eq!(refused, Err(FollowerError::BelowHighWatermark { to: Offset(5), high_watermark: Offset(6) }));
    assert_eq!(follower.offsets().log_end, Offset(10));
    follower.truncate(Offset(7), LeaderEpoch(1), TruncationKind::Clean, producers()).unwrap();
    assert_eq!((follower.offsets().log_end, follower.offsets().high_watermark), (Offset(7), Offset(6)));
    follower.truncate(Offset(3), LeaderEpoch(1), TruncationKind::Unclean, producers()).unwrap();
    assert_eq!((follower.offsets().log_end, follower.offsets().high_watermark), (Offset(3), Offset(3)));
    append(&mut follower, 3, 4).unwrap();
    follower.durable(Offset(8), &mut Effects::new());
    assert_eq!(follower.offsets().high_watermark, Offset(3), "the new leader has not told yet");
    follower.restart_at(Offset(50), producers());
    assert_eq!(follower.offsets().log_end, Offset(50));
    follower.check();
}

#[test]
fn transactions_replicated_before_a_truncation_hold_no_reader_back_r_3_41() {
    let sequence = ProducerSequence { id: ProducerId(7), epoch: ProducerEpoch(0), first: 0, last: 0 };
    let data = BatchFacts { producer: Some(sequence), transactional: true, ..plain_batch(1) };
    let marker = BatchFacts { control: Some(ControlKind::Commit), ..data };
    let mut rebuilt = ProducerWindows::default();
    rebuilt.replay(Millis(0), &data, Offset(2));
    rebuilt.replay(Millis(0), &marker, Offset(3));
    let mut follower = follower();
    follower.truncate(Offset(8), LeaderEpoch(1), TruncationKind::Clean, rebuilt).unwrap();
    assert_eq!(follower.offsets().last_stable, Offset(6));
    follower.check();
}
