//! Three brokers of one cluster in this process.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use eddy_peer::{PeerAddress, PeerConfig, Peers};
use eddy_quorum::{ClusterQuorum, Seed};
use eddy_types::BrokerId;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{BrokerId as WireBroker, CreateTopicsRequest, ProduceRequest};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::harness::{Broker, Place, produce_request, settings, text, topic_name};

/// What takes longer fails the test. Several tests with three brokers each share two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Brokers 1, 2 and 3; in racks a, b and c.
pub(crate) struct Brokers {
    brokers: Vec<Option<Broker>>,
}

impl Brokers {
    pub(crate) async fn start(config: &[(&str, &str)]) -> Brokers {
        let mut listeners = Vec::new();
        let mut seeds = Vec::new();
        for id in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = PeerAddress::from(listener.local_addr().unwrap());
            seeds.push(Seed { broker: BrokerId(id), address });
            listeners.push(listener);
        }
        let config: Vec<(String, String)> =
            config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut starting = Vec::new();
        for ((seed, listener), rack) in seeds.clone().into_iter().zip(listeners).zip(["a", "b", "c"]) {
            let (me, advertised) = (seed.broker, seed.address);
            let incarnation = u64::try_from(me.0).unwrap();
            let peers = Peers::new(PeerConfig { me, incarnation, advertised, cluster: None });
            peers.listen(listener);
            let others = Some(ClusterQuorum { peers, seeds: seeds.clone() });
            let place = Place { me, dir: tempfile::tempdir().unwrap(), rack: Some(rack), others };
            let config = config.clone();
            starting.push(tokio::spawn(async move {
                let mut pairs: Vec<(&str, &str)> =
                    config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                let id = me.0.to_string();
                pairs.push(("node.id", &id));
                Broker::among(place, settings(), &pairs).await
            }));
        }
        let mut brokers = Vec::new();
        for broker in starting {
            brokers.push(Some(broker.await.unwrap()));
        }
        let brokers = Brokers { brokers };
        let are_there = || brokers.all_know(|image| image.alive_brokers().count() == 3);
        let may_lead = || brokers.running().all(|broker| broker.engine.lease().is_held());
        brokers.until("all are there", async || are_there() && may_lead()).await;
        brokers
    }

    /// Whether all that run see something in their metadata.
    pub(crate) fn all_know(&self, sees: impl Fn(&eddy_metadata::Image) -> bool) -> bool {
        self.running().all(|broker| sees(&broker.engine.image()))
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().flatten()
    }

    pub(crate) fn any(&self) -> &Broker {
        self.running().next().unwrap()
    }

    pub(crate) fn broker(&self, id: i32) -> &Broker {
        self.brokers[usize::try_from(id - 1).unwrap()].as_ref().unwrap()
    }

    /// Kills a broker and waits until the others know.
    pub(crate) async fn kill(&mut self, id: i32) {
        self.brokers[usize::try_from(id - 1).unwrap()].take().unwrap().kill().await;
        let is_fenced = |image: &eddy_metadata::Image| image.broker(BrokerId(id)).unwrap().fenced;
        self.until("the others know", async || self.all_know(is_fenced)).await;
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, condition: impl Fn() -> F) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes a topic of partitions with these replicas; the first of each leads.
    pub(crate) async fn topic(&self, name: &str, partitions: &[&[i32]]) {
        let assignments = (0..).zip(partitions).map(|(index, replicas)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(replicas.iter().map(|&id| WireBroker(id)).collect())
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignments.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        let response = self.any().call(7, request).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0]);
    }

    /// Stops them all.
    pub(crate) async fn stop(mut self) {
        for broker in self.brokers.iter_mut().filter_map(Option::take) {
            broker.kill().await;
        }
    }
}

/// A produce request with acks=all, and its answer's only partition.
pub(crate) async fn produce(
    broker: &Broker,
    version: i16,
    topic: &str,
    partition: i32,
    records: Bytes,
) -> PartitionProduceResponse {
    let mut response = broker.call(version, to_produce(topic, partition, records)).await;
    response.responses.remove(0).partition_responses.remove(0)
}

pub(crate) fn to_produce(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    produce_request(topic, &[(partition, Some(records))]).with_transactional_id(None)
}

/// The name of a group as the wire has it.
pub(crate) fn group(name: &str) -> kafka_protocol::messages::GroupId {
    kafka_protocol::messages::GroupId(text(name))
}
