//! Who is let in.

use super::*;
use crate::{CallError, ConnectError, RefuseReason};

fn refused<T>(reason: RefuseReason) -> Result<T, CallError> {
    Err(CallError::Connect(ConnectError::Refused(reason)))
}

#[tokio::test]
async fn a_broker_of_another_cluster_is_refused_and_told_so() {
    let one = broker(1).await;
    let two = broker_at(2, 102, "127.0.0.1:0", Some(ClusterId([1; 16]))).await;
    serve_echo(&two);
    introduce(&one, &two);
    assert_eq!(ask(&one, 2, "a").await, refused(RefuseReason::OtherCluster));
    assert!(matches!(
        one.open_stream(two.me(), SOON).await.map(|_| ()),
        Err(ConnectError::Refused(RefuseReason::OtherCluster))
    ));
    let at = one.call_at(two.advertised(), Service::Metadata, Bytes::new(), SOON).await;
    assert_eq!(at.map(|answer| answer.bytes), refused(RefuseReason::OtherCluster));
    assert!(two.stats().refused >= 3);
    assert_eq!((two.stats().accepted, two.address(one.me())), (0, None), "and nothing is learned from it");
}

#[tokio::test]
async fn a_cluster_learned_later_guards_the_hellos_after_it() {
    let one = broker_at(1, 101, "127.0.0.1:0", None).await;
    let two = broker(2).await;
    serve_echo(&two);
    assert!(one.call_at(two.advertised(), Service::Metadata, Bytes::new(), SOON).await.is_ok());
    one.set_cluster(ClusterId([1; 16]));
    introduce(&one, &two);
    assert_eq!(ask(&one, 2, "a").await, refused(RefuseReason::OtherCluster));
    one.set_cluster(CLUSTER);
    assert_eq!(ask(&one, 2, "a").await.unwrap(), "1>2:a");
}

#[tokio::test]
async fn the_wrong_broker_refuses() {
    let (one, two) = pair().await;
    one.set_address(BrokerId(3), two.advertised().clone());
    assert_eq!(ask(&one, 3, "a").await, refused(RefuseReason::NotThisBroker));
}

#[tokio::test]
async fn the_wrong_broker_is_refused_even_if_it_accepts() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(3), listener.local_addr().unwrap().into());
    let (answer, _socket) = tokio::join!(ask(&one, 3, "a"), accept_as(&listener, 2));
    assert_eq!(answer, refused(RefuseReason::NotThisBroker));
}

#[tokio::test]
async fn a_hello_for_another_broker_is_answered_with_a_refusal_and_closed() {
    let one = broker(1).await;
    let mut socket = raw_socket(&one).await;
    socket.write_all(&hello_bytes(1, CLUSTER, 7, 3)).await.unwrap();
    let answer = read_to_close(&mut socket).await;
    assert_eq!((answer.len(), &answer[..6]), (34, &b"EDPR\x01\x02"[..]));
    assert_eq!((one.stats().refused, one.stats().accepted), (1, 0));
}

#[tokio::test]
async fn a_broker_of_another_cluster_is_refused_even_if_it_accepts() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    let (answer, _socket) = tokio::join!(ask(&one, 2, "a"), accept_of(&listener, 2, ClusterId([1; 16])));
    assert_eq!(answer, refused(RefuseReason::OtherCluster));
}

#[tokio::test]
async fn a_second_broker_with_the_same_id_is_refused() {
    let one = broker(1).await;
    let other = broker_at(1, 999, "127.0.0.1:0", Some(CLUSTER)).await;
    let answer = other.call_at(one.advertised(), Service::Metadata, Bytes::new(), SOON).await;
    assert_eq!(answer.map(|answer| answer.bytes), refused(RefuseReason::SameBrokerId));
}

#[tokio::test]
async fn streams_are_refused_until_somebody_takes_them() {
    let (one, two) = pair().await;
    let opened = one.open_stream(two.me(), SOON).await;
    assert!(matches!(opened, Err(ConnectError::Refused(RefuseReason::NotServed))));
}

#[tokio::test]
async fn another_version_is_answered_with_a_refusal() {
    let one = broker(1).await;
    let mut socket = raw_socket(&one).await;
    socket.write_all(b"EDPR\x02\0\x03abc").await.unwrap();
    let answer = read_to_close(&mut socket).await;
    assert_eq!(answer[..6], *b"EDPR\x01\x04");
    assert_eq!(one.stats().refused, 1);
}

#[tokio::test]
async fn what_is_no_broker_is_told_apart() {
    let one = broker(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    one.set_address(BrokerId(2), listener.local_addr().unwrap().into());
    let web_server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
        socket
    };
    let (answer, _socket) = tokio::join!(ask(&one, 2, "a"), web_server);
    assert_eq!(answer, Err(CallError::Connect(ConnectError::NotABroker)));
}
