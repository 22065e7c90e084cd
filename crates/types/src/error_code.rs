//! Kafka's error codes: number, name, whether a client should retry, and what it means.

macro_rules! error_codes {
    ($($code:literal $name:ident $kafka:literal $retriable:literal $text:literal)*) => {
        /// An error code of the Kafka protocol (codes of Kafka 4.3; never one of our own).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $text] $name = $code,)*
        }

        impl ErrorCode {
            /// Every code, ascending.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code of a number, `None` for a number Kafka does not use.
            #[must_use]
            pub fn from_code(code: i16) -> Option<ErrorCode> {
                match code {
                    $($code => Some(ErrorCode::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $kafka,)*
                }
            }

            /// Whether a client is expected to try again.
            #[must_use]
            pub fn is_retriable(self) -> bool {
                match self {
                    $(ErrorCode::$name => $retriable,)*
                }
            }

            /// What the code means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $text,)*
                }
            }
        }
    };
}

error_codes! {
    -1 UnknownServerError "UNKNOWN_SERVER_ERROR" false "The server met an error it has no code for."
    0 None "NONE" false "No error."
    1 OffsetOutOfRange "OFFSET_OUT_OF_RANGE" false "The offset is outside the range of offsets the server holds for the partition."
    2 CorruptMessage "CORRUPT_MESSAGE" true "A record batch failed its checksum, exceeds its size or is otherwise corrupt."
    3 UnknownTopicOrPartition "UNKNOWN_TOPIC_OR_PARTITION" true "The server does not host this topic-partition."
    4 InvalidFetchSize "INVALID_FETCH_SIZE" false "The fetch size is invalid."
    5 LeaderNotAvailable "LEADER_NOT_AVAILABLE" true "The partition has no leader at the moment."
    6 NotLeaderOrFollower "NOT_LEADER_OR_FOLLOWER" true "The broker is not the leader, or not a replica, of the partition."
    7 RequestTimedOut "REQUEST_TIMED_OUT" true "The request timed out."
    8 BrokerNotAvailable "BROKER_NOT_AVAILABLE" false "The broker is not available."
    9 ReplicaNotAvailable "REPLICA_NOT_AVAILABLE" true "The replica is not available for the topic-partition."
    10 MessageTooLarge "MESSAGE_TOO_LARGE" false "The batch is larger than the broker accepts."
    11 StaleControllerEpoch "STALE_CONTROLLER_EPOCH" false "The controller moved to another broker."
    12 OffsetMetadataTooLarge "OFFSET_METADATA_TOO_LARGE" false "The metadata of the offset commit is too large."
    13 NetworkException "NETWORK_EXCEPTION" true "The server disconnected before an answer came."
    14 CoordinatorLoadInProgress "COORDINATOR_LOAD_IN_PROGRESS" true "The coordinator is loading its state."
    15 CoordinatorNotAvailable "COORDINATOR_NOT_AVAILABLE" true "The coordinator is not available."
    16 NotCoordinator "NOT_COORDINATOR" true "This broker is not the coordinator."
    17 InvalidTopicException "INVALID_TOPIC_EXCEPTION" false "The topic name is not allowed."
    18 RecordListTooLarge "RECORD_LIST_TOO_LARGE" false "The batch is larger than the segment size."
    19 NotEnoughReplicas "NOT_ENOUGH_REPLICAS" true "Fewer replicas are in sync than the topic requires."
    20 NotEnoughReplicasAfterAppend "NOT_ENOUGH_REPLICAS_AFTER_APPEND" true "The records were written, but to fewer in-sync replicas than required."
    21 InvalidRequiredAcks "INVALID_REQUIRED_ACKS" false "acks must be -1, 0 or 1."
    22 IllegalGeneration "ILLEGAL_GENERATION" false "The group generation is not valid."
    23 InconsistentGroupProtocol "INCONSISTENT_GROUP_PROTOCOL" false "The member's protocols do not fit those of the group."
    24 InvalidGroupId "INVALID_GROUP_ID" false "The group id is not valid."
    25 UnknownMemberId "UNKNOWN_MEMBER_ID" false "The coordinator does not know this member."
    26 InvalidSessionTimeout "INVALID_SESSION_TIMEOUT" false "The session timeout is outside the allowed range."
    27 RebalanceInProgress "REBALANCE_IN_PROGRESS" false "The group is rebalancing: rejoin."
    28 InvalidCommitOffsetSize "INVALID_COMMIT_OFFSET_SIZE" false "The offset commit is too large."
    29 TopicAuthorizationFailed "TOPIC_AUTHORIZATION_FAILED" false "Not authorized for the topic."
    30 GroupAuthorizationFailed "GROUP_AUTHORIZATION_FAILED" false "Not authorized for the group."
    31 ClusterAuthorizationFailed "CLUSTER_AUTHORIZATION_FAILED" false "Not authorized for the cluster."
    32 InvalidTimestamp "INVALID_TIMESTAMP" false "A record timestamp is out of the accepted range."
    33 UnsupportedSaslMechanism "UNSUPPORTED_SASL_MECHANISM" false "The SASL mechanism is not supported."
    34 IllegalSaslState "ILLEGAL_SASL_STATE" false "The request is not valid in this SASL state."
    35 UnsupportedVersion "UNSUPPORTED_VERSION" false "The version of the API is not supported."
    36 TopicAlreadyExists "TOPIC_ALREADY_EXISTS" false "A topic of this name exists."
    37 InvalidPartitions "INVALID_PARTITIONS" false "The number of partitions is not valid."
    38 InvalidReplicationFactor "INVALID_REPLICATION_FACTOR" false "The replication factor is below 1 or above the number of available brokers."
    39 InvalidReplicaAssignment "INVALID_REPLICA_ASSIGNMENT" false "The replica assignment is not valid."
    40 InvalidConfig "INVALID_CONFIG" false "A configuration value is not valid."
    41 NotController "NOT_CONTROLLER" true "This is not the controller of the cluster."
    42 InvalidRequest "INVALID_REQUEST" false "The request is malformed for its API."
    43 UnsupportedForMessageFormat "UNSUPPORTED_FOR_MESSAGE_FORMAT" false "The message format does not support the request."
    44 PolicyViolation "POLICY_VIOLATION" false "The request violates a policy of the cluster."
    45 OutOfOrderSequenceNumber "OUT_OF_ORDER_SEQUENCE_NUMBER" false "The sequence number does not follow the last one."
    46 DuplicateSequenceNumber "DUPLICATE_SEQUENCE_NUMBER" false "The sequence number was written already."
    47 InvalidProducerEpoch "INVALID_PRODUCER_EPOCH" false "The producer epoch is older than the current one."
    48 InvalidTxnState "INVALID_TXN_STATE" false "The operation is not valid in this transaction state."
    49 InvalidProducerIdMapping "INVALID_PRODUCER_ID_MAPPING" false "The producer id does not belong to this transactional id."
    50 InvalidTransactionTimeout "INVALID_TRANSACTION_TIMEOUT" false "The transaction timeout is larger than the broker allows."
    51 ConcurrentTransactions "CONCURRENT_TRANSACTIONS" true "Another operation on this transaction is under way."
    52 TransactionCoordinatorFenced "TRANSACTION_COORDINATOR_FENCED" false "The transaction coordinator was replaced."
    53 TransactionalIdAuthorizationFailed "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" false "Not authorized for the transactional id."
    54 SecurityDisabled "SECURITY_DISABLED" false "Security features are disabled."
    55 OperationNotAttempted "OPERATION_NOT_ATTEMPTED" false "The operation was not attempted."
    56 KafkaStorageError "KAFKA_STORAGE_ERROR" true "The disk of the broker failed for this partition."
    57 LogDirNotFound "LOG_DIR_NOT_FOUND" false "The log directory does not exist on the broker."
    58 SaslAuthenticationFailed "SASL_AUTHENTICATION_FAILED" false "Authentication failed."
    59 UnknownProducerId "UNKNOWN_PRODUCER_ID" false "The broker has no state for the producer id."
    60 ReassignmentInProgress "REASSIGNMENT_IN_PROGRESS" false "A reassignment of the partition is under way."
    61 DelegationTokenAuthDisabled "DELEGATION_TOKEN_AUTH_DISABLED" false "Delegation tokens are disabled."
    62 DelegationTokenNotFound "DELEGATION_TOKEN_NOT_FOUND" false "The delegation token does not exist."
    63 DelegationTokenOwnerMismatch "DELEGATION_TOKEN_OWNER_MISMATCH" false "The delegation token has another owner."
    64 DelegationTokenRequestNotAllowed "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" false "Delegation tokens are not allowed on this connection."
    65 DelegationTokenAuthorizationFailed "DELEGATION_TOKEN_AUTHORIZATION_FAILED" false "Not authorized for the delegation token."
    66 DelegationTokenExpired "DELEGATION_TOKEN_EXPIRED" false "The delegation token has expired."
    67 InvalidPrincipalType "INVALID_PRINCIPAL_TYPE" false "The principal type is not supported."
    68 NonEmptyGroup "NON_EMPTY_GROUP" false "The group is not empty."
    69 GroupIdNotFound "GROUP_ID_NOT_FOUND" false "The group does not exist."
    70 FetchSessionIdNotFound "FETCH_SESSION_ID_NOT_FOUND" true "The fetch session does not exist."
    71 InvalidFetchSessionEpoch "INVALID_FETCH_SESSION_EPOCH" true "The fetch session epoch is not the expected one."
    72 ListenerNotFound "LISTENER_NOT_FOUND" true "The leader has no listener of the kind the request came in on."
    73 TopicDeletionDisabled "TOPIC_DELETION_DISABLED" false "Deletion of topics is disabled."
    74 FencedLeaderEpoch "FENCED_LEADER_EPOCH" true "The leader epoch of the request is older than the current one."
    75 UnknownLeaderEpoch "UNKNOWN_LEADER_EPOCH" true "The leader epoch of the request is newer than the one known here."
    76 UnsupportedCompressionType "UNSUPPORTED_COMPRESSION_TYPE" false "The client does not support the compression of the data."
    77 StaleBrokerEpoch "STALE_BROKER_EPOCH" false "The broker epoch is not the current one."
    78 OffsetNotAvailable "OFFSET_NOT_AVAILABLE" true "The leader does not know its high watermark yet."
    79 MemberIdRequired "MEMBER_ID_REQUIRED" false "Join again with the member id of this answer."
    80 PreferredLeaderNotAvailable "PREFERRED_LEADER_NOT_AVAILABLE" true "The preferred leader is not available."
    81 GroupMaxSizeReached "GROUP_MAX_SIZE_REACHED" false "The group is full."
    82 FencedInstanceId "FENCED_INSTANCE_ID" false "The static member was replaced by another with the same instance id."
    83 EligibleLeadersNotAvailable "ELIGIBLE_LEADERS_NOT_AVAILABLE" true "No eligible leader is available."
    84 ElectionNotNeeded "ELECTION_NOT_NEEDED" true "The partition needs no election."
    85 NoReassignmentInProgress "NO_REASSIGNMENT_IN_PROGRESS" false "No reassignment is under way."
    86 GroupSubscribedToTopic "GROUP_SUBSCRIBED_TO_TOPIC" false "The group is subscribed to the topic."
    87 InvalidRecord "INVALID_RECORD" false "A record failed the broker's validation."
    88 UnstableOffsetCommit "UNSTABLE_OFFSET_COMMIT" true "Offsets of an open transaction are not settled yet."
    89 ThrottlingQuotaExceeded "THROTTLING_QUOTA_EXCEEDED" true "The throttling quota is exceeded."
    90 ProducerFenced "PRODUCER_FENCED" false "A newer producer with the same transactional id fenced this one."
    91 ResourceNotFound "RESOURCE_NOT_FOUND" false "The resource does not exist."
    92 DuplicateResource "DUPLICATE_RESOURCE" false "The resource is named twice."
    93 UnacceptableCredential "UNACCEPTABLE_CREDENTIAL" false "The credential does not meet the requirements."
    94 InconsistentVoterSet "INCONSISTENT_VOTER_SET" false "The voter sets do not agree."
    95 InvalidUpdateVersion "INVALID_UPDATE_VERSION" false "The update version is not valid."
    96 FeatureUpdateFailed "FEATURE_UPDATE_FAILED" false "The feature update failed."
    97 PrincipalDeserializationFailure "PRINCIPAL_DESERIALIZATION_FAILURE" false "The forwarded principal could not be read."
    98 SnapshotNotFound "SNAPSHOT_NOT_FOUND" false "The snapshot does not exist."
    99 PositionOutOfRange "POSITION_OUT_OF_RANGE" false "The position is outside the snapshot."
    100 UnknownTopicId "UNKNOWN_TOPIC_ID" true "The server does not host this topic id."
    101 DuplicateBrokerRegistration "DUPLICATE_BROKER_REGISTRATION" false "A broker with this id is registered already."
    102 BrokerIdNotRegistered "BROKER_ID_NOT_REGISTERED" false "The broker id is not registered."
    103 InconsistentTopicId "INCONSISTENT_TOPIC_ID" true "The topic id does not belong to the topic held here."
    104 InconsistentClusterId "INCONSISTENT_CLUSTER_ID" false "The cluster id is another cluster's."
    105 TransactionalIdNotFound "TRANSACTIONAL_ID_NOT_FOUND" false "The transactional id does not exist."
    106 FetchSessionTopicIdError "FETCH_SESSION_TOPIC_ID_ERROR" true "The fetch session mixes topic names and topic ids."
    107 IneligibleReplica "INELIGIBLE_REPLICA" false "The replica may not join the ISR."
    108 NewLeaderElected "NEW_LEADER_ELECTED" false "A new leader was elected."
    109 OffsetMovedToTieredStorage "OFFSET_MOVED_TO_TIERED_STORAGE" false "The offset is in tiered storage."
    110 FencedMemberEpoch "FENCED_MEMBER_EPOCH" false "The member epoch is fenced: rejoin."
    111 UnreleasedInstanceId "UNRELEASED_INSTANCE_ID" false "The instance id is still used by another member."
    112 UnsupportedAssignor "UNSUPPORTED_ASSIGNOR" false "The assignor is not supported."
    113 StaleMemberEpoch "STALE_MEMBER_EPOCH" false "The member epoch is stale: retry with the new one."
    114 MismatchedEndpointType "MISMATCHED_ENDPOINT_TYPE" false "The request went to an endpoint of the wrong type."
    115 UnsupportedEndpointType "UNSUPPORTED_ENDPOINT_TYPE" false "The endpoint type is not supported."
    116 UnknownControllerId "UNKNOWN_CONTROLLER_ID" false "The controller id is not known."
    117 UnknownSubscriptionId "UNKNOWN_SUBSCRIPTION_ID" false "The telemetry subscription is not known."
    118 TelemetryTooLarge "TELEMETRY_TOO_LARGE" false "The telemetry is larger than the broker accepts."
    119 InvalidRegistration "INVALID_REGISTRATION" false "The registration is not valid."
    120 TransactionAbortable "TRANSACTION_ABORTABLE" false "The transaction must be aborted."
    121 InvalidRecordState "INVALID_RECORD_STATE" false "The record is not acquired by this member."
    122 ShareSessionNotFound "SHARE_SESSION_NOT_FOUND" true "The share session does not exist."
    123 InvalidShareSessionEpoch "INVALID_SHARE_SESSION_EPOCH" true "The share session epoch is not the expected one."
    124 FencedStateEpoch "FENCED_STATE_EPOCH" false "The share state epoch is fenced."
    125 InvalidVoterKey "INVALID_VOTER_KEY" false "The voter key does not match."
    126 DuplicateVoter "DUPLICATE_VOTER" false "The voter exists already."
    127 VoterNotFound "VOTER_NOT_FOUND" false "The voter does not exist."
    128 InvalidRegularExpression "INVALID_REGULAR_EXPRESSION" false "The regular expression is not valid."
    129 RebootstrapRequired "REBOOTSTRAP_REQUIRED" false "The client must bootstrap again."
    130 StreamsInvalidTopology "STREAMS_INVALID_TOPOLOGY" false "The topology is not valid."
    131 StreamsInvalidTopologyEpoch "STREAMS_INVALID_TOPOLOGY_EPOCH" false "The topology epoch is not valid."
    132 StreamsTopologyFenced "STREAMS_TOPOLOGY_FENCED" false "The topology epoch is fenced."
    133 ShareSessionLimitReached "SHARE_SESSION_LIMIT_REACHED" true "The limit of share sessions is reached."
    134 GroupDeletionFailed "GROUP_DELETION_FAILED" false "The group could not be deleted."
    135 StreamsTopologyDescriptionUpdateFailed "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED" false "The topology description could not be updated."
    136 ControllerIdNotRegistered "CONTROLLER_ID_NOT_REGISTERED" false "The controller id is not registered."
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn every_number_from_minus_one_to_136_is_a_code_and_comes_back() {
        assert_eq!(ErrorCode::ALL.len(), 138);
        for (number, code) in (-1..).zip(ErrorCode::ALL) {
            assert_eq!(code.code(), number);
            assert_eq!(ErrorCode::from_code(number), Some(*code));
        }
        assert_eq!(ErrorCode::from_code(137), None);
    }
}
