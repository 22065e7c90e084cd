//! The one place where run-time errors get their Kafka code and their sentence.

use eddy_core::DeleteError;
use eddy_core::{AppendError as Refusal, EpochError, SequenceError, SessionError};
use eddy_engine::{AppendError, DeleteRecordsError, PartitionError, ReadError};
use eddy_quorum::ChangeError;
use eddy_types::ErrorCode;

/// Gives an error its code on the wire.
pub(crate) trait KafkaCode {
    fn kafka_code(&self) -> ErrorCode;
}

impl KafkaCode for AppendError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            AppendError::Refused(refusal) => refusal.kafka_code(),
            AppendError::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
            AppendError::PartitionGone => ErrorCode::UnknownTopicOrPartition,
            AppendError::Full { .. } => ErrorCode::RequestTimedOut,
            AppendError::DiskFull { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for Refusal {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            Refusal::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Refusal::NoOffsets { .. } => ErrorCode::InvalidRecord,
            Refusal::Sequence(error) => error.kafka_code(),
        }
    }
}

impl KafkaCode for SequenceError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            SequenceError::FencedEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            SequenceError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            SequenceError::TransactionOpen { .. } => ErrorCode::InvalidTxnState,
            SequenceError::TooManyProducers { .. } => ErrorCode::NotEnoughReplicas,
        }
    }
}

impl KafkaCode for PartitionError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            PartitionError::Unknown => ErrorCode::UnknownTopicOrPartition,
            PartitionError::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
            PartitionError::Offline(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl KafkaCode for EpochError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            EpochError::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
            EpochError::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
        }
    }
}

impl KafkaCode for ReadError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Epoch(error) => error.kafka_code(),
            ReadError::Log(_) => ErrorCode::KafkaStorageError,
            ReadError::PartitionGone => ErrorCode::UnknownTopicOrPartition,
            ReadError::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
        }
    }
}

impl KafkaCode for SessionError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            SessionError::NotFound { .. } => ErrorCode::FetchSessionIdNotFound,
            SessionError::InvalidEpoch { .. } => ErrorCode::InvalidFetchSessionEpoch,
            SessionError::MixedTopicIds { .. } => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

impl KafkaCode for DeleteRecordsError {
    fn kafka_code(&self) -> ErrorCode {
        match self {
            DeleteRecordsError::Refused(DeleteError::OutOfRange { .. }) => ErrorCode::OffsetOutOfRange,
            DeleteRecordsError::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
            DeleteRecordsError::TimedOut { .. } => ErrorCode::RequestTimedOut,
        }
    }
}

/// Code and sentence of a metadata change that did not happen: refused by a rule, or not committed.
pub(crate) fn change_code<E: std::error::Error>(
    error: ChangeError<E>,
    refused: impl FnOnce(E) -> (ErrorCode, String),
) -> (ErrorCode, String) {
    match error {
        ChangeError::Refused(refusal) => refused(refusal),
        ChangeError::Propose(error) => (ErrorCode::RequestTimedOut, error.to_string()),
    }
}
