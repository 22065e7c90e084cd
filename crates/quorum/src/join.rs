//! How a broker finds its cluster: asks the seeds, joins the cluster they know, or founds it with them.
//!
//! A cluster is founded by the lowest seed alone, and only when every seed has answered that it knows of none: whatever the
//! order of the starts, and whichever disk was lost, there is never a second one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_peer::{CallError, PeerAddress, Service};
use eddy_types::{BrokerId, ClusterId};

use crate::Seed;
use crate::error::{ProposeError, QuorumError};
use crate::member::{ClusterMember, Member};
use crate::message::{self, DeskAnswer, DeskCall, Known, MembershipAnswer, MembershipCall};
use crate::types::{Address, MemberId, Voter};
use crate::voters::target;

/// Pause between two rounds of questions.
const ROUND: Duration = Duration::from_millis(100);
/// How often it is said what is waited for.
const REPORT: Duration = Duration::from_secs(3);
/// Time for a seed to answer.
pub(crate) const ASK_WITHIN: Duration = Duration::from_secs(1);
/// Time for the leader to take a member, or let one go.
const JOIN_WITHIN: Duration = Duration::from_secs(8);
/// Time to wait for the newest image before the leader is asked again.
const CATCH_UP_ROUND: Duration = Duration::from_secs(2);
/// Time for the leader to make a broker a member no longer.
pub(crate) const REMOVE_WITHIN: Duration = Duration::from_secs(7);

/// Why a seed is of no use at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Useless {
    #[error("does not answer: {0}")]
    Silent(CallError),
    #[error("is broker {0}")]
    OtherBroker(BrokerId),
    #[error("belongs to cluster {0}")]
    OtherCluster(ClusterId),
    #[error("has other seeds: {}", list(.0))]
    OtherSeeds(Vec<BrokerId>),
    #[error("gave an answer that this version does not know")]
    Incomprehensible,
}

fn list(brokers: &[BrokerId]) -> String {
    brokers.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(",")
}

type Answers = Vec<(Seed, Result<Known, Useless>)>;

/// Returns when this broker is a member of its cluster and its image is as new as the leader's.
pub(crate) async fn enter(member: &Arc<Member>) -> Result<(), QuorumError> {
    let Some(cluster) = &member.cluster else { return Ok(()) };
    let mut last_report = Instant::now();
    let mut joined = false;
    let mut reason = String::new();
    loop {
        member.check_running()?;
        let answers = ask_seeds(member, cluster).await;
        learn_addresses(cluster, &answers);
        let known = answers.iter().any(|(_, answer)| answer.as_ref().is_ok_and(|known| known.belongs));
        if member.belongs() || known {
            if !joined {
                match join(member, cluster, &answers).await? {
                    Ok(()) => joined = true,
                    Err(why) => reason = why,
                }
            }
            // A change that its leader could not finish may have taken it out again.
            joined &= is_member(member) || !member.belongs();
            if joined && caught_up(member).await {
                if let Some(id) = member.machine.image().cluster_id() {
                    cluster.peers.set_cluster(id);
                }
                return Ok(());
            }
        } else if let Some(founders) = founders(member, cluster, &answers) {
            tracing::info!(voters = founders.len(), "founding a cluster");
            if let Err(error) = member.raft.initialize(founders).await {
                reason = error.to_string();
            }
            continue;
        }
        if last_report.elapsed() >= REPORT {
            last_report = Instant::now();
            report(&answers, &reason);
        }
        tokio::time::sleep(ROUND).await;
    }
}

fn is_member(member: &Member) -> bool {
    member.metrics().membership_config.membership().get_node(&member.me).is_some()
}

fn report(answers: &Answers, reason: &str) {
    let mut waiting: Vec<String> = Vec::new();
    for (Seed { broker, address }, answer) in answers {
        if let Err(why) = answer {
            waiting.push(format!("seed {broker}@{address} {why}"));
        }
    }
    if !reason.is_empty() {
        waiting.push(reason.to_owned());
    }
    if waiting.is_empty() {
        waiting.push("the cluster has no leader yet".to_owned());
    }
    tracing::warn!(waiting = waiting.join("; "), "waiting for the cluster");
}

