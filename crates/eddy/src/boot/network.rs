//! This broker among others: its listener for them, and what keeps it from meeting them.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_admin::Readiness;
use eddy_metadata::config::{BrokerConfig, SeedBroker};
use eddy_peer::{CallError, ConnectError, PeerAddress, PeerConfig, Peers, RefuseReason, Service};
use eddy_types::{BrokerId, ClusterId};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::codes;
use crate::data_dir::Marker;
use crate::failure::{Failure, Problem};

/// Pause between two looks at who of the seeds is there.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a seed may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A random number for each start of the process.
pub(super) fn incarnation() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Serves other brokers on `listener` from now on. `listening` is where it really listens.
pub(super) fn start(
    broker: &BrokerConfig,
    marker: &Marker,
    incarnation: u64,
    listener: TcpListener,
) -> Result<Peers, Failure> {
    let listening = super::local(&listener)?;
    let advertised = broker.advertised_to_brokers();
    let advertised = advertised.map_or(PeerAddress::from(listening), |told| {
        // Port 0 is only ever that of `cluster.listen`, which leaves it to the kernel.
        let port = if told.port == 0 { listening.port() } else { told.port };
        PeerAddress::new(told.host.clone(), port)
    });
    let peers =
        Peers::new(PeerConfig { me: marker.node_id, incarnation, advertised, cluster: marker.cluster_id });
    for seed in others(broker) {
        peers.set_address(seed.broker, address_of(seed));
    }
    peers.listen(listener);
    Ok(peers)
}

/// The seeds that are not this broker.
fn others(broker: &BrokerConfig) -> impl Iterator<Item = &SeedBroker> {
    broker.cluster_seeds.iter().filter(|seed| seed.broker.0 != broker.node_id)
}

pub(crate) fn address_of(seed: &SeedBroker) -> PeerAddress {
    PeerAddress::new(seed.address.host.clone(), seed.address.port)
}

/// How a seed is, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    There,
    Missing,
    OtherCluster,
    OwnId,
}

/// Says in `readiness` for whom the start waits, and returns when it cannot succeed, with why. Never returns otherwise: drop
/// it when the broker has started.
pub(super) async fn watch_seeds(
    broker: &BrokerConfig,
    peers: &Peers,
    cluster: Option<ClusterId>,
    readiness: &Arc<watch::Sender<Readiness>>,
) -> Failure {
    let seeds: Vec<SeedBroker> = others(broker).cloned().collect();
    loop {
        let mut asked = tokio::task::JoinSet::new();
        for seed in seeds.clone() {
            let peers = peers.clone();
            asked.spawn(async move { (see(&peers, &seed).await, seed) });
        }
        let mut seen = asked.join_all().await;
        seen.sort_by_key(|(_, seed)| seed.broker);
        for (how, seed) in &seen {
            match how {
                Seen::OtherCluster => return other_cluster(seed, cluster).into(),
                Seen::OwnId => return own_id(seed, broker.node_id).into(),
                Seen::There | Seen::Missing => {}
            }
        }
        let missing = seen.iter().filter(|(how, _)| *how == Seen::Missing).map(|(_, seed)| seed);
        readiness.send_if_modified(|readiness| {
            let now = Readiness::Starting(waiting_for(missing).into());
            let waits = matches!(readiness, Readiness::Starting(_)) && *readiness != now;
            if waits {
                *readiness = now;
            }
            waits
        });
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks a seed for something that needs no answer: the greeting before it says all.
async fn see(peers: &Peers, seed: &SeedBroker) -> Seen {
    let called = peers.call_at(&address_of(seed), Service::Liveness, Bytes::new(), ANSWER_WITHIN).await;
    match called {
        Err(CallError::Connect(ConnectError::Refused(reason))) => match reason {
            RefuseReason::OtherCluster => Seen::OtherCluster,
            RefuseReason::SameBrokerId => Seen::OwnId,
            _ => Seen::There,
        },
        Err(CallError::Connect(_) | CallError::Timeout) => Seen::Missing,
        _ => Seen::There,
    }
}

fn waiting_for<'a>(missing: impl Iterator<Item = &'a SeedBroker>) -> String {
    let names: Vec<_> = missing.map(|seed| format!("{} at {}", seed.broker, seed.address)).collect();
    match names.len() {
        0 => "waiting for the metadata of the cluster".to_owned(),
        1 => format!("waiting for the metadata of the cluster; broker {} is not reached", names.concat()),
        _ => format!("waiting for the metadata of the cluster; brokers {} are not reached", names.join(", ")),
    }
}

fn other_cluster(seed: &SeedBroker, cluster: Option<ClusterId>) -> Problem {
    let message = format!("the broker at {} belongs to another cluster", seed.address);
    let problem = Problem::new(&codes::SEEDS_OF_OTHER_CLUSTER, message);
    let problem = match cluster {
        Some(cluster) => problem.fact(format!("the data directory is of cluster {cluster}")),
        None => problem,
    };
    problem
        .fact("nothing was changed")
        .fix("eddy serve --set cluster.seeds=ID@HOST:PORT,…", "name the brokers of this cluster")
        .fix("eddy serve --data-dir DIR", "join the other cluster with an empty directory")
}

fn own_id(seed: &SeedBroker, me: i32) -> Problem {
    let message = format!("the broker at {} has this broker's node.id, {me}", seed.address);
    Problem::new(&codes::DUPLICATE_NODE, message)
        .fact(format!("cluster.seeds names it as broker {}; nothing was changed", seed.broker))
        .fix("eddy serve --set node.id=N", "give each broker a number of its own")
}

/// The problem of a broker whose id another one has that runs.
pub(crate) fn duplicate(me: BrokerId, at: Option<String>) -> Problem {
    let message = match at {
        Some(at) => format!("a broker with this node.id, {me}, runs at {at}"),
        None => format!("a broker with this node.id, {me}, runs in the cluster"),
    };
    Problem::new(&codes::DUPLICATE_NODE, message)
        .fact("its data directory is another one")
        .fix("eddy cluster brokers -b HOST:PORT", "see which numbers are taken")
        .fix("eddy serve --set node.id=N", "give each broker a number of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_who_is_missing_and_where() {
        let seeds: Vec<_> = ["2@b:1", "3@c:1"].iter().map(|text| SeedBroker::parse(text).unwrap()).collect();
        let text = |count| waiting_for(seeds.iter().take(count));
        assert_eq!(text(0), "waiting for the metadata of the cluster");
        assert_eq!(text(1), "waiting for the metadata of the cluster; broker 2 at b:1 is not reached");
        assert_eq!(
            text(2),
            "waiting for the metadata of the cluster; brokers 2 at b:1, 3 at c:1 are not reached"
        );
    }
}
