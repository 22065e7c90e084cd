//! What a member of a cluster does all the time: calls as leader, watches as follower, keeps its peers' addresses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use eddy_metadata::{Image, Record};
use eddy_types::ClusterId;
use tokio::time::{Instant, MissedTickBehavior};

use crate::election::{self, Watch};
use crate::member::{ClusterMember, Member, Metrics, is_leading};
use crate::types::{Address, MemberId};
use crate::voters;

/// How often a member looks around.
const TICK: Duration = Duration::from_millis(50);
/// How often the leader calls.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// A follower that openraft has told nothing for this long is told that the leader is there: openraft tells nothing while its
/// own disk is slow, and that is no reason for another leader.
const SILENT_AFTER: Duration = Duration::from_millis(150);
/// A leader whose disk has not written anything for this long is no use.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// Time for a follower to take note.
const NOTE_WITHIN: Duration = Duration::from_millis(300);
/// How often the leader looks who should vote.
const TEND_MEMBERS: Duration = Duration::from_millis(250);

/// Runs until the group stops.
pub(crate) async fn run(member: Arc<Member>) {
    let Some(cluster) = &member.cluster else { return };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut roles, mut all) = (member.raft.server_metrics(), member.raft.metrics());
    let mut watch = Watch::new(&member.metrics());
    cluster.contacts.voted(member.metrics().vote);
    let mut roster = Roster::default();
    let mut next_call = Instant::now();
    let mut calls = Calls::default();
    loop {
        let metrics = member.metrics();
        roster.follow(cluster, &member, &metrics);
        if is_leading(&metrics) && Instant::now() >= next_call {
            next_call = Instant::now() + HEARTBEAT;
            let _ = member.raft.trigger().heartbeat().await;
        }
        calls.tend(cluster, &metrics);
        watch.tend(&member, cluster).await;
        publish(&member, cluster, &watch);
        if metrics.running_state.is_err() {
            return;
        }
        // A new leader's first entry is all that is missing.
        let beginning = is_leading(&metrics) && member.leader().is_none();
        tokio::select! {
            _ = ticks.tick() => {}
            changed = roles.changed() => if changed.is_err() { return },
            changed = all.changed(), if beginning => if changed.is_err() { return },
        }
    }
}

/// What the leader says while openraft is busy.
#[derive(Default)]
struct Calls(HashMap<MemberId, Instant>);

impl Calls {
    fn tend(&mut self, cluster: &ClusterMember, metrics: &Metrics) {
        if !is_leading(metrics) || !metrics.vote.committed {
            return self.0.clear();
        }
        for (id, voter) in metrics.membership_config.nodes().filter(|(id, _)| **id != metrics.id) {
            let told = cluster.contacts.called(*id).map(|told| told.elapsed());
            let noted = self.0.get(id).map(Instant::elapsed);
            let silent = told.is_some_and(|told| told > SILENT_AFTER && told < STUCK_AFTER);
            if silent && noted.is_none_or(|noted| noted > SILENT_AFTER) {
                self.0.insert(*id, Instant::now());
                let (connection, vote) = (cluster.network.to(*id, voter), metrics.vote);
                tokio::spawn(async move { drop(connection.alive(vote, NOTE_WITHIN).await) });
            }
        }
    }
}

fn publish(member: &Member, cluster: &ClusterMember, watch: &Watch) {
    let seen = election::leader_seen(member, cluster, watch);
    let changed = member.leadership.send_if_modified(|told| std::mem::replace(told, seen) != seen);
    if changed {
        let term = member.raft.metrics().borrow().current_term;
        match seen {
            Some(leader) => tracing::info!(%leader, term, "metadata group has a leader"),
            None => tracing::info!(term, "metadata group has no leader that this broker knows of"),
        }
    }
    if let Some(id) = member.machine.image().cluster_id()
        && cluster.peers.cluster() != Some(id)
    {
        cluster.peers.set_cluster(id);
    }
}

/// Members as the connections know them.
#[derive(Default)]
pub(crate) struct Roster(HashMap<MemberId, (eddy_types::BrokerId, Option<Address>)>);

impl Roster {
    /// Tells the connections what has changed. An address that stays is not told again: they may have learned a newer one.
    pub(crate) fn follow(&mut self, cluster: &ClusterMember, member: &Member, metrics: &Metrics) {
        let membership = metrics.membership_config.membership();
        for (id, voter) in membership.nodes() {
            let known = (voter.broker(), voter.address.clone());
            if *id == member.me || self.0.get(id) == Some(&known) {
                continue;
            }
            if let Some(address) = &voter.address {
                cluster.peers.set_address(voter.broker(), address.clone().into());
            }
            cluster.peers.watch_link(voter.broker());
            self.0.insert(*id, known);
        }
        if self.0.keys().all(|id| membership.get_node(id).is_some()) {
            return;
        }
        let gone: Vec<_> = self.0.extract_if(|id, _| membership.get_node(id).is_none()).collect();
        for (_, (broker, _)) in gone {
            if !membership.nodes().any(|(_, voter)| voter.broker() == broker) {
                cluster.peers.unwatch_link(broker);
            }
        }
        cluster.contacts.keep(|id| membership.get_node(&id).is_some());
    }
}

/// What the leader sees to, beside its calls: the identity of a new cluster, and who votes.
pub(crate) async fn lead(member: Arc<Member>, new_cluster_id: ClusterId) {
    let Some(cluster) = &member.cluster else { return };
    let mut ticks = tokio::time::interval(TEND_MEMBERS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leadership = member.leadership.subscribe();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = leadership.changed() => if changed.is_err() { return },
        }
        if *leadership.borrow_and_update() != Some(member.broker) {
            continue;
        }
        if member.machine.image().cluster_id().is_none() {
            name_cluster(&member, new_cluster_id).await;
        }
        // Somebody else who changes the membership looks again when it is done.
        if let Ok(_one) = cluster.membership.try_lock() {
            voters::tend(&member, cluster, None).await;
        }
    }
}

async fn name_cluster(member: &Arc<Member>, cluster_id: ClusterId) {
    let decide = |image: &Image| -> Result<_, std::convert::Infallible> {
        let named = image.cluster_id().is_some();
        Ok((if named { Vec::new() } else { vec![Record::ClusterCreated { cluster_id }] }, ()))
    };
    match member.change(decide).await {
        Ok(()) => tracing::info!(cluster = ?member.machine.image().cluster_id(), "cluster is founded"),
        Err(error) => tracing::warn!(%error, "the new cluster has no identity yet"),
    }
}
