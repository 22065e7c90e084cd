//! From bytes to messages and back, and the checks of batches.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use eddy_batch::{Compression, Rules, validate};
use eddy_types::{Millis, TopicId};
use eddy_wire::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use eddy_wire::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use eddy_wire::{ApiKey, Decode, Reader, encode_response};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::Encodable;

use crate::{Operation, batch};

const TOPIC: TopicId = TopicId([7; 16]);
const PRODUCE_VERSION: i16 = 13;
const METADATA_VERSION: i16 = 13;

pub(crate) fn produce() -> Operation {
    let records = batch(64, Compression::None);
    let data = PartitionProduceData::default().with_index(3).with_records(Some(records));
    let mut topic = TopicProduceData::default().with_partition_data(vec![data]);
    topic.topic_id = TOPIC.0.to_vec().try_into().unwrap_or_default();
    let request =
        kafka_protocol::messages::ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
    let mut frame = BytesMut::new();
    request.encode(&mut frame, PRODUCE_VERSION).expect("a request that the version knows");
    let frame: Bytes = frame.freeze();
    Box::new(move || {
        let request = ProduceRequest::decode(&mut Reader::new(frame.clone()), PRODUCE_VERSION);
        black_box(request.expect("what was encoded"));
        let partition =
            PartitionProduceResponse { index: 3, base_offset: 64, ..PartitionProduceResponse::default() };
        let topic = TopicProduceResponse {
            topic_id: TOPIC,
            partition_responses: vec![partition],
            ..TopicProduceResponse::default()
        };
        let answer = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
        black_box(
            encode_response(ApiKey::Produce, PRODUCE_VERSION, 1, &answer).expect("an answer of the version"),
        );
    })
}

pub(crate) fn metadata() -> Operation {
    let partition = |index| MetadataResponsePartition {
        partition_index: index,
        leader_id: 1,
        replica_nodes: vec![1, 2, 3],
        isr_nodes: vec![1, 2, 3],
        ..MetadataResponsePartition::default()
    };
    let topic = MetadataResponseTopic {
        topic_id: TOPIC,
        partitions: (0..1000).map(partition).collect(),
        ..MetadataResponseTopic::default()
    };
    let answer = MetadataResponse { topics: vec![topic], ..MetadataResponse::default() };
    Box::new(move || {
        black_box(
            encode_response(ApiKey::Metadata, METADATA_VERSION, 1, &answer)
                .expect("an answer of the version"),
        );
    })
}

pub(crate) fn rules() -> Rules {
    Rules::with_defaults(Millis(1_700_000_000_000))
}

pub(crate) fn validate_batch(compression: Compression) -> Operation {
    let (bytes, rules) = (batch(64, compression), rules());
    Box::new(move || {
        black_box(validate(bytes.clone(), &rules).expect("a good batch"));
    })
}
