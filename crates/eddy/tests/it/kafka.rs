//! A Kafka client of a few lines, on another codec than the broker's.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, MetadataRequest, MetadataResponse, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::support::{PATIENCE, wait_until};

const METADATA: i16 = 9;
const PRODUCE: i16 = 9;
const FETCH: i16 = 11;

/// One connection.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    /// A connection to a broker that may not be there.
    pub(crate) fn try_connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client(stream))
    }

    fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_ask(version, request).unwrap()
    }

    /// Fails when the broker ends meanwhile.
    fn try_ask<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let mut frame = BytesMut::new();
        let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
        header.encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.0.write_all(&(frame.len() as u32).to_be_bytes())?;
        self.0.write_all(&frame)?;

        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        Ok(R::Response::decode(&mut answer, version).unwrap())
    }

    /// Metadata of a topic, which is created when missing.
    pub(crate) fn metadata(&mut self, topic: &str) -> MetadataResponse {
        let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
        self.ask(METADATA, &request)
    }

    /// The broker that leads partition 0 of a topic, and how many replicas are in sync; nothing is created.
    pub(crate) fn leader(&mut self, topic: &str) -> io::Result<Option<(i32, usize)>> {
        let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        let answer = self.try_ask(METADATA, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        Ok(partition
            .filter(|partition| partition.leader_id.0 >= 0)
            .map(|partition| (partition.leader_id.0, partition.isr_nodes.len())))
    }

    /// Waits until partition 0 of a topic has a leader.
    pub(crate) fn create(&mut self, topic: &str) {
        wait_until("the topic's leader", || {
            self.metadata(topic).topics[0]
                .partitions
                .first()
                .is_some_and(|partition| partition.leader_id.0 >= 0)
        });
    }

    /// Appends a record with acks=all; returns error code and offset.
    pub(crate) fn produce(&mut self, topic: &str, value: &str) -> (i16, i64) {
        self.try_produce(topic, value).unwrap()
    }

    /// Like [`Client::produce`], where the broker may end meanwhile.
    pub(crate) fn try_produce(&mut self, topic: &str, value: &str) -> io::Result<(i16, i64)> {
        let data = PartitionProduceData::default().with_index(0).with_records(Some(batch(value)));
        let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
        let request =
            ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic]);
        let answer = self.try_ask(PRODUCE, &request)?;
        let partition = &answer.responses[0].partition_responses[0];
        Ok((partition.error_code, partition.base_offset))
    }

    /// All values of partition 0, in as many fetches as it takes; every offset holds one record here.
    pub(crate) fn read_all(&mut self, topic: &str) -> Vec<String> {
        let mut values = Vec::new();
        loop {
            let more = self.fetch(topic, values.len() as i64).unwrap();
            if more.is_empty() {
                return values;
            }
            values.extend(more);
        }
    }

    fn fetch(&mut self, topic: &str, offset: i64) -> Result<Vec<String>, i16> {
        let partition = FetchPartition::default()
            .with_partition(0)
            .with_fetch_offset(offset)
            .with_current_leader_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(1 << 20);
        let request = FetchRequest::default()
            .with_max_wait_ms(100)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]),
            ]);
        let answer = self.ask(FETCH, &request);
        let partition = &answer.responses[0].partitions[0];
        if partition.error_code != 0 {
            return Err(partition.error_code);
        }
        let mut bytes = partition.records.clone().unwrap_or_default();
        let batches = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
        let values = batches.into_iter().flat_map(|batch| batch.records).filter_map(|record| record.value);
        Ok(values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect())
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn batch(value: &str) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: 1_795_266_000_000,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &[record], &options).unwrap();
    bytes.freeze()
}
