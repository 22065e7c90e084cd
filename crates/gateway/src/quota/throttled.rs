//! Where an answer tells the client to pause.

use eddy_wire::messages::*;

/// An answer of an API that clients use.
pub(crate) trait Throttled {
    /// The time that the client is to be quiet, in milliseconds; `None` where the API has no place for it.
    fn throttle_time_ms(&mut self) -> Option<&mut i32>;
}

macro_rules! throttled {
    ($($module:ident::$response:ident)*) => {
        $(impl Throttled for $module::$response {
            fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                Some(&mut self.throttle_time_ms)
            }
        })*
    };
}

macro_rules! silent {
    ($($module:ident::$response:ident)*) => {
        $(impl Throttled for $module::$response {
            fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                None
            }
        })*
    };
}

throttled! {
    produce::ProduceResponse
    fetch::FetchResponse
    list_offsets::ListOffsetsResponse
    metadata::MetadataResponse
    offset_commit::OffsetCommitResponse
    offset_fetch::OffsetFetchResponse
    find_coordinator::FindCoordinatorResponse
    join_group::JoinGroupResponse
    heartbeat::HeartbeatResponse
    leave_group::LeaveGroupResponse
    sync_group::SyncGroupResponse
    describe_groups::DescribeGroupsResponse
    list_groups::ListGroupsResponse
    api_versions::ApiVersionsResponse
    create_topics::CreateTopicsResponse
    delete_topics::DeleteTopicsResponse
    delete_records::DeleteRecordsResponse
    init_producer_id::InitProducerIdResponse
    offset_for_leader_epoch::OffsetForLeaderEpochResponse
    add_partitions_to_txn::AddPartitionsToTxnResponse
    add_offsets_to_txn::AddOffsetsToTxnResponse
    end_txn::EndTxnResponse
    txn_offset_commit::TxnOffsetCommitResponse
    describe_acls::DescribeAclsResponse
    create_acls::CreateAclsResponse
    delete_acls::DeleteAclsResponse
    describe_configs::DescribeConfigsResponse
    alter_configs::AlterConfigsResponse
    alter_replica_log_dirs::AlterReplicaLogDirsResponse
    describe_log_dirs::DescribeLogDirsResponse
    create_partitions::CreatePartitionsResponse
    create_delegation_token::CreateDelegationTokenResponse
    renew_delegation_token::RenewDelegationTokenResponse
    expire_delegation_token::ExpireDelegationTokenResponse
    describe_delegation_token::DescribeDelegationTokenResponse
    delete_groups::DeleteGroupsResponse
    elect_leaders::ElectLeadersResponse
    incremental_alter_configs::IncrementalAlterConfigsResponse
    alter_partition_reassignments::AlterPartitionReassignmentsResponse
    list_partition_reassignments::ListPartitionReassignmentsResponse
    offset_delete::OffsetDeleteResponse
    describe_client_quotas::DescribeClientQuotasResponse
    alter_client_quotas::AlterClientQuotasResponse
    describe_user_scram_credentials::DescribeUserScramCredentialsResponse
    alter_user_scram_credentials::AlterUserScramCredentialsResponse
    update_features::UpdateFeaturesResponse
    describe_cluster::DescribeClusterResponse
    describe_producers::DescribeProducersResponse
    unregister_broker::UnregisterBrokerResponse
    describe_transactions::DescribeTransactionsResponse
    list_transactions::ListTransactionsResponse
    consumer_group_heartbeat::ConsumerGroupHeartbeatResponse
    consumer_group_describe::ConsumerGroupDescribeResponse
    get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse
    push_telemetry::PushTelemetryResponse
    list_config_resources::ListConfigResourcesResponse
    describe_topic_partitions::DescribeTopicPartitionsResponse
    share_group_heartbeat::ShareGroupHeartbeatResponse
    share_group_describe::ShareGroupDescribeResponse
    share_fetch::ShareFetchResponse
    share_acknowledge::ShareAcknowledgeResponse
    add_raft_voter::AddRaftVoterResponse
    remove_raft_voter::RemoveRaftVoterResponse
    streams_group_heartbeat::StreamsGroupHeartbeatResponse
    streams_group_describe::StreamsGroupDescribeResponse
    describe_share_group_offsets::DescribeShareGroupOffsetsResponse
    alter_share_group_offsets::AlterShareGroupOffsetsResponse
    delete_share_group_offsets::DeleteShareGroupOffsetsResponse
}

silent! {
    sasl_handshake::SaslHandshakeResponse
    write_txn_markers::WriteTxnMarkersResponse
    sasl_authenticate::SaslAuthenticateResponse
    describe_quorum::DescribeQuorumResponse
}
