//! Who votes: as many members as make sense, one of each broker, and none that is gone for good.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eddy_types::BrokerId;
use openraft::ChangeMembers;

use crate::desk;
use crate::member::{ClusterMember, Member, Metrics};
use crate::types::{MemberId, Voter};

/// Voters at most: more of them only make every commit wait for more disks.
pub(crate) const VOTERS_MAX: usize = 5;
/// Entries that a member may be behind and still be taken for caught up.
const LAG_MAX: u64 = 100;
/// A member that has not answered for this long is not made a voter.
const SILENT_AFTER: Duration = Duration::from_millis(1500);
/// A member that has not answered for this long may be replaced by another one of its broker.
const GONE_AFTER: Duration = Duration::from_secs(3);
/// Time for one change to be committed.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);

/// A member, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    member: MemberId,
    broker: BrokerId,
    votes: bool,
    /// It answers, and has nearly all of the log.
    fit: bool,
    /// It has not answered for long, or is known not to run.
    gone: bool,
}

/// What is to be done next; one thing at a time.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// These vote, and nobody else.
    Vote(BTreeSet<MemberId>),
    /// These are members no longer.
    Forget(BTreeSet<MemberId>),
}

/// Number of voters that so many brokers should have: odd, since one more than an odd number survives no more failures.
pub(crate) fn target(brokers: usize) -> usize {
    let most = brokers.min(VOTERS_MAX);
    if most.is_multiple_of(2) { most.saturating_sub(1) } else { most }
}

/// The next step towards the voters that there should be. `leaving` is a broker that is to be a member no longer.
fn next_step(leader: MemberId, candidates: &[Candidate], leaving: Option<BrokerId>) -> Option<Step> {
    // A broker that came back with an empty disk has two members: the old one goes when the new one can take its place.
    let replaced = |one: &Candidate| {
        one.gone
            && candidates
                .iter()
                .any(|other| other.broker == one.broker && other.member != one.member && other.fit)
    };
    let stays = |one: &Candidate| Some(one.broker) != leaving && !replaced(one);
    let brokers: BTreeSet<BrokerId> =
        candidates.iter().filter(|one| stays(one)).map(|one| one.broker).collect();
    let target = target(brokers.len());

    let mut voters: Vec<Candidate> =
        candidates.iter().filter(|one| one.votes && stays(one)).copied().collect();
    voters.sort_by_key(|one| (one.member != leader, !one.fit, one.broker));
    voters.truncate(target.max(1));
    let kept = voters.len();
    let mut learners: Vec<Candidate> =
        candidates.iter().filter(|one| !one.votes && one.fit && stays(one)).copied().collect();
    learners.sort_by_key(|one| one.broker);
    for learner in learners {
        if voters.len() < target && voters.iter().all(|voter| voter.broker != learner.broker) {
            voters.push(learner);
        }
    }
    // An even number is no better than the odd one below it; but nobody loses a vote for it.
    if voters.len().is_multiple_of(2) && voters.len() > kept {
        voters.pop();
    }

    let wanted: BTreeSet<MemberId> = voters.iter().map(|one| one.member).collect();
    let now: BTreeSet<MemberId> = candidates.iter().filter(|one| one.votes).map(|one| one.member).collect();
    if !wanted.is_empty() && wanted != now {
        return Some(Step::Vote(wanted));
    }
    let gone: BTreeSet<MemberId> =
        candidates.iter().filter(|one| !one.votes && !stays(one)).map(|one| one.member).collect();
    (!gone.is_empty()).then_some(Step::Forget(gone))
}

/// Takes the next step, if there is one; the caller holds the lock of the membership. Returns whether nothing is left to do.
pub(crate) async fn tend(member: &Member, cluster: &ClusterMember, leaving: Option<BrokerId>) -> bool {
    let metrics = member.metrics();
    if !desk::leads(&metrics) || !is_committed(&metrics) {
        return false;
    }
    let membership = metrics.membership_config.membership();
    let own = Voter::new(member.broker, cluster.advertised());
    if membership.get_node(&member.me).is_some_and(|known| *known != own) {
        // It leads from where it was not before, or was a lone node.
        let moved = change(member, ChangeMembers::SetNodes([(member.me, own)].into())).await;
        return note(moved);
    }
    let configs = membership.get_joint_config();
    let step = match configs.as_slice() {
        // A leader before this one began a change: it has to be ended first.
        [_, .., last] => Some(Step::Vote(last.clone())),
        _ => next_step(member.me, &candidates(member, cluster, &metrics), leaving),
    };
    let Some(step) = step else { return true };
    tracing::info!(?step, "changing the members of the metadata group");
    let changed = match step {
        Step::Vote(voters) => change(member, ChangeMembers::ReplaceAllVoters(voters)).await,
        Step::Forget(members) => change(member, ChangeMembers::RemoveNodes(members)).await,
    };
    note(changed)
}

/// Says what did not work; there is always another look to be taken.
fn note(changed: Result<(), String>) -> bool {
    if let Err(reason) = changed {
        tracing::warn!(reason, "members of the metadata group were not changed");
    }
    false
}

