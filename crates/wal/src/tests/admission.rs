//! Room in the queue: limits, order, deadlines, and who gives it back.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use eddy_disk::SimDisk;
use tokio::time::Instant;

use super::*;
use crate::{Cause, Full, Pressure, Room};

/// A queue of ten batches and a thousand bytes.
fn narrow() -> WalConfig {
    let mut config = small();
    config.limits.queue_depth = 10;
    config.limits.queue_bytes_max = 1000;
    config
}

fn open_narrow(disk: &SimDisk) -> Opened {
    open_with(disk.process(), Path::new(DIR), narrow(), 0).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn room(poll: Poll<Result<Room, Full>>) -> Room {
    match poll {
        Poll::Ready(Ok(room)) => room,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_queue_takes_as_much_as_its_limits_and_no_more() {
    let opened = open_narrow(&SimDisk::new());
    let first = opened.wal.try_admit(10, 10).unwrap();
    assert!(opened.wal.try_admit(1, 0).is_none());
    drop(first);
    let first = opened.wal.try_admit(1, 1000).unwrap();
    assert!(opened.wal.try_admit(1, 1).is_none());
    assert_eq!((opened.wal.stats().queue_batches, opened.wal.stats().queue_bytes), (1, 1000));
    drop(first);
    assert_eq!((opened.wal.stats().queue_batches, opened.wal.stats().queue_bytes), (0, 0));
}

#[test]
fn room_comes_back_when_its_entry_is_durable_and_not_before() {
    let disk = SimDisk::new();
    let opened = open_narrow(&disk);
    let gate = disk.hold_syncs();
    let mut room = opened.wal.try_admit(2, 300).unwrap();
    opened.wal.submit(append(1, 1, 100), Some(room.take_one(100)));
    let lsn = opened.wal.submit(append(1, 2, 200), Some(room.take_one(200)));
    assert_eq!((room.batches(), room.bytes()), (0, 0));
    gate.wait_for_sync();
    assert_eq!(opened.wal.stats().queue_batches, 2);
    gate.open();
    opened.wal.wait_durable(lsn).unwrap();
    opened.wal.close();
    assert_eq!(opened.sink.upto(), lsn.next());
}

#[test]
fn all_room_is_free_again_after_the_last_entry() {
    let opened = open_narrow(&SimDisk::new());
    for end in 1..50 {
        let room = loop {
            match opened.wal.try_admit(1, 100) {
                Some(room) => break room,
                None => std::thread::yield_now(),
            }
        };
        assert!(opened.wal.stats().queue_batches <= 10 && opened.wal.stats().queue_bytes <= 1000);
        opened.wal.submit(append(1, end, 100), Some(room));
    }
    let wal = opened.wal.clone();
    opened.wal.close();
    assert_eq!((wal.stats().queue_batches, wal.stats().queue_bytes), (0, 0));
}

#[test]
fn requests_are_served_in_their_order_small_ones_too() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let opened = open_narrow(&SimDisk::new());
    let held = opened.wal.try_admit(6, 600).unwrap();
    let mut large = pin!(opened.wal.admit(5, 100, far()));
    let mut small = pin!(opened.wal.admit(1, 100, far()));
    assert!(poll(large.as_mut()).is_pending() && poll(small.as_mut()).is_pending());
    assert!(opened.wal.try_admit(1, 1).is_none(), "nobody overtakes");
    assert_eq!(opened.wal.stats().waiting, 2);
    drop(held);
    let large = room(poll(large.as_mut()));
    assert_eq!(room(poll(small.as_mut())).batches() + large.batches(), 6);
}

#[test]
fn who_gives_up_lets_those_behind_move_up() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let opened = open_narrow(&SimDisk::new());
    let _held = opened.wal.try_admit(6, 600).unwrap();
    let mut large = Box::pin(opened.wal.admit(5, 100, far()));
    let mut small = pin!(opened.wal.admit(1, 100, far()));
    assert!(poll(large.as_mut()).is_pending() && poll(small.as_mut()).is_pending());
    drop(large);
    room(poll(small.as_mut()));
}

#[test]
fn room_that_was_granted_to_someone_who_left_is_not_lost() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let opened = open_narrow(&SimDisk::new());
    let held = opened.wal.try_admit(10, 0).unwrap();
    let mut leaves = Box::pin(opened.wal.admit(10, 0, far()));
    let mut stays = pin!(opened.wal.admit(10, 0, far()));
    assert!(poll(leaves.as_mut()).is_pending() && poll(stays.as_mut()).is_pending());
    drop(held);
    assert_eq!(opened.wal.stats().waiting, 1, "the first has its room but has not looked");
    drop(leaves);
    room(poll(stays.as_mut()));
    assert_eq!(opened.wal.stats().queue_batches, 0);
}

