//! What a broker says of its cluster.

use std::time::Instant;

use eddy_client::Connection;
use eddy_client::messages::MetadataRequest;

use super::{Check, millis};
use crate::brokers::Cluster;
use crate::words::plural;

/// A cluster, seen through one connection.
pub(super) struct Seen {
    pub(super) connection: Connection,
    pub(super) cluster: Cluster,
    /// Whether the connection leads to this machine.
    pub(super) is_loopback: bool,
}

/// Asks for the cluster and all its topics.
pub(super) async fn ask(connection: Connection, is_loopback: bool) -> (Vec<Check>, Option<Seen>) {
    let began = Instant::now();
    let request = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    let answer = match connection.send(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            let check = Check::fail("metadata", error.to_string())
                .advise("a listener with authentication (SASL) answers nothing else before it; look into the broker's log");
            return (vec![check.code("ED-3004")], None);
        }
    };
    let cluster = Cluster::new(answer);
    let brokers = plural(cluster.nodes.len(), "broker");
    let topics = plural(cluster.topics.len(), "topic");
    let id = cluster.id.as_deref().unwrap_or("without id");
    let text = format!("{brokers}, cluster {id}, {topics} ({})", millis(began));
    let mut checks = vec![Check::ok("metadata", text)];
    if cluster.controller.is_none() {
        let check = Check::fail("controller", "there is none: metadata cannot be changed");
        checks.push(check.advise("eddy cluster info shows the quorum; most controllers must run"));
    }
    let partitions = || cluster.topics.iter().flat_map(|topic| &topic.partitions);
    let leaderless = partitions().filter(|partition| partition.leader.0 < 0).count();
    if leaderless > 0 {
        let check = Check::fail(
            "leaders",
            format!("{leaderless} of {} partitions have no leader", partitions().count()),
        );
        checks.push(check.advise("eddy cluster health shows which, and what is missing"));
    }
    (checks, Some(Seen { connection, cluster, is_loopback }))
}
