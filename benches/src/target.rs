//! Whom the load is for.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use eddy_client::{Connection, ConnectionOptions, Topic};
use eddy_types::ErrorCode;

use crate::Arguments;
use crate::cpu::Meter;

/// How long a topic's leaders may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker and a topic.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    pid: Option<u32>,
    name: String,
    partitions: i32,
}

impl Target {
    pub(crate) async fn resolve(arguments: &Arguments) -> anyhow::Result<Target> {
        let mut found =
            tokio::net::lookup_host(&arguments.bootstrap).await.context("looking up --bootstrap")?;
        Ok(Target {
            address: found.next().context("--bootstrap has no address")?,
            pid: arguments.pid,
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
        Ok((connection.topic_with_leaders(&self.name, PATIENCE).await?, created))
    }

    /// Starts counting CPU time.
    pub(crate) fn meter(&self) -> anyhow::Result<Meter> {
        Meter::start(self.pid)
    }
}
