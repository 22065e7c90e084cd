//! A member of a classic group.

use eddy_types::Millis;

use crate::group::effects::ReplyToken;
use crate::group::record::{Blob, ClassicMemberValue, Protocol, Str};

/// A member of a classic group, alive as far as the coordinator knows.
#[derive(Clone, Debug)]
pub(in crate::group) struct Member {
    pub(in crate::group) id: Str,
    pub(in crate::group) instance: Option<Str>,
    pub(in crate::group) client_id: Str,
    pub(in crate::group) client_host: Str,
    pub(in crate::group) session_timeout: Millis,
    pub(in crate::group) rebalance_timeout: Millis,
    /// What it can follow, most wanted first; only the chosen protocol after a load.
    pub(in crate::group) protocols: Vec<Protocol>,
    pub(in crate::group) assignment: Blob,
    /// Its first JoinGroup is not answered yet: it does not know its id, and cannot send heartbeats.
    pub(in crate::group) is_new: bool,
    /// Its JoinGroup that waits. Set and cleared by [`Members`](super::Members) alone, which counts them.
    pub(super) join: Option<ReplyToken>,
    /// Its SyncGroup that waits.
    pub(in crate::group) sync: Option<ReplyToken>,
    /// Place in the order of joining, by which leaders are elected.
    pub(super) order: u64,
}

impl Member {
    /// What it says under a protocol; nothing if it does not support it.
    pub(in crate::group) fn metadata(&self, protocol: &str) -> Blob {
        let known = self.protocols.iter().find(|known| &*known.name == protocol);
        known.map_or_else(|| Blob::from([]), |known| known.metadata.clone())
    }

    /// The one of the candidates that it wants most.
    pub(super) fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Str> {
        self.protocols.iter().map(|protocol| &protocol.name).find(|name| is_candidate(name))
    }

    /// The member as the group's record keeps it.
    pub(super) fn value(&self, protocol: Option<&str>) -> ClassicMemberValue {
        ClassicMemberValue {
            member: self.id.clone(),
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout,
            session_timeout: self.session_timeout,
            subscription: self.metadata(protocol.unwrap_or_default()),
            assignment: self.assignment.clone(),
        }
    }

    /// The member that a record tells of.
    pub(super) fn from_value(value: ClassicMemberValue, protocol: Option<&Str>) -> Member {
        let name = protocol.cloned().unwrap_or_else(|| "".into());
        // Records before version 1 have no rebalance timeout.
        let rebalance_timeout =
            if value.rebalance_timeout < Millis(0) { value.session_timeout } else { value.rebalance_timeout };
        Member {
            id: value.member,
            instance: value.instance,
            client_id: value.client_id,
            client_host: value.client_host,
            session_timeout: value.session_timeout,
            rebalance_timeout,
            protocols: vec![Protocol { name, metadata: value.subscription }],
            assignment: value.assignment,
            is_new: false,
            join: None,
            sync: None,
            order: 0,
        }
    }
}
