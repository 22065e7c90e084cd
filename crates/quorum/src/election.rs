//! Who leads: watching the leader, and asking for votes before asking for votes.
//!
//! A member that hears nothing from the leader first asks the others whether they would vote for it. Only when a majority
//! would, it begins a real election, which raises the term. So a member that was cut off or stood still, and returns, finds
//! that the others hear the leader, and changes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use eddy_peer::LinkState;
use tokio::task::JoinSet;

use crate::desk;
use crate::member::{ClusterMember, Member, Metrics, is_leading, is_voter, leading_broker};
use crate::message::PreVote;
use crate::types::MemberId;

/// Time after the leader's last call during which a member votes for nobody else. It is openraft's, so asking earlier
/// would be in vain.
pub(crate) const LEASE: Duration = Duration::from_millis(500);
/// Silence of the leader after which a member looks for another one: this, and up to [`PATIENCE_SPREAD`] more.
const PATIENCE: Duration = Duration::from_millis(550);
/// So that members rarely begin at the same moment, which costs both a round.
const PATIENCE_SPREAD: Duration = Duration::from_millis(300);
/// Silence after a vote that came to nothing, and up to as much again.
const VOTE_PATIENCE: Duration = Duration::from_millis(200);
/// Spread of attempts that would otherwise come at once.
const SPREAD: Duration = Duration::from_millis(120);
/// A member that has not looked for this long was not running.
const STALLED: Duration = Duration::from_millis(300);
/// Pause after the others would not vote.
const PAUSE: Duration = Duration::from_millis(80);
/// Time for the others to say whether they would vote.
const ASK_WITHIN: Duration = Duration::from_millis(300);
/// A leader that has not heard from a majority for this long is none.
const LONELY_AFTER: Duration = Duration::from_millis(1500);

/// What a member that does not lead knows of the leader.
pub(crate) struct Watch {
    vote: openraft::Vote<MemberId>,
    /// When the vote was first seen.
    since: Instant,
    patience: Duration,
    spread: Duration,
    not_before: Instant,
    /// When this member last looked.
    looked: Instant,
}

impl Watch {
    pub(crate) fn new(metrics: &Metrics) -> Watch {
        let now = Instant::now();
        let (patience, more) =
            if metrics.vote.committed { (PATIENCE, PATIENCE_SPREAD) } else { (VOTE_PATIENCE, VOTE_PATIENCE) };
        Watch {
            vote: metrics.vote,
            since: now,
            patience: patience + up_to(more),
            spread: up_to(SPREAD),
            not_before: now,
            looked: now,
        }
    }

    /// Begins an election when the leader is gone, here and for a majority.
    pub(crate) async fn tend(&mut self, member: &Member, cluster: &ClusterMember) {
        let metrics = member.metrics();
        if metrics.vote != self.vote {
            *self = Watch::new(&metrics);
            cluster.contacts.voted(metrics.vote);
        }
        if is_leading(&metrics) || !is_voter(&metrics, member.me) {
            self.looked = Instant::now();
            return;
        }
        let now = Instant::now();
        if now - std::mem::replace(&mut self.looked, now) > STALLED {
            // It was this member that stood still: what the leader said meanwhile is still to be read.
            self.since = now;
        }
        if now < self.not_before || !self.is_due(cluster, &metrics, now) {
            return;
        }
        let silent = now - self.heard(cluster);
        if !ask_for_votes(member, cluster, &metrics).await {
            self.looked = Instant::now();
            self.not_before = self.looked + PAUSE + up_to(SPREAD);
            return;
        }
        // Another one may have begun meanwhile, and have this member's vote.
        let vote = member.raft.with_raft_state(|state| *state.vote_ref()).await;
        if vote.ok() != Some(self.vote) {
            return;
        }
        tracing::info!(
            term = metrics.current_term + 1,
            ?silent,
            "the leader of the metadata group is gone, electing"
        );
        if let Err(error) = member.raft.trigger().elect().await {
            tracing::debug!(%error, "no election");
        }
        // The vote changes when it has begun, and the patience with it.
        self.not_before = Instant::now() + PAUSE;
    }

    fn heard(&self, cluster: &ClusterMember) -> Instant {
        cluster.contacts.leader_call(&self.vote).map_or(self.since, |call| call.max(self.since))
    }