#[test]
fn a_request_above_the_limit_waits_for_an_empty_queue() {
    let opened = open_narrow(&SimDisk::new());
    let one = opened.wal.try_admit(1, 1).unwrap();
    assert!(opened.wal.try_admit(50, 1 << 30).is_none());
    drop(one);
    let mut all = opened.wal.try_admit(50, 1 << 30).unwrap();
    assert_eq!((all.batches(), all.bytes()), (10, 1000));
    let parts: Vec<_> = (0..50).map(|_| all.take_one(1 << 20)).collect();
    assert!(opened.wal.try_admit(1, 1).is_none());
    drop(parts);
    opened.wal.try_admit(1, 1).unwrap();
}

#[test]
fn the_deadline_ends_the_wait_without_a_trace() {
    let opened = open_narrow(&SimDisk::new());
    let held = opened.wal.try_admit(10, 0).unwrap();
    let full =
        runtime().block_on(async { opened.wal.admit(1, 1, Instant::now() + Duration::from_millis(5)).await });
    assert_eq!(full.unwrap_err(), Full { cause: Cause::Queue });
    assert_eq!((opened.wal.stats().waiting, opened.wal.stats().queue_batches), (0, 10));
    drop(held);
    assert_eq!(opened.wal.stats().pressure, Pressure::Normal);
}

#[test]
fn pressure_is_told_as_the_queue_fills_and_empties() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let opened = open_narrow(&SimDisk::new());
    let pressure = opened.wal.pressure();
    let now = || *pressure.borrow();
    let five = opened.wal.try_admit(5, 0).unwrap();
    assert_eq!(now(), Pressure::Normal);
    let three = opened.wal.try_admit(3, 0).unwrap();
    assert_eq!(now(), Pressure::Pressed);
    let mut waits = pin!(opened.wal.admit(3, 0, far()));
    assert!(poll(waits.as_mut()).is_pending());
    assert_eq!(now(), Pressure::Full);
    drop(five);
    let waited = room(poll(waits.as_mut()));
    assert_eq!(now(), Pressure::Pressed, "six of ten");
    drop(three);
    assert_eq!(now(), Pressure::Pressed, "three of ten");
    drop(waited);
    assert_eq!(now(), Pressure::Normal);
}

#[test]
fn an_entry_that_waits_longer_than_the_budget_is_pressure() {
    let disk = SimDisk::new();
    let mut config = narrow();
    config.limits.latency_budget = Duration::ZERO;
    let opened = open_with(disk.process(), Path::new(DIR), config, 0).unwrap();
    let gate = disk.hold_syncs();
    opened.append(1, 10);
    gate.wait_for_sync();
    let room = opened.wal.try_admit(1, 1);
    assert_eq!(*opened.wal.pressure().borrow(), Pressure::Pressed);
    drop((gate, room));
    opened.append_durably(2, 10);
    opened.wal.clone().close();
    assert_eq!(*opened.wal.pressure().borrow(), Pressure::Normal);
}

#[test]
fn closing_refuses_those_who_wait() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let opened = open_narrow(&SimDisk::new());
    let _held = opened.wal.try_admit(10, 0).unwrap();
    let mut waits = pin!(opened.wal.admit(1, 0, far()));
    assert!(poll(waits.as_mut()).is_pending());
    opened.wal.clone().close();
    match poll(waits.as_mut()) {
        Poll::Ready(Err(full)) => assert_eq!(full, Full { cause: Cause::Stopped }),
        other => panic!("{other:?}"),
    }
    assert!(opened.wal.try_admit(0, 0).is_none());
}
