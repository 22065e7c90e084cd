//! What is known of a group, apart from how it was asked for and how it is shown.

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use crate::positions::Place;

/// How the members of a group agree on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// JoinGroup and SyncGroup; a member computes the assignment.
    Classic,
    /// KIP-848; the coordinator computes the assignment.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
    /// A type that this version does not know.
    Other,
}

impl Kind {
    /// The kind of the name that ListGroups gives; brokers before KIP-848 give none, and have classic groups only.
    pub(crate) fn named(name: &str) -> Kind {
        match name.to_ascii_lowercase().as_str() {
            "" | "classic" => Kind::Classic,
            "consumer" => Kind::Consumer,
            "share" => Kind::Share,
            "streams" => Kind::Streams,
            _ => Kind::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Classic => "classic",
            Kind::Consumer => "consumer",
            Kind::Share => "share",
            Kind::Streams => "streams",
            Kind::Other => "other",
        }
    }
}

/// One group of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    pub(crate) group: String,
    pub(crate) kind: Kind,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    /// Node that keeps the group.
    pub(crate) coordinator: i32,
}

/// A group with its members and how far they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub(crate) group: String,
    pub(crate) kind: Kind,
    pub(crate) state: String,
    /// Name of the assignor; empty while there is none.
    pub(crate) assignor: String,
    /// Epoch of a KIP-848 group.
    pub(crate) epoch: Option<i32>,
    pub(crate) coordinator: Coordinator,
    pub(crate) members: Vec<Member>,
    /// By topic and partition.
    pub(crate) partitions: Vec<Progress>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Coordinator {
    pub(crate) id: i32,
    pub(crate) address: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) member: String,
    /// Name of a static member (KIP-345).
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    /// Epoch of a member of a KIP-848 group.
    pub(crate) epoch: Option<i32>,
    pub(crate) assigned: BTreeMap<String, Vec<i32>>,
    /// What the coordinator wants it to have, when that differs from what it has.
    pub(crate) target: Option<BTreeMap<String, Vec<i32>>>,
}

impl Member {
    /// How people know the member: its static name, else its client id, else the whole id.
    pub(crate) fn short_name(&self) -> &str {
        match &self.instance {
            Some(instance) => instance,
            None if self.client.is_empty() => &self.member,
            None => &self.client,
        }
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        self.assigned.get(&place.topic).is_some_and(|partitions| partitions.contains(&place.partition))
    }

    pub(crate) fn partition_count(&self) -> usize {
        self.assigned.values().map(Vec::len).sum()
    }
}

/// How far a group is in one partition. Offsets are those of the moment of the question; start and end were asked for after the commit,
/// so that a lag is never negative by a race.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// `None` when the group never committed there.
    pub(crate) committed: Option<i64>,
    /// `None` when the partition is gone or has no leader.
    pub(crate) start: Option<i64>,
    /// The high watermark.
    pub(crate) end: Option<i64>,
    /// Where a transaction that is still open begins, when that is below the end.
    pub(crate) last_stable: Option<i64>,
    /// Timestamp in milliseconds of the first record that was not committed.
    pub(crate) waiting_since_ms: Option<i64>,
    /// Age of that record, never negative; 0 when all was read.
    pub(crate) lag_ms: Option<i64>,
    /// Records between the commit and the end; counts offsets, as compaction and transactions leave gaps. `None` without a commit:
    /// where the members began is their own affair.
    pub(crate) lag: Option<i64>,
    /// Member id of who has the partition.
    pub(crate) member: Option<String>,
    /// The member's host.
    pub(crate) host: Option<String>,
}

impl Progress {
    /// Records that are not committed, where anything was ever committed or not.
    pub(crate) fn unread(&self) -> i64 {
        self.lag.or_else(|| Some(self.end? - self.start?)).unwrap_or(0)
    }

    /// Records that were deleted before the group read them.
    pub(crate) fn lost(&self) -> Option<i64> {
        let behind = self.start? - self.committed?;
        (behind > 0).then_some(behind)
    }
}

