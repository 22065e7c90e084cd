//! Streams between two brokers.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX};
use crate::{PeerStream, StreamHandler};

/// Hands out what is accepted.
struct Accepted(mpsc::UnboundedSender<(BrokerId, u64, PeerStream)>);

impl StreamHandler for Accepted {
    fn accepted(&self, from: BrokerId, incarnation: u64, stream: PeerStream) {
        let _ = self.0.send((from, incarnation, stream));
    }
}

/// A stream from `one` to `two`, both ends.
async fn stream(one: &Peers, two: &Peers) -> (PeerStream, PeerStream) {
    let (sender, mut accepted) = mpsc::unbounded_channel();
    two.serve_streams(Arc::new(Accepted(sender)));
    let opened = one.open_stream(two.me(), SOON).await.unwrap();
    assert_eq!((opened.broker(), opened.incarnation()), (two.me(), two.incarnation()));
    let (from, incarnation, stream) = tokio::time::timeout(SOON, accepted.recv()).await.unwrap().unwrap();
    assert_eq!((from, incarnation), (one.me(), one.incarnation()));
    (opened, stream)
}

fn bytes(length: usize, seed: usize) -> Bytes {
    (0..length).map(|i| (i * 7 + seed) as u8).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn frames_of_several_slices_arrive_whole_and_in_order() {
    let (one, two) = pair().await;
    let ((_, mut writer), (mut reader, _)) = {
        let (near, far) = stream(&one, &two).await;
        (near.split(), far.split())
    };
    let mut expected = Vec::new();
    // More slices than one vectored write takes, both sides of the size from which they are shared, and empty ones.
    for (number, length) in
        [0, 1, 511, 512, 513, 5000, 70_000, 0, 300_000].into_iter().cycle().take(500).enumerate()
    {
        let parts = vec![bytes(3, number), bytes(length, number), Bytes::new(), bytes(length / 2, number)];
        expected.push(parts.concat());
        writer_step(&mut writer, &mut reader, &parts, &mut expected).await;
    }
    writer.flush().await.unwrap();
    assert_eq!(writer.queued(), 0);
    for frame in expected {
        assert!(reader.next().await.unwrap().unwrap() == frame);
    }
    drop(writer);
    assert!(reader.next().await.unwrap().is_none());
}

/// Writes a frame while reading earlier ones, as one task cannot write more than the sockets hold.
async fn writer_step(
    writer: &mut crate::StreamWriter,
    reader: &mut crate::StreamReader,
    parts: &[Bytes],
    expected: &mut Vec<Vec<u8>>,
) {
    let write = writer.write(parts);
    tokio::pin!(write);
    loop {
        tokio::select! {
            biased;
            written = &mut write => return written.unwrap(),
            frame = reader.next() => assert!(frame.unwrap().unwrap() == expected.remove(0)),
        }
    }
}

#[tokio::test]
async fn a_frame_of_the_largest_size_passes_and_a_larger_one_is_not_queued() {
    let (one, two) = pair().await;
    let (near, far) = stream(&one, &two).await;
    let ((_near_reader, mut writer), (mut reader, _far_writer)) = (near.split(), far.split());
    let half = bytes(FRAME_BYTES_MAX / 2, 1);
    let error = writer.write(&[half.clone(), half.clone(), Bytes::from("x")]).await.unwrap_err();
    assert_eq!((error.kind(), writer.queued()), (ErrorKind::InvalidInput, 0));
    let parts = [half.clone(), half.clone()];
    let (written, frame) = tokio::join!(writer.write(&parts), reader.next());
    written.unwrap();
    assert!(frame.unwrap().unwrap() == parts.concat());
}

#[tokio::test]
async fn a_writer_waits_for_a_reader_that_does_not_read_and_loses_nothing() {
    let (one, two) = pair().await;
    let (near, far) = stream(&one, &two).await;
    let ((_near_reader, mut writer), (mut reader, _far_writer)) = (near.split(), far.split());
    let mut written = 0;
    loop {
        let frame = [bytes(256 << 10, written)];
        written += 1;
        assert!(written < 400, "100 MB went nowhere");
        if tokio::time::timeout(Duration::from_millis(300), writer.write(&frame)).await.is_err() {
            break;
        }
    }
    // The frame whose write was dropped is queued, and goes on where it was.
    let read_all = async {
        for number in 0..written {
            assert!(reader.next().await.unwrap().unwrap() == bytes(256 << 10, number));
        }
    };
    let (flushed, ()) = tokio::join!(writer.flush(), read_all);
    flushed.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_dropped_while_it_waits_loses_nothing() {
    let one = broker(1).await;
    let (sender, mut accepted) = mpsc::unbounded_channel();
    one.serve_streams(Arc::new(Accepted(sender)));
    let mut socket = raw_connection(&one, 2).await;
    let (mut reader, _writer) = accepted.recv().await.unwrap().2.split();
    for byte in [0, 0, 0, 3, b'a', b'b'] {
        socket.write_all(&[byte]).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(5), reader.next()).await.is_err());
    }
    socket.write_all(b"c").await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "abc");
}

#[tokio::test]
async fn a_length_over_the_limit_and_an_end_within_a_frame_are_errors() {
    let one = broker(1).await;
    let (sender, mut accepted) = mpsc::unbounded_channel();
    one.serve_streams(Arc::new(Accepted(sender)));
    for (sent, kind) in
        [(&[0xff; 8][..], ErrorKind::InvalidData), (&[0, 0, 0, 5, 1], ErrorKind::UnexpectedEof)]
    {
        let mut socket = raw_connection(&one, 2).await;
        let (mut reader, _writer) = accepted.recv().await.unwrap().2.split();
        socket.write_all(sent).await.unwrap();
        drop(socket);
        assert_eq!(reader.next().await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_reader_can_notice_silence() {
    let (one, two) = pair().await;
    let (near, far) = stream(&one, &two).await;
    let ((_near_reader, mut writer), (mut reader, _far_writer)) = (near.split(), far.split());
    writer.write(&[Bytes::from("a")]).await.unwrap();
    writer.flush().await.unwrap();
    let silence = Duration::from_millis(200);
    assert_eq!(reader.next_within(silence).await.unwrap().unwrap(), "a");
    assert_eq!(reader.next_within(silence).await.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn halves_of_an_accepted_stream_hold_one_place() {
    let (one, two) = pair().await;
    let (_near, far) = stream(&one, &two).await;
    let taken = || CONNECTIONS_MAX - two.inner.connections.available_permits();
    let (reader, writer) = far.split();
    assert_eq!(taken(), 1);
    drop(reader);
    assert_eq!(taken(), 1);
    drop(writer);
    assert_eq!(taken(), 0);
}

#[tokio::test]
async fn shutdown_ends_streams_on_both_sides() {
    let (one, two) = pair().await;
    let (near, far) = stream(&one, &two).await;
    let ((mut near_reader, mut near_writer), (mut far_reader, far_writer)) = (near.split(), far.split());
    let shutdown = async {
        one.shutdown().await;
    };
    let (ended, ()) = tokio::join!(near_reader.next(), shutdown);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::NotConnected);
    near_writer.write(&[Bytes::from("a")]).await.unwrap();
    assert_eq!(near_writer.flush().await.unwrap_err().kind(), ErrorKind::NotConnected);
    drop((near_reader, near_writer));
    assert!(far_reader.next().await.unwrap().is_none());
    drop(far_writer);
}
