//! What the state of a link tells, and how connections come back.

use std::time::{Duration, Instant};

use super::*;
use crate::limits::{KEEP_ALIVE, SILENCE_MAX};
use crate::{CallError, ConnectError};

fn connected(incarnation: u64) -> LinkState {
    LinkState::Connected { incarnation }
}

#[tokio::test]
async fn a_watched_link_connects_without_calls_and_stays_while_idle() {
    let (one, two) = pair().await;
    let mut link = one.link(two.me());
    assert_eq!(*link.borrow_and_update(), LinkState::Unknown);
    one.watch_link(two.me());
    becomes(&mut link, connected(102)).await;
    link.mark_unchanged();
    assert!(tokio::time::timeout(SILENCE_MAX + 2 * KEEP_ALIVE, link.changed()).await.is_err());
    assert_eq!((two.stats().accepted, *link.borrow()), (1, connected(102)));
}

#[tokio::test]
async fn a_process_that_ended_is_refused_and_its_successor_is_another_incarnation() {
    let (one, two) = pair().await;
    let mut link = one.link(two.me());
    one.watch_link(two.me());
    becomes(&mut link, connected(102)).await;
    let (begun, address) = (Instant::now(), two.advertised().to_string());
    two.shutdown().await;
    becomes(&mut link, LinkState::Refused).await;
    assert!(begun.elapsed() < SILENCE_MAX, "{:?}: a closed socket needs no timeout", begun.elapsed());

    let two = broker_at(2, 202, &address, Some(CLUSTER)).await;
    serve_echo(&two);
    becomes(&mut link, connected(202)).await;
    assert_eq!(ask(&one, 2, "a").await.unwrap(), "1>2:a");
}

#[tokio::test]
async fn calls_fail_soon_while_a_broker_is_away_and_succeed_when_it_is_back() {
    let (one, two) = pair().await;
    serve_echo(&two);
    ask(&one, 2, "a").await.unwrap();
    let address = two.advertised().to_string();
    two.shutdown().await;
    let begun = Instant::now();
    let mut failures = 0;
    while failures < 5 {
        match ask(&one, 2, "b").await {
            Err(CallError::Lost | CallError::Connect(ConnectError::Unreachable(_))) => failures += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let two = broker_at(2, 202, &address, Some(CLUSTER)).await;
    serve_echo(&two);
    assert_eq!(ask(&one, 2, "c").await.unwrap(), "1>2:c");
}

#[tokio::test]
async fn nobody_there_from_the_start_is_broken_and_not_refused() {
    let one = broker(1).await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    one.set_address(BrokerId(2), free.into());
    let mut link = one.link(BrokerId(2));
    one.watch_link(BrokerId(2));
    becomes(&mut link, LinkState::Broken).await;
    link.mark_unchanged();
    assert!(tokio::time::timeout(Duration::from_millis(600), link.changed()).await.is_err());
}

#[tokio::test]
async fn a_listener_that_accepts_and_never_answers_is_broken() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    let mut link = one.link(BrokerId(2));
    assert_eq!(ask(&one, 2, "a").await, Err(CallError::Connect(ConnectError::Timeout)));
    becomes(&mut link, LinkState::Broken).await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_broken_and_refused_only_when_its_listener_is_gone() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    let mut link = one.link(BrokerId(2));
    one.watch_link(BrokerId(2));
    let socket = accept_as(&listener, 2).await;
    becomes(&mut link, connected(55)).await;
    let (begun, call) = (Instant::now(), ask(&one, 2, "a"));
    assert_eq!(call.await, Err(CallError::Lost));
    assert!(begun.elapsed() < SILENCE_MAX * 2, "{:?}", begun.elapsed());
    becomes(&mut link, LinkState::Broken).await;
    // The new attempt sits in the backlog of the listener: as with a paused process.
    link.mark_unchanged();
    assert!(tokio::time::timeout(Duration::from_millis(500), link.changed()).await.is_err());
    drop((socket, listener));
    becomes(&mut link, LinkState::Refused).await;
}

#[tokio::test]
async fn a_refusal_at_another_address_does_not_tell_that_the_process_is_gone() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    let mut link = one.link(BrokerId(2));
    one.watch_link(BrokerId(2));
    let socket = accept_as(&listener, 2).await;
    becomes(&mut link, connected(55)).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    one.set_address(BrokerId(2), free.into());
    drop(socket);
    becomes(&mut link, LinkState::Broken).await;
    link.mark_unchanged();
    assert!(tokio::time::timeout(Duration::from_millis(600), link.changed()).await.is_err());
}