/// Asks every other seed at once.
async fn ask_seeds(member: &Arc<Member>, cluster: &ClusterMember) -> Answers {
    let mut asked = tokio::task::JoinSet::new();
    for seed in cluster.seeds.iter().filter(|seed| seed.broker != member.broker) {
        let (member, seed) = (member.clone(), seed.clone());
        asked.spawn(async move {
            let answer = ask_seed(&member, &seed).await;
            (seed, answer)
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(seed, _)| seed.broker);
    answers
}

async fn ask_seed(member: &Member, seed: &Seed) -> Result<Known, Useless> {
    let Some(cluster) = &member.cluster else { return Err(Useless::Incomprehensible) };
    let call = MembershipCall::Ask(member.introduction(cluster));
    match call_at(cluster, &seed.address, &call, ASK_WITHIN).await.map_err(Useless::Silent)? {
        Some(MembershipAnswer::Known(known)) if known.broker != seed.broker => {
            Err(Useless::OtherBroker(known.broker))
        }
        // A cluster that exists has been founded with the seeds of then.
        Some(MembershipAnswer::Known(known))
            if !known.belongs && !member.belongs() && known.seeds != cluster.seed_brokers() =>
        {
            Err(Useless::OtherSeeds(known.seeds))
        }
        Some(MembershipAnswer::Known(known)) => Ok(known),
        Some(MembershipAnswer::OtherCluster(id)) => Err(Useless::OtherCluster(id)),
        _ => Err(Useless::Incomprehensible),
    }
}

pub(crate) async fn call_at(
    cluster: &ClusterMember,
    address: &PeerAddress,
    call: &MembershipCall,
    timeout: Duration,
) -> Result<Option<MembershipAnswer>, CallError> {
    let request = message::encode(call).map_err(|error| CallError::Failed(error.to_string()))?;
    let answer = cluster.peers.call_at(address, Service::Membership, request, timeout).await?;
    Ok(message::decode(&answer.bytes).ok())
}

/// Seeds say themselves where they listen; that is newer than what this broker's disk knows.
fn learn_addresses(cluster: &ClusterMember, answers: &Answers) {
    for (seed, answer) in answers {
        match answer {
            Ok(known) => cluster.peers.set_address(seed.broker, known.address.clone().into()),
            Err(_) if cluster.peers.address(seed.broker).is_none() => {
                cluster.peers.set_address(seed.broker, seed.address.clone());
            }
            Err(_) => {}
        }
    }
}

/// The first voters of a new cluster, if it is this broker that founds it, and now.
fn founders(
    member: &Member,
    cluster: &ClusterMember,
    answers: &Answers,
) -> Option<BTreeMap<MemberId, Voter>> {
    if cluster.seeds.first()?.broker != member.broker {
        return None;
    }
    let mut found = vec![(member.me, Voter::new(member.broker, cluster.advertised()))];
    for (_, answer) in answers {
        let known = answer.as_ref().ok()?;
        found.push((known.member, Voter::new(known.broker, known.address.clone())));
    }
    // The others join as learners.
    found.truncate(target(found.len()));
    Some(found.into_iter().collect())
}

/// Asks the leader to take this member; says what is in the way.
async fn join(
    member: &Member,
    cluster: &ClusterMember,
    answers: &Answers,
) -> Result<Result<(), String>, QuorumError> {
    if member.leader() == Some(member.broker) {
        return Ok(Ok(()));
    }
    let mut leaders: Vec<(BrokerId, Address)> = Vec::new();
    let own = member.leader().and_then(|leader| Some((leader, cluster.peers.address(leader)?.into())));
    let told = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()?.leader.clone());
    for leader in own.into_iter().chain(told) {
        if !leaders.contains(&leader) && leader.0 != member.broker {
            leaders.push(leader);
        }
    }
    let mut reason = "the cluster has no leader yet".to_owned();
    for (leader, address) in leaders {
        let call = MembershipCall::Join(member.introduction(cluster));
        match call_at(cluster, &address.into(), &call, JOIN_WITHIN).await {
            Ok(Some(MembershipAnswer::Joined)) => return Ok(Ok(())),
            Ok(Some(MembershipAnswer::BrokerRuns(at))) => {
                return Err(QuorumError::BrokerRuns { broker: member.broker, at: at.into() });
            }
            Ok(Some(MembershipAnswer::OtherCluster(id))) => {
                reason = format!("broker {leader} belongs to cluster {id}")
            }
            Ok(Some(MembershipAnswer::Later(why))) => reason = why,
            Ok(Some(MembershipAnswer::NotLeader(_))) => {}
            Ok(_) => reason = format!("broker {leader} gave an answer that this version does not know"),
            Err(error) => reason = format!("broker {leader}, the leader, does not answer: {error}"),
        }
    }
    Ok(Err(reason))
}

/// Whether this broker's image has all that was committed before; waits a moment for it.
async fn caught_up(member: &Member) -> bool {
    let Some(leader) = member.leader() else { return false };
    let newest = if leader == member.broker {
        member.desk.version().await
    } else {
        match member.ask(leader, &DeskCall::Version).await {
            Some(answer) => answer,
            None => return false,
        }
    };
    let DeskAnswer::Version(newest) = newest else { return false };
    let waited = tokio::time::timeout(CATCH_UP_ROUND, member.until_version(newest)).await;
    matches!(waited, Ok(Some(_))) && is_member(member) && member.machine.image().cluster_id().is_some()
}

/// Asks the leader to make a broker a member no longer; from any member.
pub(crate) async fn remove(member: &Member, broker: BrokerId) -> Result<(), ProposeError> {
    let Some(cluster) = &member.cluster else { return Err(ProposeError::NotLeader { leader: None }) };
    let deadline = Instant::now() + REMOVE_WITHIN;
    let mut last = ProposeError::Timeout;
    while Instant::now() < deadline {
        member.check_running()?;
        match ask_to_remove(member, cluster, broker).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
        tokio::time::sleep(ROUND).await;
    }
    Err(last)
}

async fn ask_to_remove(
    member: &Member,
    cluster: &ClusterMember,
    broker: BrokerId,
) -> Result<(), ProposeError> {
    let not_led = ProposeError::NotLeader { leader: member.leader() };
    let Some(leader) = member.leader() else { return Err(not_led) };
    let Ok(request) = message::encode(&MembershipCall::Remove { broker }) else { return Err(not_led) };
    let answer = cluster.peers.call(leader, Service::Membership, request, JOIN_WITHIN).await;
    match answer.map(|answer| message::decode(&answer)) {
        Ok(Ok(MembershipAnswer::Removed)) => Ok(()),
        Ok(Ok(MembershipAnswer::NotLeader(_))) => Err(not_led),
        _ => Err(ProposeError::Timeout),
    }
}
