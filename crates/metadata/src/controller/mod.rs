//! Decisions of the controller: what a request changes, or why it is refused.
//!
//! Each function takes the newest image and a request and returns the records to commit with what the answer needs, or a
//! typed error with Kafka's code. Nothing is changed here: the caller commits the records, and must let no other decision
//! come between. A request that only validates is decided in the same way and its records are dropped.

mod brokers;
mod change;
#[cfg(test)]
mod cluster_tests;
mod configs;
mod drain;
mod elections;
mod isr;
mod liveness;
mod min_isr;
mod partitions;
mod placement;
mod producer_ids;
mod quotas;
mod reassignments;
#[cfg(test)]
mod tests;
mod topics;

pub use brokers::{
    RegisterError, Registration, begin_shutdown, fence_broker, reclaim_directories, register_broker,
};
pub use configs::{
    AlterConfigsError, AlterOperation, ConfigChange, ConfigTarget, alter_configs, replace_configs,
};
pub use drain::{
    DRAINS_AT_ONCE_MAX, Decommission, DrainError, Removal, decommission, drain_broker, remove_broker,
    undrain_broker, upkeep,
};
pub use elections::{
    ElectionKind, ElectionOutcome, ElectionRefusal, MOVES_PER_ROUND_MAX, elect_leaders, preferred_leaders,
};
pub use isr::{IsrAccepted, IsrChange, IsrRefusal, alter_partitions};
pub use liveness::{Liveness, Silence};
pub use partitions::{CreatePartitionsError, NewPartitions, create_partitions};
pub use placement::PlacementError;
pub use producer_ids::{PRODUCER_ID_BLOCK, ProducerIdBlock, ProducerIdsExhausted, allocate_producer_ids};
pub use quotas::{
    NamedPart, QuotaChange, QuotaError, QuotaFilter, alter_client_quotas, describe_client_quotas,
    quota_entity,
};
pub use reassignments::{
    NewReplicas, Reassignment, ReassignmentError, alter_reassignments, list_reassignments,
};
pub use topics::{
    CreateTopicError, CreatedTopic, DeleteTopicError, NewTopic, TopicRef, check_topic_name, create_topic,
    create_topics, delete_topic,
};
