//! The APIs, one file each, named by key. What stands in [`SERVED`] is advertised and answered; nothing else is.

use eddy_wire::{ApiKey, Reader};

use crate::call::Call;
use crate::dispatch::{self, DispatchError};
use crate::pipeline::Answer;

pub(crate) mod k00_produce;
pub(crate) mod k01_fetch;
pub(crate) mod k02_list_offsets;
pub(crate) mod k03_metadata;
pub(crate) mod k18_api_versions;
pub(crate) mod k19_create_topics;
pub(crate) mod k20_delete_topics;
pub(crate) mod k21_delete_records;
pub(crate) mod k22_init_producer_id;
pub(crate) mod k23_offset_for_leader_epoch;
pub(crate) mod k32_describe_configs;
pub(crate) mod k33_alter_configs;
pub(crate) mod k35_describe_log_dirs;
pub(crate) mod k37_create_partitions;
pub(crate) mod k44_incremental_alter_configs;
pub(crate) mod k60_describe_cluster;
pub(crate) mod k61_describe_producers;
pub(crate) mod k75_describe_topic_partitions;

/// An API and the versions it is served in: those of Kafka 4.3.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Api {
    pub(crate) const fn new(key: ApiKey, min: i16, max: i16) -> Api {
        Api { key, min, max }
    }
}

/// Every API this broker serves.
pub(crate) const SERVED: &[Api] = &[
    k00_produce::API,
    k01_fetch::API,
    k02_list_offsets::API,
    k03_metadata::API,
    k18_api_versions::API,
    k19_create_topics::API,
    k20_delete_topics::API,
    k21_delete_records::API,
    k22_init_producer_id::API,
    k23_offset_for_leader_epoch::API,
    k32_describe_configs::API,
    k33_alter_configs::API,
    k35_describe_log_dirs::API,
    k37_create_partitions::API,
    k44_incremental_alter_configs::API,
    k60_describe_cluster::API,
    k61_describe_producers::API,
    k75_describe_topic_partitions::API,
];

/// Keys of all served APIs.
pub(crate) fn keys() -> Vec<ApiKey> {
    SERVED.iter().map(|api| api.key).collect()
}

/// Whether a version of an API is served.
pub(crate) fn serves(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|api| api.key == key && (api.min..=api.max).contains(&version))
}

/// Hands a request to its file.
pub(crate) async fn handle(call: Call, reader: Reader) -> Result<Answer, DispatchError> {
    use dispatch::answer;
    match call.api {
        ApiKey::Produce => k00_produce::handle(call, reader).await,
        ApiKey::Fetch => k01_fetch::handle(call, reader),
        ApiKey::ListOffsets => answer(call, reader, k02_list_offsets::handle).await,
        ApiKey::Metadata => answer(call, reader, k03_metadata::handle).await,
        ApiKey::ApiVersions => answer(call, reader, k18_api_versions::handle).await,
        ApiKey::CreateTopics => answer(call, reader, k19_create_topics::handle).await,
        ApiKey::DeleteTopics => answer(call, reader, k20_delete_topics::handle).await,
        ApiKey::DeleteRecords => answer(call, reader, k21_delete_records::handle).await,
        ApiKey::InitProducerId => answer(call, reader, k22_init_producer_id::handle).await,
        ApiKey::OffsetForLeaderEpoch => answer(call, reader, k23_offset_for_leader_epoch::handle).await,
        ApiKey::DescribeConfigs => answer(call, reader, k32_describe_configs::handle).await,
        ApiKey::AlterConfigs => answer(call, reader, k33_alter_configs::handle).await,
        ApiKey::DescribeLogDirs => answer(call, reader, k35_describe_log_dirs::handle).await,
        ApiKey::CreatePartitions => answer(call, reader, k37_create_partitions::handle).await,
        ApiKey::IncrementalAlterConfigs => answer(call, reader, k44_incremental_alter_configs::handle).await,
        ApiKey::DescribeCluster => answer(call, reader, k60_describe_cluster::handle).await,
        ApiKey::DescribeProducers => answer(call, reader, k61_describe_producers::handle).await,
        ApiKey::DescribeTopicPartitions => answer(call, reader, k75_describe_topic_partitions::handle).await,
        other => unreachable!("{other} is in SERVED and has no handler"),
    }
}
