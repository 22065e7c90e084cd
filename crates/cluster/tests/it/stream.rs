//! A follower beside a leader that sends what a leader should not.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_engine::PartitionKey;
use eddy_metadata::controller::{NewTopic, create_topic};
use eddy_peer::{PeerStream, StreamHandler, StreamReader, StreamWriter};
use eddy_types::{BrokerId, LeaderEpoch, Offset, TopicId};
use tokio::sync::mpsc;

use crate::harness::{World, until};
use crate::records::{batch, read_all};

/// Hands the streams of followers to the test.
struct Taken(mpsc::UnboundedSender<PeerStream>);

impl StreamHandler for Taken {
    fn accepted(&self, _: BrokerId, _: u64, stream: PeerStream) {
        let _ = self.0.send(stream);
    }
}

/// A leader by hand: the form of the frames is written down here once more, on purpose.
struct Leader {
    reader: StreamReader,
    writer: StreamWriter,
    heard: Vec<Heard>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Follow { slot: u32, generation: u32, index: i32, log_end: i64 },
    Progress { slot: u32, generation: u32, durable_end: i64 },
}

impl Leader {
    /// The next message that is no sign of life.
    async fn hear(&mut self) -> Heard {
        while self.heard.is_empty() {
            let mut frame = self.reader.next().await.unwrap().unwrap();
            assert_eq!(frame.get_u8(), 1, "version");
            while frame.has_remaining() {
                match frame.get_u8() {
                    1 => {
                        let (slot, generation) = (frame.get_u32(), frame.get_u32());
                        frame.advance(16);
                        let index = frame.get_i32();
                        frame.advance(4 + 4 + 8 + 8);
                        let log_end = frame.get_i64();
                        frame.advance(8);
                        self.heard.push(Heard::Follow { slot, generation, index, log_end });
                    }
                    3 => {
                        let (slot, generation) = (frame.get_u32(), frame.get_u32());
                        frame.advance(8 + 8);
                        let durable_end = frame.get_i64();
                        self.heard.push(Heard::Progress { slot, generation, durable_end });
                    }
                    4 => {}
                    other => panic!("message {other}"),
                }
            }
        }
        self.heard.remove(0)
    }

    async fn send(&mut self, data: &[(u32, u32, Bytes)]) {
        let mut frame = BytesMut::new();
        frame.put_u8(1);
        for (slot, generation, batches) in data {
            frame.put_u8(1);
            frame.put_u32(*slot);
            frame.put_u32(*generation);
            // High watermark, log start, log end.
            frame.put_i64(1);
            frame.put_i64(0);
            frame.put_i64(1);
            frame.put_u32(u32::try_from(batches.len()).unwrap());
            frame.put_slice(batches);
        }
        self.writer.write(&[frame.freeze()]).await.unwrap();
        self.writer.flush().await.unwrap();
    }
}

/// A batch as a leader has it: at offset 0, in epoch 0.
fn stamped(value: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::from(&batch(7, 0, &[value.to_vec()]).bytes[..]);
    eddy_batch::stamp(&mut bytes, Offset(0), LeaderEpoch(0));
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_batch_hurts_its_partition_only_and_what_was_in_flight_before_a_new_request_is_ignored() {
    let world = World::start(3).await;
    let (leader, follower) = (BrokerId(1), BrokerId(2));
    let (taken, mut streams) = mpsc::unbounded_channel();
    world.node(leader).peers.serve_streams(Arc::new(Taken(taken)));
    let topic = TopicId([1; 16]);
    let replicas = vec![leader, follower];
    let mut new = NewTopic::with_defaults(topic, "t");
    new.assignments = vec![(0, replicas.clone()), (1, replicas)];
    world.any().engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();

    let (reader, writer) = streams.recv().await.unwrap().split();
    let mut stream = Leader { reader, writer, heard: Vec::new() };
    let mut slots = [(0, 0); 2];
    for _ in 0..2 {
        let Heard::Follow { slot, generation, index, log_end: 0 } = stream.hear().await else { panic!() };
        slots[usize::try_from(index).unwrap()] = (slot, generation);
    }
    let [(hurt, before), (well, generation)] = slots;
    let mut damaged = stamped(b"damaged");
    *damaged.last_mut().unwrap() ^= 1;
    stream.send(&[(hurt, before, damaged.freeze()), (well, generation, stamped(b"well").freeze())]).await;

    let mut heard = [stream.hear().await, stream.hear().await];
    heard.sort_by_key(|heard| matches!(heard, Heard::Follow { .. }));
    assert_eq!(heard[0], Heard::Progress { slot: well, generation, durable_end: 1 }, "the other one goes on");
    let Heard::Follow { slot, generation: after, index: 0, log_end: 0 } = heard[1] else {
        panic!("{heard:?}")
    };
    assert_eq!(slot, hurt);
    assert_ne!(after, before);
    assert_eq!(world.node(follower).cluster.stats().fetchers[0].failures, 1);

    stream.send(&[(hurt, before, stamped(b"too late").freeze())]).await;
    stream.send(&[(hurt, after, stamped(b"in time").freeze())]).await;
    assert_eq!(stream.hear().await, Heard::Progress { slot: hurt, generation: after, durable_end: 1 });
    let engine = world.node(follower).engine;
    let replica = engine.replica(&engine.image(), PartitionKey { topic, index: 0 }).await.unwrap();
    until("it knows the high watermark", || (replica.offsets().high_watermark == Offset(1)).then_some(()))
        .await;
    let records = read_all(&replica).await;
    assert_eq!(records, [(0, Bytes::from_static(b"in time"))]);
    world.stop().await;
}
