//! What consumers of a group tell each other through the coordinator (the `consumer` protocol).

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_client::messages::ConsumerProtocolAssignment;
use eddy_client::messages::consumer_protocol_assignment::TopicPartition;
use eddy_client::protocol::{Decodable, Encodable, Message};

use crate::brokers::topic_name;
use crate::error::{CliError, Exit};
use crate::positions::Place;

pub(super) fn assignment(places: &[Place]) -> ConsumerProtocolAssignment {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for place in places {
        topics.entry(&place.topic).or_default().push(place.partition);
    }
    let topic = |(name, partitions)| {
        TopicPartition::default().with_topic(topic_name(name)).with_partitions(partitions)
    };
    ConsumerProtocolAssignment::default()
        .with_assigned_partitions(topics.into_iter().map(topic).collect())
        .with_user_data(None)
}

pub(super) fn places(assignment: &ConsumerProtocolAssignment) -> Vec<Place> {
    let mut places = Vec::new();
    for topic in &assignment.assigned_partitions {
        let place = |partition: &i32| Place { topic: topic.topic.to_string(), partition: *partition };
        places.extend(topic.partitions.iter().map(place));
    }
    places
}

/// What consumers tell each other begins with its own version.
pub(super) fn encoded<M: Encodable>(message: &M, version: i16) -> Result<Bytes, CliError> {
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    let written = message.encode(&mut bytes, version);
    written.map_err(|error| CliError::new(Exit::Failed, format!("cannot write for the group: {error}")))?;
    Ok(bytes.freeze())
}

pub(super) fn decoded<M: Decodable + Message>(mut bytes: Bytes) -> Result<M, CliError> {
    let failed =
        |reason: String| CliError::new(Exit::Failed, format!("cannot read what the group says: {reason}"));
    if bytes.remaining() < 2 {
        return Err(failed("it is empty".to_owned()));
    }
    // Later versions only add fields at the end.
    let version = bytes.get_i16().clamp(M::VERSIONS.min, M::VERSIONS.max);
    M::decode(&mut bytes, version).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_back_as_they_were_written() {
        let given: Vec<Place> = [("a", 0), ("a", 3), ("b", 1)]
            .map(|(topic, partition)| Place { topic: topic.to_owned(), partition })
            .into();
        let bytes = encoded(&assignment(&given), 0).unwrap();
        assert_eq!(places(&decoded(bytes).unwrap()), given);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [&b""[..], b"\0", b"\0\0\0\0\0\x09"] {
            assert!(
                decoded::<ConsumerProtocolAssignment>(Bytes::copy_from_slice(bytes)).is_err(),
                "{bytes:?}"
            );
        }
    }
}
