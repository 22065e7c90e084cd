//! The members of a classic group, and what is counted over them.

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::{ErrorCode, Millis};

use super::member::Member;
use crate::group::effects::ReplyToken;
use crate::group::record::{Protocol, Str};

/// Members by id, with counts that make every question cheap for thousands of them.
#[derive(Debug, Default)]
pub(in crate::group) struct Members {
    by_id: BTreeMap<Str, Member>,
    /// Ids of static members by their static names.
    by_instance: BTreeMap<Str, Str>,
    /// How many members support a protocol.
    support: BTreeMap<Str, usize>,
    /// How many members' JoinGroup waits.
    joining: usize,
    next_order: u64,
}

impl Members {
    pub(in crate::group) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(in crate::group) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// By id, for all but its protocols, static name and waiting JoinGroup, which are counted here.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    /// By id.
    pub(in crate::group) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// By id, with the same care as [`Members::get_mut`].
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.by_id.values_mut()
    }

    /// In the order of joining.
    pub(super) fn in_order(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.by_id.values().collect();
        members.sort_unstable_by_key(|member| member.order);
        members
    }

    /// The longest-standing member of those that fit.
    pub(super) fn first(&self, fits: impl Fn(&Member) -> bool) -> Option<&Str> {
        let first = self.by_id.values().filter(|member| fits(member)).min_by_key(|member| member.order);
        first.map(|member| &member.id)
    }

    /// The id of a static member.
    pub(in crate::group) fn of_instance(&self, instance: &str) -> Option<&Str> {
        self.by_instance.get(instance)
    }

    /// The member that a request names, if it may speak for it.
    pub(in crate::group) fn validate(&self, id: &str, instance: Option<&str>) -> Result<&Member, ErrorCode> {
        if let Some(instance) = instance {
            match self.by_instance.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if &**known != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.by_id.get(id).ok_or(ErrorCode::UnknownMemberId)
    }

    /// Adds a member, whose id and static name are free, as the newest one.
    pub(super) fn add(&mut self, mut member: Member) {
        member.order = self.next_order;
        self.next_order += 1;
        self.count_protocols(&member.protocols);
        self.joining += usize::from(member.join.is_some());
        if let Some(instance) = &member.instance {
            self.by_instance.insert(instance.clone(), member.id.clone());
        }
        self.by_id.insert(member.id.clone(), member);
    }

    /// Takes a member out, its waiting requests with it.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        self.discount_protocols(&member.protocols);
        self.joining -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance {
            self.by_instance.remove(instance);
        }
        Some(member)
    }

    /// Lets a JoinGroup wait; gives back the one that waited before.
    pub(super) fn park_join(&mut self, id: &str, token: ReplyToken) -> Option<ReplyToken> {
        let former = self.by_id.get_mut(id)?.join.replace(token);
        self.joining += usize::from(former.is_none());
        former
    }

    /// Takes the JoinGroup that waits.
    pub(super) fn take_join(&mut self, id: &str) -> Option<ReplyToken> {
        let token = self.by_id.get_mut(id)?.join.take();
        self.joining -= usize::from(token.is_some());
        token
    }

    /// A member joins again with other wishes.
    pub(super) fn update(&mut self, id: &str, protocols: Vec<Protocol>, session: Millis, rebalance: Millis) {
        let Some(member) = self.by_id.get_mut(id) else { return };
        member.session_timeout = session;
        member.rebalance_timeout = rebalance;
        let former = std::mem::replace(&mut member.protocols, protocols.clone());
        self.discount_protocols(&former);
        self.count_protocols(&protocols);
    }

    /// How many members' JoinGroup waits.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    /// Whether every member supports a protocol.
    pub(super) fn all_support(&self, protocol: &str) -> bool {
        self.support.get(protocol).copied().unwrap_or(0) == self.len()
    }

    /// The protocol of most votes among those that all support; of equal ones, the one that an older member voted for.
    pub(super) fn elect_protocol(&self) -> Option<Str> {
        let mut votes: Vec<(&Str, usize)> = Vec::new();
        for member in self.in_order() {
            let Some(vote) = member.vote(|name| self.all_support(name)) else { continue };
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The longest that any member may take to join again.
    pub(super) fn rebalance_timeout(&self) -> Millis {
        self.by_id.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// A member may name a protocol twice: it counts once.
    fn count_protocols(&mut self, protocols: &[Protocol]) {
        for name in distinct_names(protocols) {
            *self.support.entry(name.clone()).or_default() += 1;
        }
    }

    fn discount_protocols(&mut self, protocols: &[Protocol]) {
        for name in distinct_names(protocols) {
            if let Some(count) = self.support.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.support.remove(name);
                }
            }
        }
    }

    /// Whether the counts are those of the members.
    pub(super) fn counts_hold(&self) -> bool {
        let mut fresh = Members::default();
        for member in self.in_order() {
            fresh.add(member.clone());
        }
        fresh.joining == self.joining
            && fresh.support == self.support
            && fresh.by_instance == self.by_instance
    }
}

fn distinct_names(protocols: &[Protocol]) -> BTreeSet<&Str> {
    protocols.iter().map(|protocol| &protocol.name).collect()
}