/// Changes the membership; those who lose their vote stay as learners.
pub(crate) async fn change(member: &Member, changes: ChangeMembers<MemberId, Voter>) -> Result<(), String> {
    let change = member.raft.change_membership(changes, true);
    match tokio::time::timeout(CHANGE_WITHIN, change).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no majority in time".to_owned()),
    }
}

/// Whether no change of the membership is under way.
pub(crate) fn is_committed(metrics: &Metrics) -> bool {
    *metrics.membership_config.log_id() <= metrics.last_applied
}

fn candidates(member: &Member, cluster: &ClusterMember, metrics: &Metrics) -> Vec<Candidate> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<MemberId> = membership.voter_ids().collect();
    let none = BTreeMap::new();
    let progress = metrics.replication.as_ref().unwrap_or(&none);
    let end = metrics.last_log_index.unwrap_or_default();
    let one = |(id, voter): (&MemberId, &Voter)| {
        let has = progress.get(id).copied().flatten().is_some_and(|last| last.index + LAG_MAX >= end);
        let answers = cluster.contacts.silence(*id).is_some_and(|silence| silence < SILENT_AFTER);
        let fit = *id == member.me || (has && answers);
        let gone = *id != member.me && cluster.contacts.is_gone(*id, metrics.current_term, GONE_AFTER);
        Candidate { member: *id, broker: voter.broker(), votes: voters.contains(id), fit, gone }
    };
    membership.nodes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members as `broker:member`, voters with `*`, unfit ones with `?`, those that are gone with `!`; the first one leads.
    fn step(members: &str, leaving: Option<i32>) -> Option<Step> {
        let parse = |text: &str| {
            let (broker, member) = text.trim_end_matches(['*', '?', '!']).split_once(':').unwrap();
            Candidate {
                member: member.parse().unwrap(),
                broker: BrokerId(broker.parse().unwrap()),
                votes: text.contains('*'),
                fit: !text.contains(['?', '!']),
                gone: text.contains('!'),
            }
        };
        let members: Vec<Candidate> = members.split(' ').map(parse).collect();
        next_step(members[0].member, &members, leaving.map(BrokerId))
    }

    fn vote<const N: usize>(members: [u64; N]) -> Option<Step> {
        Some(Step::Vote(members.into()))
    }

    #[test]
    fn voters_are_as_many_as_an_odd_number_of_brokers_up_to_five() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 9].map(target), [0, 1, 1, 3, 3, 5, 5, 5]);
    }

    #[test]
    fn learners_vote_when_there_are_enough_of_them() {
        assert_eq!(step("1:10* 2:20", None), None);
        assert_eq!(step("1:10* 2:20 3:30", None), vote([10, 20, 30]));
        assert_eq!(step("1:10* 2:20* 3:30* 4:40", None), None);
        assert_eq!(step("1:10* 2:20* 3:30* 4:40 5:50", None), vote([10, 20, 30, 40, 50]));
        assert_eq!(step("1:10* 2:20* 3:30* 4:40* 5:50* 6:60 7:70", None), None);
    }

    #[test]
    fn a_learner_that_is_behind_or_silent_does_not_vote() {
        assert_eq!(step("1:10* 2:20 3:30?", None), None);
        assert_eq!(step("1:10* 2:20* 3:30* 4:40 5:50?", None), None);
    }

    #[test]
    fn a_silent_voter_keeps_its_vote() {
        assert_eq!(step("1:10* 2:20* 3:30?*", None), None);
        assert_eq!(step("1:10* 2:20?* 3:30?*", None), None);
    }

    #[test]
    fn a_wiped_brokers_new_member_takes_the_place_of_the_old_one_in_one_step() {
        assert_eq!(step("1:10* 2:20* 3:30!* 3:31?", None), None);
        assert_eq!(step("1:10* 2:20* 3:30!* 3:31", None), vote([10, 20, 31]));
        assert_eq!(step("1:10* 2:20* 3:30! 3:31*", None), Some(Step::Forget([30].into())));
    }

    #[test]
    fn a_new_member_is_not_given_up_for_an_old_one_that_answered_a_moment_ago() {
        assert_eq!(step("1:10* 2:20* 3:30* 3:31?", None), None);
        assert_eq!(step("1:10* 2:20* 3:30?* 3:31", None), None);
    }

    #[test]
    fn a_broker_that_leaves_loses_its_vote_first() {
        assert_eq!(step("1:10* 2:20* 3:30* 4:40", Some(3)), vote([10, 20, 40]));
        assert_eq!(step("1:10* 2:20* 3:30 4:40*", Some(3)), Some(Step::Forget([30].into())));
        assert_eq!(step("1:10* 2:20* 3:30*", Some(3)), vote([10]));
        assert_eq!(step("1:10* 2:20* 3:30*", Some(1)), vote([20]));
        assert_eq!(step("1:10*", Some(1)), None);
    }
}
