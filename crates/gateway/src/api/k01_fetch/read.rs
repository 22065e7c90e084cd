//! What became of one partition of a fetch.

use eddy_core::{FetchPartition as Planned, PartitionKey as PlannedKey, ReadResult, TopicKey};
use eddy_engine::PartitionRead;
use eddy_types::{ErrorCode, Offset};
use eddy_wire::Records;
use eddy_wire::messages::fetch::{EpochEndOffset, LeaderIdAndEpoch, PartitionData};

use crate::brokers::{LeaderHints, TopicRef};
use crate::call::Call;

/// The answer can say who leads from this version on.
const LEADER_FROM: i16 = 16;

/// One partition of the answer.
pub(super) struct Read {
    pub(super) data: PartitionData,
    pub(super) bytes: usize,
    /// The partition is not known here.
    pub(super) unknown: bool,
}

impl Read {
    pub(super) fn found(planned: &Planned, read: PartitionRead, committed_only: bool) -> Read {
        let records: Records = read.slices.into_iter().collect();
        let bytes = records.len();
        let mut data = PartitionData {
            partition_index: planned.key.partition,
            high_watermark: read.offsets.high_watermark.0,
            last_stable_offset: read.offsets.last_stable.0,
            log_start_offset: read.offsets.log_start.0,
            // null for readers of everything, a list for readers of what is committed.
            aborted_transactions: committed_only.then(Vec::new),
            // never null.
            records: Some(records),
            ..PartitionData::default()
        };
        if let Some(diverging) = read.diverging {
            data.diverging_epoch =
                EpochEndOffset { epoch: diverging.epoch.0, end_offset: diverging.end_offset.0 };
        }
        Read { data, bytes, unknown: false }
    }

    /// The topic or partition does not exist.
    pub(super) fn unknown(call: &Call, planned: &Planned, code: ErrorCode) -> Read {
        let mut read = Read::failed(call, planned, code);
        // As Kafka: null only where a log was asked.
        read.data.aborted_transactions = Some(Vec::new());
        read.unknown = true;
        read
    }

    /// every offset of a failed partition is -1.
    pub(super) fn failed(call: &Call, planned: &Planned, code: ErrorCode) -> Read {
        let data = PartitionData {
            partition_index: planned.key.partition,
            error_code: call.code(code),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            records: Some(Records::default()),
            ..PartitionData::default()
        };
        Read { data, bytes: 0, unknown: false }
    }

    /// Adds who leads, for a client that asked the wrong broker or knows an old epoch.
    pub(super) fn hint(&mut self, call: &Call, hints: &mut LeaderHints<'_>, key: &PlannedKey) {
        let tells = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch];
        let code = tells.into_iter().find(|code| code.code() == self.data.error_code);
        let Some(code) = code.filter(|_| call.version >= LEADER_FROM) else { return };
        let topic = match &key.topic {
            TopicKey::Id(id) => TopicRef::Id(*id),
            TopicKey::Name(name) => TopicRef::Name(name),
        };
        if let Some((leader, epoch)) = hints.leader(topic, key.partition, code) {
            self.data.current_leader = LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 };
        }
    }

    fn diverges(&self) -> bool {
        self.data.diverging_epoch.end_offset >= 0
    }

    pub(super) fn answers_at_once(&self) -> bool {
        self.data.error_code != ErrorCode::None.code() || self.diverges()
    }

    pub(super) fn result(&self) -> ReadResult {
        ReadResult {
            has_records: self.bytes > 0,
            high_watermark: Offset(self.data.high_watermark),
            log_start: Offset(self.data.log_start_offset),
            must_show: self.diverges(),
            failed: self.data.error_code != ErrorCode::None.code(),
        }
    }
}
