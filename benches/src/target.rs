//! Whom the load is for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use eddy_client::messages::MetadataRequest;
use eddy_client::{Connection, ConnectionOptions, PartitionName, Topic};
use eddy_types::{BrokerId, ErrorCode};

use crate::Arguments;
use crate::cpu::Meter;

/// How long a topic's leaders may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks at who leads.
const LOOK: Duration = Duration::from_millis(50);

/// A broker, or one of a cluster, and a topic.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    pids: Vec<u32>,
    name: String,
    partitions: i32,
}

impl Target {
    pub(crate) async fn resolve(arguments: &Arguments) -> anyhow::Result<Target> {
        let mut found =
            tokio::net::lookup_host(&arguments.bootstrap).await.context("looking up --bootstrap")?;
        Ok(Target {
            address: found.next().context("--bootstrap has no address")?,
            pids: arguments.pid.clone(),
            name: arguments.topic.clone(),
            partitions: arguments.partitions,
        })
    }

    pub(crate) async fn connect(&self, in_flight_max: usize) -> anyhow::Result<Connection> {
        let options = ConnectionOptions { in_flight_max, ..ConnectionOptions::default() };
        Ok(Connection::open(self.address, options).await?)
    }

    /// The topic, which is created when it is missing.
    pub(crate) async fn topic(&self) -> anyhow::Result<Topic> {
        Ok(self.topic_of(self.partitions).await?.0)
    }

    /// Like [`topic`](Self::topic) with a number of partitions, and whether it was created.
    pub(crate) async fn topic_of(&self, partitions: i32) -> anyhow::Result<(Topic, bool)> {
        let connection = self.connect(1).await?;
        let created = match connection.create_topic(&self.name, partitions, &[]).await {
            Ok(()) => true,
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => false,
            Err(error) => return Err(error.into()),
        };
        if self.brokers().await?.len() == 1 {
            return Ok((connection.topic_with_leaders(&self.name, PATIENCE).await?, created));
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let topic = connection.topic(&self.name).await?;
            if topic.is_ready() && self.all_lead(&topic).await {
                return Ok((topic, created));
            }
            ensure!(tokio::time::Instant::now() < deadline, "topic {} has no leaders", self.name);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether each leader answers for its partitions: metadata may be ahead of it.
    async fn all_lead(&self, topic: &Topic) -> bool {
        for partition in topic.partitions() {
            let answers = async {
                let connection = self.connect_leader(topic, &partition, 1).await?;
                anyhow::Ok(connection.earliest_offset(&partition).await?)
            };
            if answers.await.is_err() {
                return false;
            }
        }
        true
    }

    /// A connection to the leader of a partition.
    pub(crate) async fn connect_leader(
        &self,
        topic: &Topic,
        partition: &PartitionName,
        in_flight_max: usize,
    ) -> anyhow::Result<Connection> {
        let leader = topic.leaders.get(usize::try_from(partition.index)?).context("no such partition")?;
        let brokers = self.brokers().await?;
        let address = brokers.get(leader).with_context(|| format!("no address of broker {leader}"))?;
        let options = ConnectionOptions { in_flight_max, ..ConnectionOptions::default() };
        Ok(Connection::open(*address, options).await?)
    }

    /// The brokers of the cluster. A lone one is reached where it was found, whatever it says.
    async fn brokers(&self) -> anyhow::Result<HashMap<BrokerId, SocketAddr>> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let answer = self.connect(1).await?.send(&request).await?;
        let mut found = HashMap::with_capacity(answer.brokers.len());
        for broker in &answer.brokers {
            let address = if answer.brokers.len() == 1 {
                self.address
            } else {
                let at = (&*broker.host, u16::try_from(broker.port)?);
                tokio::net::lookup_host(at).await?.next().context("a broker has no address")?
            };
            found.insert(BrokerId(broker.node_id.0), address);
        }
        Ok(found)
    }

    /// Starts counting CPU time.
    pub(crate) fn meter(&self) -> anyhow::Result<Meter> {
        Meter::start(&self.pids)
    }
}
