//! Calls between two brokers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_types::BrokerId;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::limits::{CALLS_IN_FLIGHT_MAX, FRAME_BYTES_MAX, HANDLERS_PER_CONNECTION_MAX};
use crate::{CallError, ConnectError};

#[tokio::test]
async fn calls_go_both_ways() {
    let (one, two) = pair().await;
    serve_echo(&one);
    serve_echo(&two);
    assert_eq!(ask(&one, 2, "a").await.unwrap(), "1>2:a");
    assert_eq!(ask(&two, 1, "b").await.unwrap(), "2>1:b");
}

#[tokio::test]
async fn a_broker_calls_itself_without_a_socket() {
    let one = broker(1).await;
    serve_echo(&one);
    assert_eq!(ask(&one, 1, "a").await.unwrap(), "1>1:a");
    assert_eq!(*one.link(BrokerId(1)).borrow(), LinkState::Connected { incarnation: 101 });
    assert_eq!(one.stats().accepted, 0);
}

#[tokio::test]
async fn concurrent_calls_share_one_connection_and_get_their_own_answers() {
    let (one, two) = pair().await;
    serve_echo(&two);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..3000 {
        let one = one.clone();
        calls.spawn(async move {
            let answer =
                one.call(BrokerId(2), Service::Metadata, Bytes::from(number.to_string()), SOON).await;
            assert_eq!(answer.unwrap(), format!("1>2:{number}"));
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert_eq!(two.stats().accepted, 1);
    assert_eq!(one.inner.link(BrokerId(2)).entries(), 0);
}

#[tokio::test]
async fn a_slow_handler_does_not_hold_up_other_calls() {
    let (one, two) = pair().await;
    serve_echo(&two);
    two.serve(Service::Raft, Arc::new(Serve(|_, _| std::future::pending())));
    let slow = one.call(BrokerId(2), Service::Raft, Bytes::new(), SOON);
    tokio::select! {
        _ = slow => panic!("nobody answers it"),
        answer = ask(&one, 2, "a") => assert_eq!(answer.unwrap(), "1>2:a"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_and_answers_arrive_whole() {
    let (one, two) = pair().await;
    serve_echo(&two);
    let large: Bytes = (0..FRAME_BYTES_MAX - 4).map(|i| (i * 31 / 8) as u8).collect::<Vec<_>>().into();
    let answer = one.call(BrokerId(2), Service::Metadata, large.clone(), SOON).await.unwrap();
    assert!(answer.slice(4..) == large);
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let one = broker(1).await;
    let bytes = FRAME_BYTES_MAX + 1;
    let answer = one.call(BrokerId(2), Service::Metadata, Bytes::from(vec![0; bytes]), SOON).await;
    assert_eq!(answer, Err(CallError::TooLarge { bytes }));
}

#[tokio::test]
async fn failures_of_the_other_side_are_told_apart() {
    let (one, two) = pair().await;
    assert_eq!(ask(&one, 2, "a").await, Err(CallError::NotServed));
    two.serve(Service::Metadata, Arc::new(Serve(|_, _| async { Err("no room".to_owned()) })));
    assert_eq!(ask(&one, 2, "a").await, Err(CallError::Failed("no room".to_owned())));
    two.serve(
        Service::Metadata,
        Arc::new(Serve(|_, _| async { Ok(Bytes::from(vec![0; FRAME_BYTES_MAX + 1])) })),
    );
    assert!(matches!(ask(&one, 2, "a").await, Err(CallError::Failed(_))));
    assert_eq!(two.stats().accepted, 1, "none of them costs the connection");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_as_failed() {
    let (one, two) = pair().await;
    two.serve(Service::Metadata, Arc::new(Serve(|_, _| async { panic!("the test wants it") })));
    assert!(matches!(ask(&one, 2, "a").await, Err(CallError::Failed(_))));
}

#[tokio::test]
async fn a_call_without_an_address_fails_at_once() {
    let one = broker(1).await;
    let answer = ask(&one, 2, "a").await;
    assert_eq!(answer, Err(CallError::Connect(ConnectError::NoAddress(BrokerId(2)))));
    assert_eq!(*one.link(BrokerId(2)).borrow(), LinkState::Unknown);
}

#[tokio::test]
async fn a_call_times_out_and_leaves_nothing_behind() {
    let (one, two) = pair().await;
    serve_silence(&two);
    let begun = Instant::now();
    let answer = one.call(BrokerId(2), Service::Metadata, Bytes::new(), Duration::from_millis(100)).await;
    assert_eq!(answer, Err(CallError::Timeout));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(one.inner.link(BrokerId(2)).entries(), 0);
}

#[tokio::test]
async fn dropped_calls_leave_nothing_behind_sent_or_not() {
    let (one, two) = pair().await;
    serve_silence(&two);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(3), silent.local_addr().unwrap().into());
    for broker in [BrokerId(2), BrokerId(3)] {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let one = one.clone();
            calls.spawn(async move { one.call(broker, Service::Metadata, Bytes::new(), SOON).await });
        }
        until("the calls have begun", || one.inner.link(broker).entries() == 10).await;
        calls.shutdown().await;
        assert_eq!(one.inner.link(broker).entries(), 0);
    }
}

#[tokio::test]
async fn calls_in_flight_are_bounded_and_the_rest_wait_their_turn() {
    let one = broker(1).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), silent.local_addr().unwrap().into());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS_IN_FLIGHT_MAX + 100 {
        let one = one.clone();
        calls.spawn(async move {
            one.call(BrokerId(2), Service::Metadata, Bytes::new(), Duration::from_millis(500)).await
        });
    }
    let mut most = 0;
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap(), Err(CallError::Timeout));
        most = most.max(one.inner.link(BrokerId(2)).entries());
    }
    assert!(most <= CALLS_IN_FLIGHT_MAX, "{most}");
    assert_eq!(one.inner.link(BrokerId(2)).entries(), 0);
}

#[tokio::test]
async fn handlers_are_bounded_and_more_requests_are_answered_busy() {
    let (one, two) = pair().await;
    let running = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Notify::new());
    let (counted, wait) = (running.clone(), go.clone());
    two.serve(
        Service::Metadata,
        Arc::new(Serve(move |_, _| {
            let (counted, wait) = (counted.clone(), wait.clone());
            async move {
                let went = wait.notified();
                counted.fetch_add(1, Ordering::SeqCst);
                went.await;
                counted.fetch_sub(1, Ordering::SeqCst);
                Ok(Bytes::new())
            }
        })),
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..HANDLERS_PER_CONNECTION_MAX {
        let one = one.clone();
        calls.spawn(async move { one.call(BrokerId(2), Service::Metadata, Bytes::new(), SOON).await });
    }
    until("all handlers run", || running.load(Ordering::SeqCst) == HANDLERS_PER_CONNECTION_MAX).await;
    // The callers give up; their handlers run on.
    calls.shutdown().await;
    assert_eq!(ask(&one, 2, "a").await, Err(CallError::Busy));
    assert_eq!(running.load(Ordering::SeqCst), HANDLERS_PER_CONNECTION_MAX);
    go.notify_waiters();
    until("all handlers have ended", || running.load(Ordering::SeqCst) == 0).await;
    go.notify_one();
    ask(&one, 2, "a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_may_be_made_from_another_runtime() {
    let (one, two) = pair().await;
    serve_echo(&two);
    let caller = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let first = runtime.block_on(ask(&one, 2, "a"));
        let address = two.advertised().clone();
        let second = runtime.block_on(one.call_at(&address, Service::Metadata, Bytes::from("b"), SOON));
        drop(runtime);
        (first, second)
    });
    let (first, second) = tokio::task::spawn_blocking(|| caller.join().unwrap()).await.unwrap();
    assert_eq!(first.unwrap(), "1>2:a");
    assert_eq!(second.unwrap().bytes, "1>2:b");
}

#[tokio::test]
async fn a_call_to_an_address_tells_who_answered() {
    let one = broker_at(1, 101, "127.0.0.1:0", None).await;
    let two = broker(2).await;
    serve_echo(&two);
    let answer = one.call_at(two.advertised(), Service::Metadata, Bytes::from("a"), SOON).await.unwrap();
    let expected = crate::Answer {
        from: BrokerId(2),
        incarnation: 102,
        cluster: Some(CLUSTER),
        bytes: Bytes::from("1>2:a"),
    };
    assert_eq!(answer, expected);
    assert_eq!(two.address(BrokerId(1)).as_ref(), Some(one.advertised()), "and the other learns who asked");
}

#[tokio::test]
async fn a_broker_finds_itself_at_its_own_address() {
    let one = broker(1).await;
    serve_echo(&one);
    let answer = one.call_at(one.advertised(), Service::Metadata, Bytes::from("a"), SOON).await.unwrap();
    assert_eq!((answer.from, answer.incarnation), (BrokerId(1), 101));
}
