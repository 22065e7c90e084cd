//! What is known of a cluster, apart from how it was asked for and how it is shown.

use serde::Serialize;

use crate::positions::Place;

/// A cluster as its brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    pub(crate) cluster: Option<String>,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: Vec<Broker>,
    /// `None` from brokers that do not tell.
    pub(crate) quorum: Option<Quorum>,
    /// Why the controllers could not be asked, where they should answer.
    pub(crate) quorum_silent: Option<String>,
    pub(crate) topics: usize,
    pub(crate) partitions: usize,
    /// Partitions with something the matter, by topic and index.
    pub(crate) troubled: Vec<Troubled>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    pub(crate) address: String,
    pub(crate) rack: Option<String>,
    /// Registered, but not serving: it starts, stops, or its heartbeats stay out.
    pub(crate) is_fenced: bool,
    /// Why it did not answer; `None` when it did.
    pub(crate) unreachable: Option<String>,
    /// Partitions it leads.
    pub(crate) leads: usize,
    /// Partitions it has a replica of.
    pub(crate) replicas: usize,
    /// Those where its replica is out of sync.
    pub(crate) out_of_sync: usize,
    /// Bytes of its partitions.
    pub(crate) log_bytes: Option<u64>,
    /// The fullest of its disks.
    pub(crate) disk: Option<Disk>,
    /// Directories that it cannot use.
    pub(crate) failed_dirs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Disk {
    pub(crate) total_bytes: u64,
    pub(crate) usable_bytes: u64,
}

impl Disk {
    /// How much is used, 0 to 100.
    pub(crate) fn used_percent(self) -> u64 {
        let used = self.total_bytes.saturating_sub(self.usable_bytes);
        u64::try_from(u128::from(used) * 100 / u128::from(self.total_bytes.max(1))).unwrap_or(100)
    }
}

/// The controllers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quorum {
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) voters: Vec<Replica>,
    pub(crate) observers: Vec<Replica>,
}

/// A copy of the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Replica {
    pub(crate) id: i32,
    /// Records that it lacks; `None` when the leader does not know where it is.
    pub(crate) behind: Option<i64>,
    /// Time since it had all, by the leader's clock.
    pub(crate) caught_up_ms_ago: Option<i64>,
}

/// A partition that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Troubled {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    /// `min.insync.replicas` of the topic; `None` where the broker does not tell.
    pub(crate) min_isr: Option<i32>,
}

impl Troubled {
    /// Whether a replica is out of sync.
    pub(crate) fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }

    /// Whether a producer with acks=all is refused for that reason: without a leader, all are.
    pub(crate) fn is_under_min_isr(&self) -> bool {
        self.leader.is_some()
            && self.min_isr.is_some_and(|min| self.isr.len() < usize::try_from(min).unwrap_or(0))
    }
}
