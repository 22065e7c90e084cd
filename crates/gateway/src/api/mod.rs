//! The APIs, one file each, named by key. What stands in [`SERVED`] is advertised and answered; nothing else is.

use eddy_wire::{ApiKey, Reader};

use crate::call::Call;
use crate::dispatch::{self, DispatchError};
use crate::pipeline::Answer;

pub(crate) mod k00_produce;
pub(crate) mod k01_fetch;
pub(crate) mod k02_list_offsets;
pub(crate) mod k03_metadata;
pub(crate) mod k08_offset_commit;
pub(crate) mod k09_offset_fetch;
pub(crate) mod k10_find_coordinator;
pub(crate) mod k11_join_group;
pub(crate) mod k12_heartbeat;
pub(crate) mod k13_leave_group;
pub(crate) mod k14_sync_group;
pub(crate) mod k15_describe_groups;
pub(crate) mod k16_list_groups;
pub(crate) mod k18_api_versions;
pub(crate) mod k19_create_topics;
pub(crate) mod k20_delete_topics;
pub(crate) mod k21_delete_records;
pub(crate) mod k22_init_producer_id;
pub(crate) mod k23_offset_for_leader_epoch;
pub(crate) mod k29_describe_acls;
pub(crate) mod k30_create_acls;
pub(crate) mod k31_delete_acls;
pub(crate) mod k32_describe_configs;
pub(crate) mod k33_alter_configs;
pub(crate) mod k34_alter_replica_log_dirs;
pub(crate) mod k35_describe_log_dirs;
pub(crate) mod k37_create_partitions;
pub(crate) mod k38_create_delegation_token;
pub(crate) mod k39_renew_delegation_token;
pub(crate) mod k40_expire_delegation_token;
pub(crate) mod k41_describe_delegation_token;
pub(crate) mod k42_delete_groups;
pub(crate) mod k43_elect_leaders;
pub(crate) mod k44_incremental_alter_configs;
pub(crate) mod k45_alter_partition_reassignments;
pub(crate) mod k46_list_partition_reassignments;
pub(crate) mod k47_offset_delete;
pub(crate) mod k48_describe_client_quotas;
pub(crate) mod k49_alter_client_quotas;
pub(crate) mod k50_describe_user_scram_credentials;
pub(crate) mod k55_describe_quorum;
pub(crate) mod k57_update_features;
pub(crate) mod k60_describe_cluster;
pub(crate) mod k61_describe_producers;
pub(crate) mod k64_unregister_broker;
pub(crate) mod k65_describe_transactions;
pub(crate) mod k66_list_transactions;
pub(crate) mod k68_consumer_group_heartbeat;
pub(crate) mod k69_consumer_group_describe;
pub(crate) mod k71_get_telemetry_subscriptions;
pub(crate) mod k72_push_telemetry;
pub(crate) mod k74_list_config_resources;
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
    k08_offset_commit::API,
    k09_offset_fetch::API,
    k10_find_coordinator::API,
    k11_join_group::API,
    k12_heartbeat::API,
    k13_leave_group::API,
    k14_sync_group::API,
    k15_describe_groups::API,
    k16_list_groups::API,
    k18_api_versions::API,
    k19_create_topics::API,
    k20_delete_topics::API,
    k21_delete_records::API,
    k22_init_producer_id::API,
    k23_offset_for_leader_epoch::API,
    k29_describe_acls::API,
    k30_create_acls::API,
    k31_delete_acls::API,
    k32_describe_configs::API,
    k33_alter_configs::API,
    k34_alter_replica_log_dirs::API,
    k35_describe_log_dirs::API,
    k37_create_partitions::API,
    k38_create_delegation_token::API,
    k39_renew_delegation_token::API,
    k40_expire_delegation_token::API,
    k41_describe_delegation_token::API,
    k42_delete_groups::API,
    k43_elect_leaders::API,
    k44_incremental_alter_configs::API,
    k45_alter_partition_reassignments::API,
    k46_list_partition_reassignments::API,
    k47_offset_delete::API,
    k48_describe_client_quotas::API,
    k49_alter_client_quotas::API,
    k50_describe_user_scram_credentials::API,
    k55_describe_quorum::API,
    k57_update_features::API,
    k60_describe_cluster::API,
    k61_describe_producers::API,
    k64_unregister_broker::API,
    k65_describe_transactions::API,
    k66_list_transactions::API,
    k68_consumer_group_heartbeat::API,
    k69_consumer_group_describe::API,
    k71_get_telemetry_subscriptions::API,
    k72_push_telemetry::API,
    k74_list_config_resources::API,
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
    match call.api {
        ApiKey::Produce => k00_produce::handle(call, reader).await,
        ApiKey::Fetch => k01_fetch::handle(call, reader),
        // In a box of its own: a connection would otherwise be as large as the largest of them, for every record it brings.
        _ => Box::pin(handle_rare(call, reader)).await,
    }
}

