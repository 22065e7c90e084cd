//! What became of one partition of a fetch.

use eddy_core::{FetchPartition as Planned, Offsets, PartitionKey as PlannedKey, ReadResult, TopicKey};
use eddy_engine::PartitionRead;
use eddy_types::{BrokerId, ErrorCode, Offset};
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
        let mut data = served(planned, &read.offsets, committed_only);
        // never null.
        data.records = Some(records);
        if let Some(diverging) = read.diverging {
            data.diverging_epoch =
                EpochEndOffset { epoch: diverging.epoch.0, end_offset: diverging.end_offset.0 };
        }
        Read { data, bytes, unknown: false }
    }

    /// Another replica is nearer to the consumer: it is named, and there are no records.
    pub(super) fn elsewhere(
        planned: &Planned,
        offsets: Offsets,
        replica: BrokerId,
        committed_only: bool,
    ) -> Read {
        let data = PartitionData {
            preferred_read_replica: replica.0,
            records: Some(Records::default()),
            ..served(planned, &offsets, committed_only)
        };
        Read { data, bytes: 0, unknown: false }
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

    /// Whether there is something that the client must see though there are no records.
    fn has_news(&self) -> bool {
        self.data.diverging_epoch.end_offset >= 0 || self.data.preferred_read_replica >= 0
    }

    pub(super) fn answers_at_once(&self) -> bool {
        self.data.error_code != ErrorCode::None.code() || self.has_news()
    }

    pub(super) fn result(&self) -> ReadResult {
        ReadResult {
            has_records: self.bytes > 0,
            high_watermark: Offset(self.data.high_watermark),
            log_start: Offset(self.data.log_start_offset),
            must_show: self.has_news(),
            failed: self.data.error_code != ErrorCode::None.code(),
        }
    }
}

/// A partition that could be read, without records yet.
fn served(planned: &Planned, offsets: &Offsets, committed_only: bool) -> PartitionData {
    PartitionData {
        partition_index: planned.key.partition,
        high_watermark: offsets.high_watermark.0,
        last_stable_offset: offsets.last_stable.0,
        log_start_offset: offsets.log_start.0,
        // null for readers of everything, a list for readers of what is committed.
        aborted_transactions: committed_only.then(Vec::new),
        ..PartitionData::default()
    }
}
