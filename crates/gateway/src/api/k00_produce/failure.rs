//! A partition's refusal on its way into the answer.

use eddy_batch::Rejected;
use eddy_engine::{AppendError, Partition, PartitionError};
use eddy_types::{ErrorCode, Offset};
use eddy_wire::Str;
use eddy_wire::messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse};

use crate::call::Call;
use crate::error::KafkaCode;

/// A refusal on its way into the answer.
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    message: Option<String>,
    records: Vec<BatchIndexAndErrorMessage>,
    log_start: Offset,
}

impl Failure {
    pub(super) fn of(code: ErrorCode) -> Failure {
        Failure { code, message: None, records: Vec::new(), log_start: Offset::NONE }
    }

    /// The batch is in the log, but its acknowledgement did not come in time; perhaps because the in-sync replicas became
    /// too few meanwhile.
    pub(super) fn timed_out(partition: &Partition) -> Failure {
        match partition.in_sync() {
            Some((in_sync, required)) if in_sync < required => {
                Failure::of(ErrorCode::NotEnoughReplicasAfterAppend).because(format!(
                    "the batch was written, but {in_sync} replicas are in sync and {required} must be"
                ))
            }
            _ => Failure::of(ErrorCode::RequestTimedOut)
                .because("the batch was written, but not acknowledged within the request's timeout"),
        }
    }

    pub(super) fn because(mut self, message: impl Into<String>) -> Failure {
        self.message = Some(message.into());
        self
    }

    /// Adds where the log starts. Kafka tells it when a batch broke a rule of the log, and not when it was no batch of any
    /// log or when the partition is not served.
    pub(super) fn with_log_start(mut self, partition: &Partition) -> Failure {
        if matches!(
            self.code,
            ErrorCode::InvalidRecord
                | ErrorCode::InvalidTimestamp
                | ErrorCode::OutOfOrderSequenceNumber
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidTxnState
        ) {
            self.log_start = partition.offsets().log_start;
        }
        self
    }

    /// base offset and time of a failure are -1.
    pub(super) fn into_response(self, call: &Call) -> PartitionProduceResponse {
        PartitionProduceResponse {
            error_code: call.code(self.code),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: self.log_start.0,
            record_errors: self.records,
            error_message: self.message.map(Str::from),
            ..PartitionProduceResponse::default()
        }
    }
}

impl From<PartitionError> for Failure {
    fn from(error: PartitionError) -> Failure {
        let failure = Failure::of(error.kafka_code());
        match error {
            PartitionError::Offline(_) => failure.because(error.to_string()),
            PartitionError::NotLeader { .. } | PartitionError::Unknown => failure,
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        Failure { message: Some(error.to_string()), ..Failure::of(error.kafka_code()) }
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Failure {
        let records = rejected.records.into_iter().map(|record| BatchIndexAndErrorMessage {
            batch_index: record.index,
            batch_index_error_message: Some(record.message.into()),
        });
        Failure { records: records.collect(), message: Some(rejected.message), ..Failure::of(rejected.code) }
    }
}