    fn is_due(&self, cluster: &ClusterMember, metrics: &Metrics, now: Instant) -> bool {
        if metrics.membership_config.voter_ids().count() == 1 {
            return true;
        }
        let silent = now.saturating_duration_since(self.heard(cluster));
        // A process that is provably gone will not call again.
        let gone = || {
            leading_broker(metrics)
                .is_some_and(|leader| *cluster.peers.link(leader).borrow() == LinkState::Refused)
        };
        silent > self.patience || (silent > LEASE + self.spread && gone())
    }
}

/// Whether a majority would vote for this member.
async fn ask_for_votes(member: &Member, cluster: &ClusterMember, metrics: &Metrics) -> bool {
    let membership = metrics.membership_config.membership();
    let configs = membership.get_joint_config().clone();
    let mut granted = BTreeSet::from([member.me]);
    let question = PreVote { last_log: member.raft.data_metrics().borrow().last_log };
    let mut asked = JoinSet::new();
    for voter in membership.voter_ids().collect::<BTreeSet<_>>() {
        if let Some(node) = membership.get_node(&voter)
            && voter != member.me
        {
            let (connection, question) = (cluster.network.to(voter, node), question.clone());
            asked.spawn(async move { (voter, connection.pre_vote(question, ASK_WITHIN).await) });
        }
    }
    loop {
        if is_majority(&configs, |voter| granted.contains(&voter)) {
            return true;
        }
        match asked.join_next().await {
            Some(Ok((voter, Ok(true)))) => drop(granted.insert(voter)),
            Some(_) => {}
            None => return false,
        }
    }
}

/// Whether the members of which it holds are a majority of each configuration.
pub(crate) fn is_majority(configs: &[BTreeSet<MemberId>], holds: impl Fn(MemberId) -> bool) -> bool {
    configs.iter().all(|config| config.iter().filter(|voter| holds(**voter)).count() * 2 > config.len())
}

/// Whether this member would vote for another one: the leader is gone for it too, and the other's log is new enough.
pub(crate) fn would_vote(member: &Member, cluster: &ClusterMember, question: &PreVote) -> bool {
    let metrics = member.metrics();
    if question.last_log < member.raft.data_metrics().borrow().last_log {
        return false;
    }
    if is_leading(&metrics) {
        return !hears_majority(member, cluster, &metrics);
    }
    if !metrics.vote.committed {
        // An election is under way: another one would only disturb it.
        return cluster.contacts.vote_age(&metrics.vote).is_some_and(|age| age > VOTE_PATIENCE);
    }
    let heard = cluster.contacts.leader_call(&metrics.vote).unwrap_or(cluster.started).max(cluster.started);
    heard.elapsed() > LEASE
}

fn hears_majority(member: &Member, cluster: &ClusterMember, metrics: &Metrics) -> bool {
    let configs = metrics.membership_config.membership().get_joint_config();
    is_majority(configs, |voter| {
        voter == member.me || cluster.contacts.silence(voter).is_some_and(|silence| silence < LONELY_AFTER)
    })
}

/// The broker that leads as far as this member can tell: a leader without a majority is none, and neither is one that does
/// not know yet what its predecessor has committed.
pub(crate) fn leader_seen(
    member: &Member,
    cluster: &ClusterMember,
    watch: &Watch,
) -> Option<eddy_types::BrokerId> {
    let metrics = member.metrics();
    metrics.running_state.as_ref().ok()?;
    if is_leading(&metrics) {
        let leads = desk::leads(&metrics) && hears_majority(member, cluster, &metrics);
        return leads.then_some(member.broker);
    }
    let silent = watch.heard(cluster).elapsed();
    leading_broker(&metrics).filter(|leader| *leader != member.broker && silent < LONELY_AFTER)
}

/// A random part of a duration.
fn up_to(longest: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random numbers every member has the same patience: elections may then need another round.
    let _ = getrandom::fill(&mut random);
    longest.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joint_configuration_needs_a_majority_of_both() {
        let configs = [BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        assert!(is_majority(&configs, |voter| [2, 3, 4].contains(&voter)));
        assert!(!is_majority(&configs, |voter| [1, 2, 3].contains(&voter)));
        assert!(!is_majority(&configs[..1], |voter| voter == 1));
    }
}
