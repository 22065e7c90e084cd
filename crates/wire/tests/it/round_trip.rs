//! Random messages of every API and version: ours → bytes → the `kafka-protocol` crate → bytes → ours.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use eddy_wire::testing::{CODECS, Codec, Sampler};
use eddy_wire::{ApiKey, Reader};
use kafka_protocol::messages::{ApiKey as PeerKey, RequestKind, ResponseKind};

use crate::encode;

const SAMPLES: u64 = 40;

/// What the peer lacks because it is generated from the schemas of Kafka 4.1: each API's first missing version.
const NOT_IN_PEER: &[(ApiKey, i16)] = &[
    (ApiKey::ListOffsets, 11),
    (ApiKey::WriteTxnMarkers, 2),
    (ApiKey::DescribeLogDirs, 5),
    (ApiKey::BrokerHeartbeat, 2),
    (ApiKey::ShareFetch, 2),
    (ApiKey::ShareAcknowledge, 2),
    (ApiKey::AddRaftVoter, 1),
    (ApiKey::WriteShareGroupState, 1),
    (ApiKey::ReadShareGroupStateSummary, 1),
    (ApiKey::StreamsGroupHeartbeat, 0),
    (ApiKey::StreamsGroupDescribe, 0),
    (ApiKey::DescribeShareGroupOffsets, 1),
];

/// Requests whose latest version was unstable in 4.1: the peer lists the version, but decodes only the response.
const UNSTABLE_IN_PEER: &[(&str, i16)] =
    &[("OffsetCommitRequest", 10), ("OffsetFetchRequest", 10), ("InitProducerIdRequest", 6)];

/// The peer's version of `bytes`, decoded and encoded again.
fn peer_round_trip(codec: &Codec, mut bytes: Bytes, version: i16) -> Result<Bytes, String> {
    let key = PeerKey::try_from(codec.api_key.code()).map_err(|()| "unknown key")?;
    let mut again = BytesMut::new();
    if codec.is_request {
        let message = RequestKind::decode(key, &mut bytes, version).map_err(|error| error.to_string())?;
        message.encode(&mut again, version).map_err(|error| error.to_string())?;
    } else {
        let message = ResponseKind::decode(key, &mut bytes, version).map_err(|error| error.to_string())?;
        message.encode(&mut again, version).map_err(|error| error.to_string())?;
    }
    match bytes.len() {
        0 => Ok(again.freeze()),
        left => Err(format!("{left} bytes left over")),
    }
}

fn peer_lists(api_key: ApiKey, version: i16) -> bool {
    PeerKey::try_from(api_key.code()).is_ok_and(|key| {
        let versions = key.valid_versions();
        (versions.min..=versions.max).contains(&version)
    })
}

#[test]
fn the_list_of_what_the_peer_lacks_is_exact() {
    let mut lacking = BTreeSet::new();
    for &key in ApiKey::ALL {
        let missing: Vec<_> = key.valid_versions().filter(|&version| !peer_lists(key, version)).collect();
        if let Some(&first) = missing.first() {
            assert_eq!(missing, (first..=*key.valid_versions().end()).collect::<Vec<_>>(), "{key}");
            lacking.insert((key, first));
        }
    }
    assert_eq!(lacking, NOT_IN_PEER.iter().copied().collect());
}

#[test]
fn every_message_survives_both_codecs_in_every_version() {
    let (mut own, mut with_peer) = (0, 0);
    for codec in CODECS {
        for version in codec.api_key.valid_versions() {
            let in_peer = !NOT_IN_PEER.iter().any(|&(key, from)| key == codec.api_key && version >= from)
                && !UNSTABLE_IN_PEER.contains(&(codec.name, version));
            for seed in 0..SAMPLES {
                let message = (codec.sample)(&mut Sampler::new(seed), version);
                let bytes = encode(&*message, version);
                let place = format!("{} v{version} seed {seed}", codec.name);
                // A peer that lacks the version must refuse it, else the lists above hide what could be compared.
                let again = peer_round_trip(codec, bytes.clone(), version).ok();
                assert_eq!(
                    again,
                    in_peer.then(|| bytes.clone()),
                    "{place}: the peer disagrees on {message:#?}"
                );

                let mut reader = Reader::new(bytes);
                let decoded = (codec.decode)(&mut reader, version).unwrap();
                assert_eq!(reader.remaining(), 0, "{place}");
                assert!(decoded.equals(&*message), "{place}: {decoded:#?} was {message:#?}");
            }
            own += 1;
            with_peer += usize::from(in_peer);
        }
    }
    // Messages, (message, version) pairs, and those of them that the peer confirmed. A change means that schemas came or
    // went: see that it was meant.
    assert_eq!((CODECS.len(), own, with_peer), (178, 604, 577));
}