/// Records between a commit and the end of the log, from where there still are any.
pub(crate) fn lag(committed: i64, start: i64, end: i64) -> i64 {
    (end - committed.max(start)).max(0)
}

impl Group {
    /// A group that does not exist yet.
    pub(crate) fn missing(name: &str) -> Group {
        Group {
            group: name.to_owned(),
            kind: Kind::Classic,
            state: "Dead".to_owned(),
            assignor: String::new(),
            epoch: None,
            coordinator: Coordinator { id: -1, address: String::new() },
            members: Vec::new(),
            partitions: Vec::new(),
        }
    }

    pub(crate) fn total_lag(&self) -> i64 {
        self.partitions.iter().filter_map(|partition| partition.lag).sum()
    }

    pub(crate) fn worst_lag_ms(&self) -> Option<i64> {
        self.partitions.iter().filter_map(|partition| partition.lag_ms).max()
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.member == id)
    }

    pub(crate) fn progress(&self, place: &Place) -> Option<&Progress> {
        self.partitions.iter().find(|partition| partition.place == *place)
    }

    /// Whether nobody may be disturbed by a change of offsets.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.state.as_str(), "Empty" | "Dead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_counts_what_is_there_and_is_never_negative() {
        assert_eq!(lag(40, 0, 100), 60);
        assert_eq!(lag(40, 70, 100), 30, "what was deleted cannot be read");
        assert_eq!(lag(120, 0, 100), 0);
    }

    #[test]
    fn a_member_goes_by_its_static_name_then_its_client() {
        let mut member = samples::member("billing-1", "h", &[]);
        assert_eq!(member.short_name(), "billing-1");
        member.instance = Some("till".to_owned());
        assert_eq!(member.short_name(), "till");
        (member.instance, member.client) = (None, String::new());
        assert_eq!(member.short_name(), "billing-1-5f9c");
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// 2026-11-21T06:47:02Z.
    pub(crate) const NOW_MS: i64 = 1_795_243_622_000;

    pub(crate) fn partition(topic: &str, index: i32, committed: Option<i64>, end: i64) -> Progress {
        let behind = committed.map(|committed| lag(committed, 0, end));
        let lag_ms = behind.map(|behind| if behind == 0 { 0 } else { 372_000 });
        Progress {
            place: Place { topic: topic.to_owned(), partition: index },
            committed,
            start: Some(0),
            end: Some(end),
            last_stable: None,
            waiting_since_ms: lag_ms.filter(|ms| *ms > 0).map(|ms| NOW_MS - ms),
            lag_ms,
            lag: behind,
            member: None,
            host: None,
        }
    }

    pub(crate) fn member(name: &str, host: &str, assigned: &[i32]) -> Member {
        Member {
            member: format!("{name}-5f9c"),
            instance: None,
            client: name.to_owned(),
            host: host.to_owned(),
            epoch: None,
            assigned: BTreeMap::from([("orders".to_owned(), assigned.to_vec())]),
            target: None,
        }
    }

    /// Three members, one partition far behind, and one that nobody reads any more.
    pub(crate) fn billing() -> Group {
        let members = vec![
            member("billing-1", "10.0.4.6", &[0]),
            member("billing-2", "10.0.4.7", &[1]),
            member("billing-3", "10.0.4.8", &[2, 3]),
        ];
        let mut partitions = vec![
            partition("orders", 0, Some(306_112), 306_112),
            partition("orders", 1, Some(264_650), 305_870),
            partition("orders", 2, Some(301_000), 301_000),
            partition("orders", 3, None, 0),
            partition("returns", 0, Some(7), 19),
        ];
        for partition in &mut partitions {
            let member = members.iter().find(|member| member.has(&partition.place));
            partition.member = member.map(|member| member.member.clone());
            partition.host = member.map(|member| member.host.clone());
        }
        Group {
            group: "billing".to_owned(),
            kind: Kind::Classic,
            state: "Stable".to_owned(),
            assignor: "range".to_owned(),
            epoch: None,
            coordinator: Coordinator { id: 2, address: "10.0.4.2:9092".to_owned() },
            members,
            partitions,
        }
    }
}
