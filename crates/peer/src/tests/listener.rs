//! What strangers can do to the listener.

use std::time::Instant;

use super::*;
use crate::limits::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT, HANDSHAKES_MAX};
use crate::{CallError, ConnectError, RefuseReason};

/// A broker still answers another one.
async fn still_serves(peers: &Peers) {
    let other = broker(8).await;
    introduce(&other, peers);
    serve_echo(peers);
    assert!(ask(&other, peers.me().0, "a").await.is_ok());
}

#[tokio::test]
async fn garbage_instead_of_a_hello_is_closed_and_counted() {
    let one = broker(1).await;
    let mut expected = 0;
    let mut wrong_purpose = hello_bytes(9, CLUSTER, 7, 1);
    let negative_sender = hello_bytes(1, CLUSTER, -5, 1);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[0xff; 64],
        b"EDPR\x01\xff\xff",
        &wrong_purpose,
        &negative_sender,
    ] {
        let mut socket = raw_socket(&one).await;
        socket.write_all(bytes).await.unwrap();
        assert_eq!(read_to_close(&mut socket).await, b"");
        expected += 1;
        assert_eq!(one.stats().garbage, expected, "{bytes:?}");
    }
    wrong_purpose.truncate(20);
    let mut socket = raw_socket(&one).await;
    socket.write_all(&wrong_purpose).await.unwrap();
    drop(socket);
    until("a hello that is cut is counted", || one.stats().unfinished == 1).await;
    still_serves(&one).await;
}

#[tokio::test]
async fn garbage_after_the_hello_is_closed_and_counted() {
    let one = broker(1).await;
    serve_echo(&one);
    let frames = [
        // A length over the limit, an empty message, an unknown kind, an answer nobody asked for.
        &[0xff; 32][..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, 9],
        &[0, 0, 0, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for (already, frame) in frames.into_iter().enumerate() {
        let mut socket = raw_connection(&one, 1).await;
        socket.write_all(frame).await.unwrap();
        read_to_close(&mut socket).await;
        assert_eq!(one.stats().garbage, already as u64 + 1, "{frame:?}");
    }
    still_serves(&one).await;
}

#[tokio::test]
async fn a_service_without_a_name_is_answered_as_not_served() {
    let one = broker(1).await;
    let mut socket = raw_connection(&one, 1).await;
    socket.write_all(&[0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 5, 200]).await.unwrap();
    let mut answer = [0; 14];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0, 0, 0, 10, 2, 0, 0, 0, 0, 0, 0, 0, 5, 1]);
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answers_is_cut_off() {
    let one = broker(1).await;
    let mut socket = raw_connection(&one, 1).await;
    let requests = [0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 5, 200].repeat(10_000);
    // Ends when the sockets' buffers are full of answers and the listener has given up.
    let flood = async { while socket.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(SOON, flood).await.expect("the listener should give up");
    until("it is counted", || one.stats().garbage == 1).await;
}

#[tokio::test]
async fn a_hello_that_comes_slowly_is_closed_at_the_deadline() {
    let one = broker(1).await;
    let begun = Instant::now();
    let mut socket = raw_socket(&one).await;
    socket.write_all(b"EDP").await.unwrap();
    read_to_close(&mut socket).await;
    assert!(
        begun.elapsed() >= HANDSHAKE_TIMEOUT && begun.elapsed() < HANDSHAKE_TIMEOUT * 3,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(one.stats().unfinished, 1);
}

#[tokio::test]
async fn unfinished_handshakes_are_bounded_and_do_not_keep_brokers_out() {
    let one = broker(1).await;
    let begun = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..HANDSHAKES_MAX + 5 {
        sockets.push(raw_socket(&one).await);
    }
    for socket in &mut sockets[..5] {
        read_to_close(socket).await;
    }
    assert!(begun.elapsed() < HANDSHAKE_TIMEOUT, "the oldest are closed before their deadline");
    assert_eq!(one.stats().unfinished, 5);
    still_serves(&one).await;
}

#[tokio::test]
async fn a_caller_that_falls_silent_loses_its_connection() {
    let one = broker(1).await;
    let mut socket = raw_connection(&one, 1).await;
    let sent = read_to_close(&mut socket).await;
    let keep_alive = [0, 0, 0, 1, 0];
    assert!(sent.len() >= 10 && sent.chunks(5).all(|frame| frame == keep_alive), "{sent:?}");
}

#[tokio::test]
async fn connections_are_bounded_and_their_places_come_back() {
    let one = broker(1).await;
    let all_but_one =
        one.inner.connections.clone().try_acquire_many_owned(CONNECTIONS_MAX as u32 - 1).unwrap();
    let socket = raw_connection(&one, 1).await;
    let other = broker(8).await;
    introduce(&other, &one);
    serve_echo(&one);
    let refused = CallError::Connect(ConnectError::Refused(RefuseReason::Overloaded));
    assert_eq!(ask(&other, 1, "a").await, Err(refused));
    drop(socket);
    until("the place is free", || one.inner.connections.available_permits() == 1).await;
    assert!(ask(&other, 1, "a").await.is_ok());
    drop(all_but_one);
}
