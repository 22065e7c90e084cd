//! Asking brokers how the cluster is.

use std::collections::BTreeMap;
use std::time::Duration;

use eddy_client::messages::describe_configs_request::DescribeConfigsResource;
use eddy_client::messages::describe_quorum_request::{PartitionData, TopicData};
use eddy_client::messages::describe_quorum_response::ReplicaState;
use eddy_client::messages::{
    ApiKey, DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{Connection, accepted};
use eddy_types::BrokerId;

use super::facts::{Broker, Disk, Facts, Quorum, Replica, Troubled};
use crate::brokers::{Brokers, Cluster, To, topic_name};
use crate::error::{CliError, Exit};
use crate::positions::Place;

/// The topic that stands for the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Resource type of topics in configuration requests.
const RESOURCE_TOPIC: i8 = 2;
/// Time for the controllers to answer; with a leader they take milliseconds.
const QUORUM_MAX: Duration = Duration::from_secs(3);
/// Endpoint type of brokers.
const ENDPOINT_BROKERS: i8 = 1;
/// From these versions on fenced brokers and disk sizes are told.
const FENCED_FROM: i16 = 2;

/// All that a judgement needs.
pub(super) async fn facts(brokers: &Brokers) -> Result<Facts, CliError> {
    let cluster = brokers.cluster(None).await?;
    let mut listed = list(brokers, &cluster).await?;
    for broker in listed.iter_mut().filter(|broker| !broker.is_fenced) {
        ask_dirs(brokers, broker).await?;
    }
    count(&cluster, &mut listed);
    let troubled = troubled(&cluster, &min_isr(brokers, &cluster).await?);
    // Last: an answer that does not come holds up those behind it.
    let (quorum, quorum_silent) = match quorum(brokers).await {
        Ok(quorum) => (quorum, None),
        Err(error) if error.exit() == Exit::Unreachable => (None, Some(error.message().to_owned())),
        Err(error) => return Err(error),
    };
    Ok(Facts {
        quorum,
        quorum_silent,
        cluster: cluster.id.clone(),
        controller: cluster.controller.map(|id| id.0),
        topics: cluster.topics.len(),
        partitions: cluster.topics.iter().map(|topic| topic.partitions.len()).sum(),
        brokers: listed,
        troubled,
    })
}

fn serves(connection: &Connection, api: ApiKey) -> Option<i16> {
    connection.versions().served(api as i16).map(|served| served.max)
}

/// The registered brokers, fenced ones too where the cluster tells of them.
pub(super) async fn list(brokers: &Brokers, cluster: &Cluster) -> Result<Vec<Broker>, CliError> {
    let described = brokers.retry(To::Any, async |connection| {
        let Some(newest) = serves(connection, ApiKey::DescribeCluster) else { return Ok(None) };
        let request = DescribeClusterRequest::default()
            .with_endpoint_type(ENDPOINT_BROKERS)
            .with_include_fenced_brokers(newest >= FENCED_FROM);
        let answer: DescribeClusterResponse = connection.send(&request).await?;
        accepted(ApiKey::DescribeCluster, answer.error_code, "the cluster", answer.error_message.as_deref())?;
        Ok(Some(answer.brokers))
    });
    let mut listed: Vec<Broker> = match described.await? {
        Some(described) => described
            .into_iter()
            .map(|broker| Broker {
                rack: broker.rack.map(|rack| rack.to_string()),
                is_fenced: broker.is_fenced,
                ..Broker::new(broker.broker_id.0, format!("{}:{}", &*broker.host, broker.port))
            })
            .collect(),
        None => cluster
            .nodes
            .iter()
            .map(|node| Broker {
                rack: node.rack.clone(),
                ..Broker::new(node.id.0, node.address.to_string())
            })
            .collect(),
    };
    listed.sort_unstable_by_key(|broker| broker.id);
    Ok(listed)
}

/// Sizes and disks of a broker; also whether it answers at all.
pub(super) async fn ask_dirs(brokers: &Brokers, broker: &mut Broker) -> Result<(), CliError> {
    // Without another try: that it does not answer now is what is to be shown.
    let ask = async {
        let connection = brokers.connection(To::Broker(BrokerId(broker.id))).await?;
        if serves(&connection, ApiKey::DescribeLogDirs).is_none() {
            return Ok(None);
        }
        let answer = connection.send(&DescribeLogDirsRequest::default().with_topics(None)).await?;
        Ok::<Option<DescribeLogDirsResponse>, CliError>(Some(answer))
    };
    let answer = match ask.await {
        Ok(answer) => answer,
        Err(error) if error.exit() == Exit::Unreachable => {
            broker.unreachable = Some(error.message().to_owned());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // Without permission to see the directories, the rest is still worth showing.
    let Some(answer) = answer.filter(|answer| answer.error_code == 0) else { return Ok(()) };
    let mut bytes = 0u64;
    for dir in &answer.results {
        if dir.error_code != 0 {
            broker.failed_dirs.push(dir.log_dir.to_string());
            continue;
        }
        let sizes = dir.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.partition_size);
        bytes = sizes.filter_map(|size| u64::try_from(size).ok()).fold(bytes, u64::saturating_add);
        if let (Ok(total_bytes), Ok(usable_bytes)) =
            (u64::try_from(dir.total_bytes), u64::try_from(dir.usable_bytes))
        {
            let disk = Disk { total_bytes, usable_bytes };
            if broker.disk.is_none_or(|other| other.used_percent() < disk.used_percent()) {
                broker.disk = Some(disk);
            }
        }
    }
    broker.log_bytes = Some(bytes);
    Ok(())
}

impl Broker {
    fn new(id: i32, address: String) -> Broker {
        Broker {
            id,
            address,
            rack: None,
            is_fenced: false,
            unreachable: None,
            leads: 0,
            replicas: 0,
            out_of_sync: 0,
            log_bytes: None,
            disk: None,
            failed_dirs: Vec::new(),
        }
    }
}

/// Counts what each broker has, as metadata says.
pub(super) fn count(cluster: &Cluster, brokers: &mut [Broker]) {
    let mut by_id: BTreeMap<i32, &mut Broker> =
        brokers.iter_mut().map(|broker| (broker.id, broker)).collect();
    for partition in cluster.topics.iter().flat_map(|topic| &topic.partitions) {
        if let Some(leader) = by_id.get_mut(&partition.leader.0) {
            leader.leads += 1;
        }
        for replica in &partition.replicas {
            if let Some(broker) = by_id.get_mut(&replica.0) {
                broker.replicas += 1;
                broker.out_of_sync += usize::from(!partition.isr.contains(replica));
            }
        }
    }
}

/// Partitions without a leader, with replicas out of sync, or with fewer in sync than producers with acks=all need.
fn troubled(cluster: &Cluster, min_isr: &BTreeMap<String, i32>) -> Vec<Troubled> {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    let mut troubled = Vec::new();
    for topic in &cluster.topics {
        for partition in &topic.partitions {
            let one = Troubled {
                place: Place { topic: topic.name.clone(), partition: partition.index },
                leader: Some(partition.leader.0).filter(|leader| *leader >= 0),
                replicas: ids(&partition.replicas),
                isr: ids(&partition.isr),
                min_isr: min_isr.get(&topic.name).copied(),
            };
            if one.leader.is_none() || one.is_under_replicated() || one.is_under_min_isr() {
                troubled.push(one);
            }
        }
    }
    troubled
}

/// Topics of one request for settings.
const TOPICS_MAX: usize = 500;

/// `min.insync.replicas` of every topic that tells it.
async fn min_isr(brokers: &Brokers, cluster: &Cluster) -> Result<BTreeMap<String, i32>, CliError> {
    let mut found = BTreeMap::new();
    for topics in cluster.topics.chunks(TOPICS_MAX) {
        let resources = topics.iter().map(|topic| {
            DescribeConfigsResource::default()
                .with_resource_type(RESOURCE_TOPIC)
                .with_resource_name(StrBytes::from_string(topic.name.clone()))
                .with_configuration_keys(Some(vec![StrBytes::from_static_str("min.insync.replicas")]))
        });
        let request = DescribeConfigsRequest::default().with_resources(resources.collect());
        let answer: DescribeConfigsResponse = brokers.call(To::Any, &request, Ok).await?;
        found.extend(answer.results.iter().filter_map(|result| {
            let value = result.configs.first()?.value.as_ref()?;
            Some((result.resource_name.to_string(), value.parse().ok()?))
        }));
    }
    Ok(found)
}

/// The controllers, where brokers tell of them. Without a majority of them there is no answer.
pub(super) async fn quorum(brokers: &Brokers) -> Result<Option<Quorum>, CliError> {
    let connection = brokers.connection(To::Any).await?;
    if serves(&connection, ApiKey::DescribeQuorum).is_none() {
        return Ok(None);
    }
    let topic = TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer: DescribeQuorumResponse =
        tokio::time::timeout(QUORUM_MAX, connection.send(&request))
            .await
            .map_err(|_| CliError::new(Exit::Unreachable, format!("no answer within {QUORUM_MAX:?}")))??;
    let partition = answer.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
    let partition = partition.filter(|partition| answer.error_code == 0 && partition.error_code == 0);
    let Some(partition) = partition else { return Ok(None) };
    let leader = partition.current_voters.iter().find(|voter| voter.replica_id == partition.leader_id);
    let end = leader.map(|leader| leader.log_end_offset);
    // The leader has all at the moment of its answer.
    let now_ms = leader.map(|leader| leader.last_caught_up_timestamp).filter(|at| *at > 0);
    let replica = |state: &ReplicaState| Replica {
        id: state.replica_id.0,
        behind: end.filter(|_| state.log_end_offset >= 0).map(|end| (end - state.log_end_offset).max(0)),
        caught_up_ms_ago: now_ms
            .filter(|_| state.last_caught_up_timestamp > 0)
            .map(|now| (now - state.last_caught_up_timestamp).max(0)),
    };
    Ok(Some(Quorum {
        leader: partition.leader_id.0,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: partition.current_voters.iter().map(replica).collect(),
        observers: partition.observers.iter().map(replica).collect(),
    }))
}
