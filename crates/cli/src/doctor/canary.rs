//! A record written and read back on every broker.

use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression};
use eddy_client::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use eddy_client::messages::produce_request::{PartitionProduceData, TopicProduceData};
use eddy_client::messages::{ApiKey, BrokerId, CreateTopicsRequest, ProduceRequest};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, FetchLimits, PartitionName, accepted};
use eddy_types::{Millis, Offset};

use super::metadata::Seen;
use super::{Check, clock, millis};
use crate::Context;
use crate::brokers::{Brokers, To, topic_name};
use crate::error::CliError;
use crate::moment::now_ms;

/// Up to this version topics go by name in Produce.
const PRODUCE_BY_NAME_MAX: i16 = 12;
const CREATE_TIMEOUT_MS: i32 = 10_000;
const READ_MAX: Duration = Duration::from_secs(5);

/// Writes and reads one record on each broker. The topic has a name of its own and is deleted whatever happens in between.
pub(super) async fn check(context: &Context, seen: &Seen) -> Vec<Check> {
    let failed = |error: &CliError, what: &str| {
        let check = Check::fail("canary", format!("{what}: {}", error.message())).code("ED-3006");
        check.advise(
            "eddy cluster health shows what is wrong with the cluster; the client may lack permissions",
        )
    };
    let brokers = match context.brokers().await {
        Ok(brokers) => brokers,
        Err(error) => return vec![failed(&error, "cannot connect")],
    };
    let topic = format!("__eddy_canary_{:x}", now_ms());
    let ids: Vec<i32> = seen.cluster.nodes.iter().map(|node| node.id.0).collect();
    if let Err(error) = create(brokers, &topic, &ids).await {
        return vec![failed(&error, "cannot create a topic")];
    }
    let mut checks = Vec::new();
    for (index, id) in (0..).zip(&ids) {
        match round(brokers, &topic, index).await {
            Ok(round) => {
                let text = format!("produce+consume on broker {id}: {}", round.text);
                checks.push(Check::ok("canary", text));
                checks.extend(round.skew_ms.map(|skew_ms| clock::judge(&format!("broker {id}: "), skew_ms)));
            }
            Err(error) => checks.push(failed(&error, &format!("broker {id}"))),
        }
    }
    let deleted =
        brokers.retry(To::Controller, async |connection| connection.delete_topic(&topic).await).await;
    if let Err(error) = deleted {
        let check = Check::warn("canary", format!("cannot delete {topic}: {}", error.message()));
        checks.push(check.advise(format!("eddy topic delete {topic}")));
    }
    checks
}

/// One partition without copies on each broker, in order; the brokers stamp the records, which tells their time.
async fn create(brokers: &Brokers, topic: &str, ids: &[i32]) -> Result<(), CliError> {
    let assignment = |(index, id): (i32, &i32)| {
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![BrokerId(*id)])
    };
    let config = |(key, value): (&'static str, &'static str)| {
        let value = Some(StrBytes::from_static_str(value));
        CreatableTopicConfig::default().with_name(StrBytes::from_static_str(key)).with_value(value)
    };
    let configs = [("message.timestamp.type", "LogAppendTime"), ("min.insync.replicas", "1")];
    let asked = CreatableTopic::default()
        .with_name(topic_name(topic))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments((0..).zip(ids).map(assignment).collect())
        .with_configs(configs.into_iter().map(config).collect());
    let request = CreateTopicsRequest::default().with_topics(vec![asked]).with_timeout_ms(CREATE_TIMEOUT_MS);
    let read = |answer: eddy_client::messages::CreateTopicsResponse| {
        let created = answer.topics.into_iter().next();
        let missing = || CallError::Missing { api: ApiKey::CreateTopics as i16, about: topic.to_owned() };
        let created = created.ok_or_else(missing)?;
        accepted(ApiKey::CreateTopics, created.error_code, topic, created.error_message.as_deref())
    };
    brokers.call(To::Controller, &request, read).await
}

struct Round {
    text: String,
    /// How far the broker's clock is ahead.
    skew_ms: Option<i64>,
}

async fn round(brokers: &Brokers, topic: &str, index: i32) -> Result<Round, CliError> {
    let partition =
        PartitionName { topic: topic.to_owned().into(), topic_id: eddy_types::TopicId::ZERO, index };
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Millis(now_ms()), None, Some(b"canary"));
    let batch = builder.build().map_err(|error| CliError::new(crate::Exit::Failed, error.to_string()))?;
    let request = produce(topic, index, batch);
    // The first attempts may come before the leader knows of the topic; only the one that works is measured.
    let (began, sent_ms, appended, offset) = brokers
        .retry(To::Leader(&partition), async |connection| {
            let (began, sent_ms) = (Instant::now(), now_ms());
            let answer = connection.start_up_to(PRODUCE_BY_NAME_MAX, &request).await?.answer().await?;
            let written = answer.responses.into_iter().next();
            let written = written.and_then(|topic| topic.partition_responses.into_iter().next());
            let missing = || CallError::Missing { api: ApiKey::Produce as i16, about: partition.to_string() };
            let written = written.ok_or_else(missing)?;
            accepted(ApiKey::Produce, written.error_code, &partition, written.error_message.as_deref())?;
            let half_ms = i64::try_from(began.elapsed().as_millis() / 2).unwrap_or(0);
            Ok((began, sent_ms + half_ms, written.log_append_time_ms, written.base_offset))
        })
        .await?;
    let limits = FetchLimits { wait_max: READ_MAX, ..FetchLimits::default() };
    let fetched = brokers
        .retry(To::Leader(&partition), async |connection| {
            connection.fetch(&partition, Offset(offset), limits).await
        })
        .await?;
    let text = millis(began);
    if fetched.batches.is_empty() {
        return Err(CliError::new(
            crate::Exit::Failed,
            format!("the record at offset {offset} did not come back"),
        ));
    }
    Ok(Round { text, skew_ms: Some(appended - sent_ms).filter(|_| appended > 0) })
}

fn produce(topic: &str, index: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(index).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(CREATE_TIMEOUT_MS).with_topic_data(vec![topic])
}