/// The requests that are not made all the time.
async fn handle_rare(call: Call, reader: Reader) -> Result<Answer, DispatchError> {
    use dispatch::{answer, answer_later};
    match call.api {
        ApiKey::ListOffsets => answer(call, reader, k02_list_offsets::handle).await,
        ApiKey::Metadata => answer(call, reader, k03_metadata::handle).await,
        ApiKey::ApiVersions => answer(call, reader, k18_api_versions::handle).await,
        ApiKey::CreateTopics => answer(call, reader, k19_create_topics::handle).await,
        ApiKey::DeleteTopics => answer(call, reader, k20_delete_topics::handle).await,
        ApiKey::DeleteRecords => answer(call, reader, k21_delete_records::handle).await,
        ApiKey::InitProducerId => answer(call, reader, k22_init_producer_id::handle).await,
        ApiKey::OffsetForLeaderEpoch => answer(call, reader, k23_offset_for_leader_epoch::handle).await,
        ApiKey::DescribeAcls => answer(call, reader, k29_describe_acls::handle).await,
        ApiKey::CreateAcls => answer(call, reader, k30_create_acls::handle).await,
        ApiKey::DeleteAcls => answer(call, reader, k31_delete_acls::handle).await,
        ApiKey::DescribeConfigs => answer(call, reader, k32_describe_configs::handle).await,
        ApiKey::AlterConfigs => answer(call, reader, k33_alter_configs::handle).await,
        ApiKey::AlterReplicaLogDirs => answer(call, reader, k34_alter_replica_log_dirs::handle).await,
        ApiKey::DescribeLogDirs => answer(call, reader, k35_describe_log_dirs::handle).await,
        ApiKey::CreatePartitions => answer(call, reader, k37_create_partitions::handle).await,
        ApiKey::CreateDelegationToken => answer(call, reader, k38_create_delegation_token::handle).await,
        ApiKey::RenewDelegationToken => answer(call, reader, k39_renew_delegation_token::handle).await,
        ApiKey::ExpireDelegationToken => answer(call, reader, k40_expire_delegation_token::handle).await,
        ApiKey::DescribeDelegationToken => answer(call, reader, k41_describe_delegation_token::handle).await,
        ApiKey::ElectLeaders => answer(call, reader, k43_elect_leaders::handle).await,
        ApiKey::IncrementalAlterConfigs => answer(call, reader, k44_incremental_alter_configs::handle).await,
        ApiKey::AlterPartitionReassignments => {
            answer(call, reader, k45_alter_partition_reassignments::handle).await
        }
        ApiKey::ListPartitionReassignments => {
            answer(call, reader, k46_list_partition_reassignments::handle).await
        }
        ApiKey::DescribeClientQuotas => answer(call, reader, k48_describe_client_quotas::handle).await,
        ApiKey::AlterClientQuotas => answer(call, reader, k49_alter_client_quotas::handle).await,
        ApiKey::DescribeUserScramCredentials => {
            answer(call, reader, k50_describe_user_scram_credentials::handle).await
        }
        ApiKey::DescribeQuorum => answer(call, reader, k55_describe_quorum::handle).await,
        ApiKey::UpdateFeatures => answer(call, reader, k57_update_features::handle).await,
        ApiKey::DescribeCluster => answer(call, reader, k60_describe_cluster::handle).await,
        ApiKey::DescribeProducers => answer(call, reader, k61_describe_producers::handle).await,
        ApiKey::UnregisterBroker => answer(call, reader, k64_unregister_broker::handle).await,
        ApiKey::DescribeTransactions => answer(call, reader, k65_describe_transactions::handle).await,
        ApiKey::ListTransactions => answer(call, reader, k66_list_transactions::handle).await,
        ApiKey::ListConfigResources => answer(call, reader, k74_list_config_resources::handle).await,
        ApiKey::DescribeTopicPartitions => answer(call, reader, k75_describe_topic_partitions::handle).await,
        ApiKey::OffsetCommit => answer_later(call, reader, k08_offset_commit::begin).await,
        ApiKey::OffsetFetch => answer_later(call, reader, k09_offset_fetch::begin).await,
        ApiKey::FindCoordinator => answer(call, reader, k10_find_coordinator::handle).await,
        ApiKey::JoinGroup => answer_later(call, reader, k11_join_group::begin).await,
        ApiKey::Heartbeat => answer_later(call, reader, k12_heartbeat::begin).await,
        ApiKey::LeaveGroup => answer_later(call, reader, k13_leave_group::begin).await,
        ApiKey::SyncGroup => answer_later(call, reader, k14_sync_group::begin).await,
        ApiKey::DescribeGroups => answer_later(call, reader, k15_describe_groups::begin).await,
        ApiKey::ListGroups => answer(call, reader, k16_list_groups::handle).await,
        ApiKey::DeleteGroups => answer_later(call, reader, k42_delete_groups::begin).await,
        ApiKey::OffsetDelete => answer_later(call, reader, k47_offset_delete::begin).await,
        ApiKey::ConsumerGroupHeartbeat => {
            answer_later(call, reader, k68_consumer_group_heartbeat::begin).await
        }
        ApiKey::ConsumerGroupDescribe => answer_later(call, reader, k69_consumer_group_describe::begin).await,
        ApiKey::GetTelemetrySubscriptions => {
            answer(call, reader, k71_get_telemetry_subscriptions::handle).await
        }
        ApiKey::PushTelemetry => answer(call, reader, k72_push_telemetry::handle).await,
        other => unreachable!("{other} is in SERVED and has no handler"),
    }
}