#[tokio::test]
async fn a_listener_that_hangs_up_after_the_handshake_is_not_called_in_a_tight_loop() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    one.watch_link(BrokerId(2));
    let mut connections = 0;
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            drop(accept_as(&listener, 2).await);
            connections += 1;
        }
    })
    .await;
    assert!((3..=9).contains(&connections), "{connections} connections in a second");
}

#[tokio::test]
async fn a_hello_from_a_broker_ends_the_wait_to_call_it() {
    let (one, two) = pair().await;
    let mut link = one.link(two.me());
    one.watch_link(two.me());
    becomes(&mut link, connected(102)).await;
    let address = two.advertised().to_string();
    two.shutdown().await;
    becomes(&mut link, LinkState::Refused).await;
    // Long enough for the back-off to reach its bound.
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), link.wait_for(|s| *s != LinkState::Refused))
            .await
            .is_err()
    );
    let two = broker_at(2, 202, &address, Some(CLUSTER)).await;
    introduce(&two, &one);
    two.watch_link(one.me());
    becomes(&mut two.link(one.me()), connected(101)).await;
    let begun = Instant::now();
    becomes(&mut link, connected(202)).await;
    assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_link_that_nobody_needs_is_not_made_again() {
    let (one, two) = pair().await;
    serve_echo(&two);
    let mut link = one.link(two.me());
    ask(&one, 2, "a").await.unwrap();
    let address = two.advertised().to_string();
    two.shutdown().await;
    becomes(&mut link, LinkState::Refused).await;
    let two = broker_at(2, 202, &address, Some(CLUSTER)).await;
    link.mark_unchanged();
    assert!(tokio::time::timeout(Duration::from_millis(700), link.changed()).await.is_err());
    assert_eq!(two.stats().accepted, 0);
}

#[tokio::test]
async fn shutdown_ends_calls_links_and_streams_and_lets_nothing_begin() {
    let (one, two) = pair().await;
    serve_silence(&two);
    let call = tokio::spawn({
        let one = one.clone();
        async move { ask(&one, 2, "a").await }
    });
    let mut link = one.link(two.me());
    becomes(&mut link, connected(102)).await;
    until("the call is sent", || one.inner.link(BrokerId(2)).entries() == 1).await;
    tokio::time::timeout(SOON, one.shutdown()).await.unwrap();
    assert!(matches!(call.await.unwrap(), Err(CallError::Lost | CallError::Connect(ConnectError::Closed))));
    assert_eq!(*link.borrow(), LinkState::Unknown);
    let closed = Err(CallError::Connect(ConnectError::Closed));
    assert_eq!(ask(&one, 2, "b").await, closed);
    assert_eq!(ask(&one, 1, "b").await, closed);
    assert_eq!(ask(&one, 3, "b").await, closed);
    let at = one.call_at(two.advertised(), Service::Metadata, Bytes::new(), SOON).await;
    assert_eq!(at.map(|answer| answer.bytes), closed);
    assert!(matches!(one.open_stream(two.me(), SOON).await, Err(ConnectError::Closed)));
    let address = one.advertised();
    let refused = TcpStream::connect((address.host.as_str(), address.port)).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    one.shutdown().await;
}
