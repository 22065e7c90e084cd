use bytes::{BufMut, BytesMut};
use eddy_core::Diverging;
use eddy_engine::PartitionKey;
use eddy_types::{LeaderEpoch, Offset, TopicId};
use proptest::prelude::*;

use super::*;

fn offset() -> impl Strategy<Value = Offset> {
    any::<i64>().prop_map(Offset)
}

fn follow() -> impl Strategy<Value = Follow> {
    let names = (any::<u32>(), any::<u32>(), any::<[u8; 16]>(), any::<i32>());
    let epochs = (any::<i32>(), any::<i32>(), any::<i64>());
    (names, epochs, offset(), offset(), offset()).prop_map(
        |(names, epochs, log_start, log_end, durable_end)| Follow {
            slot: names.0,
            generation: names.1,
            key: PartitionKey { topic: TopicId(names.2), index: names.3 },
            leader_epoch: LeaderEpoch(epochs.0),
            last_epoch: LeaderEpoch(epochs.1),
            broker_epoch: epochs.2,
            log_start,
            log_end,
            durable_end,
        },
    )
}

fn from_follower() -> impl Strategy<Value = FromFollower> {
    let progress = (any::<u32>(), any::<u32>(), offset(), offset(), offset()).prop_map(
        |(slot, generation, log_start, log_end, durable_end)| {
            FromFollower::Progress(Progress { slot, generation, log_start, log_end, durable_end })
        },
    );
    prop_oneof![
        follow().prop_map(FromFollower::Follow),
        any::<(u32, u32)>().prop_map(|(slot, generation)| FromFollower::Unfollow { slot, generation }),
        progress,
        any::<(u32, u32, bool)>().prop_map(|(slot, generation, limited)| FromFollower::Limit {
            slot,
            generation,
            limited,
        }),
        any::<u32>().prop_map(|bytes| FromFollower::Allow { bytes }),
        Just(FromFollower::Ping),
    ]
}

fn from_leader() -> impl Strategy<Value = FromLeader> {
    let position = || {
        (offset(), offset(), offset()).prop_map(|(high_watermark, log_start, log_end)| Position {
            high_watermark,
            log_start,
            log_end,
        })
    };
    let names = || any::<(u32, u32)>();
    let refusals = prop_oneof![
        Just(Refusal::NotLeader),
        Just(Refusal::FencedEpoch),
        Just(Refusal::UnknownEpoch),
        Just(Refusal::StaleBroker),
        Just(Refusal::UnknownReplica),
        Just(Refusal::Offline),
        Just(Refusal::TooMany),
    ];
    prop_oneof![
        (names(), position(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..100)).prop_map(
            |(names, position, charged, bytes)| FromLeader::Data {
                slot: names.0,
                generation: names.1,
                position,
                charged,
                batches: bytes.into(),
            }
        ),
        (names(), position()).prop_map(|(names, position)| FromLeader::State {
            slot: names.0,
            generation: names.1,
            position
        }),
        (names(), any::<i32>(), offset()).prop_map(|(names, epoch, end_offset)| FromLeader::Diverging {
            slot: names.0,
            generation: names.1,
            diverging: Diverging { epoch: LeaderEpoch(epoch), end_offset },
        }),
        (names(), offset(), offset()).prop_map(|(names, log_start, log_end)| FromLeader::OutOfRange {
            slot: names.0,
            generation: names.1,
            log_start,
            log_end,
        }),
        (names(), refusals).prop_map(|(names, refusal)| FromLeader::Refused {
            slot: names.0,
            generation: names.1,
            refusal,
        }),
        Just(FromLeader::Ping),
    ]
}

fn joined(parts: Vec<Bytes>) -> Bytes {
    parts.concat().into()
}

fn read<M: Message>(frame: Bytes) -> Result<Vec<M>, FrameError> {
    messages(frame)?.collect()
}

proptest! {
    #[test]
    fn what_a_follower_says_arrives_in_order(sent in prop::collection::vec(from_follower(), 1..20)) {
        let mut frame = UpFrame::default();
        sent.iter().for_each(|message| frame.put(message));
        prop_assert_eq!(read::<FromFollower>(frame.take()).unwrap(), sent);
        prop_assert!(frame.is_empty());
    }

    #[test]
    fn what_a_leader_says_arrives_in_order(sent in prop::collection::vec(from_leader(), 1..20)) {
        let mut frame = DownFrame::default();
        sent.iter().for_each(|message| frame.put(message));
        let length = frame.len();
        let bytes = joined(frame.take());
        prop_assert_eq!(bytes.len(), length);
        prop_assert_eq!(read::<FromLeader>(bytes).unwrap(), sent);
        prop_assert!(frame.len() == 0);
    }

    #[test]
    fn a_frame_cut_anywhere_is_an_error_or_fewer_messages(
        sent in prop::collection::vec(from_leader(), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = DownFrame::default();
        sent.iter().for_each(|message| frame.put(message));
        let bytes = joined(frame.take());
        let cut = bytes.slice(..cut.index(bytes.len()));
        if let Ok(got) = read::<FromLeader>(cut) {
            prop_assert!(got.len() < sent.len());
            prop_assert_eq!(&got[..], &sent[..got.len()]);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_slice(&noise);
        let bytes = bytes.freeze();
        let _ = read::<FromLeader>(bytes.clone());
        let _ = read::<FromFollower>(bytes);
    }
}

#[test]
fn another_version_is_refused() {
    let frame = Bytes::from_static(&[9, 4]);
    assert_eq!(read::<FromFollower>(frame), Err(FrameError::Version(9)));
}

#[test]
fn data_that_claims_more_than_the_frame_holds_is_refused() {
    let mut frame = DownFrame::default();
    let position = Position { high_watermark: Offset(1), log_start: Offset(0), log_end: Offset(1) };
    frame.data(1, 1, position, false, vec![Bytes::from_static(b"abc")]).unwrap();
    let mut bytes = BytesMut::from(&joined(frame.take())[..]);
    let at = bytes.len() - 3 - 4;
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(read::<FromLeader>(bytes.freeze()), Err(FrameError::Short));
}

#[test]
fn the_logs_bytes_are_shared_not_copied() {
    let batches = Bytes::from(vec![7; 4096]);
    let position = Position { high_watermark: Offset(1), log_start: Offset(0), log_end: Offset(1) };
    let mut frame = DownFrame::default();
    frame.data(1, 1, position, false, vec![batches.clone()]).unwrap();
    let parts = frame.take();
    assert!(parts.iter().any(|part| part.as_ptr() == batches.as_ptr()));
}
