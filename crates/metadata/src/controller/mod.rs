//! Decisions of the controller: what a request changes, or why it is refused.
//!
//! Each function takes the newest image and a request and returns the records to commit with what the answer needs, or a
//! typed error with Kafka's code. Nothing is changed here: the caller commits the records, and must let no other decision
//! come between. A request that only validates is decided in the same way and its records are dropped.

mod brokers;
mod configs;
mod partitions;
mod placement;
mod producer_ids;
mod quotas;
mod reassignments;
#[cfg(test)]
mod tests;
mod topics;

pub use brokers::{Registration, reclaim_directories, register_broker};
pub use configs::{
    AlterConfigsError, AlterOperation, ConfigChange, ConfigTarget, alter_configs, replace_configs,
};
pub use partitions::{CreatePartitionsError, NewPartitions, create_partitions};
pub use placement::PlacementError;
pub use producer_ids::{PRODUCER_ID_BLOCK, ProducerIdBlock, ProducerIdsExhausted, allocate_producer_ids};
pub use quotas::{
    NamedPart, QuotaChange, QuotaError, QuotaFilter, alter_client_quotas, describe_client_quotas,
    quota_entity,
};
pub use reassignments::{ReassignmentError, check_reassignment};
pub use topics::{
    CreateTopicError, CreatedTopic, DeleteTopicError, NewTopic, TopicRef, check_topic_name, create_topic,
    create_topics, delete_topic,
};
