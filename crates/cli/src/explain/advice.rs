//! What to do about each error code of the Kafka protocol.
//!
//! One entry per code, exhaustively: a code that is added to the protocol does not compile until it has an entry. Several
//! codes share an entry where the remedy is the same. What a code means stands with the code itself, in `eddy_types`.

use eddy_types::ErrorCode::{self, *};

/// What the one who meets the code can do, in order of likelihood.
pub(crate) fn advice(code: ErrorCode) -> &'static [&'static str] {
    match code {
        None => &["Nothing: the request succeeded."],
        UnknownServerError => &[
            "Look into the log of the broker that answered: the cause stands there.",
            "A client does not try again by itself; the application may.",
        ],
        OffsetOutOfRange => &[
            "The records were deleted by retention before they were read, or the topic was deleted and created again.",
            "eddy topic describe TOPIC shows where each partition starts and ends.",
            "eddy group seek GROUP --to earliest (or latest) moves a group back into the range; set auto.offset.reset to let consumers do it.",
        ],
        CorruptMessage => &[
            "Network or memory damaged the batch on its way: a producer sends it again by itself.",
            "If it stays: a record lacks the key that a compacted topic needs, or the client's compression library is at fault.",
        ],
        UnknownTopicOrPartition => &[
            "eddy topic ls shows which topics there are; names are case-sensitive.",
            "eddy topic create TOPIC creates it; just after that, clients see this code for a moment.",
            "With ACLs, a topic that may not be seen is reported as one that does not exist.",
        ],
        InvalidFetchSize => {
            &["Set fetch.max.bytes and max.partition.fetch.bytes of the consumer to positive numbers."]
        }
        LeaderNotAvailable => &[
            "Wait: a new topic has no leader for a moment, and an election is short.",
            "eddy cluster health shows partitions that stay without a leader: a broker that holds them must come back.",
        ],
        NotLeaderOrFollower => &[
            "Nothing: the client refreshes its metadata and goes to the new leader.",
            "If it repeats: eddy doctor checks that the addresses which brokers advertise lead to those brokers.",
        ],
        RequestTimedOut => &[
            "The broker did not finish in the time the request allowed: eddy cluster health shows what is behind.",
            "With acks=all, a follower in the ISR may be slow: it leaves the ISR after replica.lag.time.max.ms.",
            "Raise request.timeout.ms, and delivery.timeout.ms of a producer, if the load is meant.",
        ],
        BrokerNotAvailable => &["Start the broker; eddy cluster brokers shows which ones are registered."],
        ReplicaNotAvailable => {
            &["Wait for the reassignment or election to end; eddy topic describe TOPIC shows the replicas."]
        }
        MessageTooLarge => &[
            "Raise max.message.bytes of the topic: eddy config set topic TOPIC max.message.bytes=N; max.request.size of the producer must follow.",
            "Compress, or keep large values elsewhere and send a reference.",
        ],
        StaleControllerEpoch => &[
            "Between brokers only: the request came from a controller that was replaced. It settles by itself.",
        ],
        OffsetMetadataTooLarge => {
            &["Commit a shorter metadata string, or raise offset.metadata.max.bytes of the brokers."]
        }
        NetworkException => &[
            "eddy doctor checks name, port and each advertised address from here.",
            "A broker that stops or a load balancer that closes idle connections causes it too; clients reconnect.",
        ],
        CoordinatorLoadInProgress => &[
            "Wait: the coordinator reads its partition after a start or a change of leader. Clients try again.",
        ],
        CoordinatorNotAvailable => &[
            "Wait: the internal topic __consumer_offsets or __transaction_state is being created or has no leader.",
            "eddy cluster health shows if it stays so: offsets.topic.replication.factor must not be above the number of brokers.",
        ],
        NotCoordinator => &["Nothing: the client asks for the coordinator again."],
        InvalidTopicException => &[
            "Use letters, digits, '.', '_' and '-', 249 characters at most; '.' and '..' are not names. Internal topics are not written to.",
        ],
        RecordListTooLarge => &["Lower batch.size of the producer, or raise segment.bytes of the topic."],
        NotEnoughReplicas | NotEnoughReplicasAfterAppend => &[
            "eddy topic describe TOPIC shows which replicas are out of the ISR; bring their brokers back.",
            "min.insync.replicas must not be above the number of replicas; lower it only when fewer copies are meant.",
            "After NOT_ENOUGH_REPLICAS_AFTER_APPEND the records are in the log: without idempotence, sending again duplicates them.",
        ],
        InvalidRequiredAcks => &["Set acks of the producer to 0, 1 or all."],
        IllegalGeneration => &[
            "Nothing when seldom: the member missed a rebalance and joins again.",
            "When often: one poll takes longer than max.poll.interval.ms; lower max.poll.records or raise the interval.",
        ],
        InconsistentGroupProtocol => &[
            "All members must share one partition.assignment.strategy and one group type.",
            "Roll the change out in two steps: first both strategies, then the old one removed.",
        ],
        InvalidGroupId => &["Set group.id to a text that is not empty."],
        UnknownMemberId => &[
            "Nothing when seldom: the member was removed from its group and joins again.",
            "When often: heartbeats come later than session.timeout.ms, or one poll takes longer than max.poll.interval.ms.",
        ],
        InvalidSessionTimeout => &[
            "Set session.timeout.ms between group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers.",
        ],
        RebalanceInProgress => &[
            "Nothing when seldom: the member joins again and goes on.",
            "When often: eddy group describe GROUP shows who comes and goes; static members (group.instance.id) and the consumer protocol (group.protocol=consumer) rebalance less.",
        ],
        InvalidCommitOffsetSize => &["Commit fewer partitions in one request."],
        TopicAuthorizationFailed => {
            &["Grant READ, WRITE or DESCRIBE on the topic to the client's principal."]
        }
        GroupAuthorizationFailed => &["Grant READ on the group to the client's principal."],
        ClusterAuthorizationFailed => &[
            "Grant the operation on the cluster to the client's principal; an idempotent producer once needed IDEMPOTENT_WRITE.",
        ],
        InvalidTimestamp => &[
            "The topic refuses timestamps far from the broker's clock: correct the producer's clock, or message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic.",
        ],
        UnsupportedSaslMechanism => {
            &["Set sasl.mechanism of the client to one that the broker has enabled; the answer names them."]
        }
        IllegalSaslState => &[
            "The client spoke Kafka before it authenticated, or twice: security.protocol of the client must fit the listener.",
        ],
        UnsupportedVersion => &[
            "The client is newer or older than the broker for this API: a field or feature it needs is missing.",
            "eddy doctor shows which APIs and versions the broker serves.",
        ],
        TopicAlreadyExists => {
            &["Use the topic that is there, choose another name, or delete it: eddy topic delete TOPIC."]
        }
        InvalidPartitions => &["The number of partitions must be above 0, and can only grow."],
        InvalidReplicationFactor => {
            &["Ask for no more replicas than there are live brokers: eddy cluster brokers."]
        }
        InvalidReplicaAssignment => {
            &["Name registered brokers, each once in a partition, and the same number for each partition."]
        }
        InvalidConfig => {
            &["The message names key and reason; eddy config get topic TOPIC shows keys and values."]
        }
        NotController => &["Nothing: the client asks for the controller again."],
        InvalidRequest => &[
            "The message says what is wrong. Between released clients and brokers it is a defect: report it with both versions.",
        ],
        UnsupportedForMessageFormat => &["The feature needs record format v2: update the client."],
        PolicyViolation => &["The message names the policy of the cluster; ask whoever runs it."],
        OutOfOrderSequenceNumber => &[
            "A batch before this one was lost: the producer must not go on as if it were there. Clients reset their epoch, or fail.",
            "Keep max.in.flight.requests.per.connection at 5 or less with idempotence.",
        ],
        DuplicateSequenceNumber => {
            &["Nothing: the batch is in the log already; clients count it as written."]
        }
        InvalidProducerEpoch | ProducerFenced => &[
            "Another producer with the same transactional.id started: give each running producer its own.",
            "Close this producer; it cannot go on.",
        ],
        InvalidTxnState => &[
            "Call the producer's transaction methods in order: begin, send, commit or abort. An older transaction may have timed out.",
        ],
        InvalidProducerIdMapping => &[
            "The broker forgot the transactional id, after transactional.id.expiration.ms without use: start the producer anew.",
        ],
        InvalidTransactionTimeout => &[
            "Lower transaction.timeout.ms of the producer, or raise transaction.max.timeout.ms of the brokers.",
        ],
        ConcurrentTransactions => {
            &["Wait: the transaction before is still being completed. Clients try again."]
        }
        TransactionCoordinatorFenced => {
            &["Between brokers only: the coordinator moved while it wrote markers. It settles by itself."]
        }
        TransactionalIdAuthorizationFailed => {
            &["Grant WRITE and DESCRIBE on the transactional id to the client's principal."]
        }
        SecurityDisabled => &["The cluster has no authorizer: ACLs cannot be read or set."],
        OperationNotAttempted => {
            &["Another entry of the same request failed first: correct that one and send all again."]
        }
        KafkaStorageError => &[
            "The broker's disk failed or is full: its log says which file, and why.",
            "Clients try again and go to another replica when one takes over.",
        ],
        LogDirNotFound => &["Name a directory that stands in log.dirs of the broker."],
        SaslAuthenticationFailed => &[
            "Correct user and password, or the token, of the client; the mechanism must be the one the credentials were made for.",
        ],
        UnknownProducerId => {
            &["The producer's records were deleted and its state with them: clients take a new producer id."]
        }
        ReassignmentInProgress => &["Wait for the running reassignment, or cancel it."],
        DelegationTokenAuthDisabled => {
            &["Set delegation.token.secret.key on the brokers to use delegation tokens."]
        }
        DelegationTokenNotFound => &["The token was removed or never made: make a new one."],
        DelegationTokenOwnerMismatch => &["Renew or expire the token as its owner or renewer."],
        DelegationTokenRequestNotAllowed => {
            &["Connect over a listener with SASL that is not itself authenticated by a token."]
        }
        DelegationTokenAuthorizationFailed => {
            &["Grant DESCRIBE on the delegation token to the client's principal."]
        }
        DelegationTokenExpired => &["Make a new token, and renew it before it expires."],
        InvalidPrincipalType => &["Use the principal type User."],
        NonEmptyGroup => &[
            "Stop the group's consumers first: eddy group describe GROUP names them with their hosts.",
            "A consumer that died without leaving is removed after session.timeout.ms.",
        ],
        GroupIdNotFound => &[
            "eddy group ls shows which groups there are; a group without members and offsets is forgotten after offsets.retention.minutes.",
        ],
        FetchSessionIdNotFound | InvalidFetchSessionEpoch | FetchSessionTopicIdError => {
            &["Nothing: the client begins a new fetch session."]
        }
        ListenerNotFound => {
            &["Each broker must have a listener of the same name as the one the client connected to."]
        }
        TopicDeletionDisabled => &["Set delete.topic.enable on the brokers."],
        FencedLeaderEpoch | UnknownLeaderEpoch => {
            &["Nothing: the leader changed, and the client refreshes its metadata."]
        }
        UnsupportedCompressionType => {
            &["Update the client: records with zstd need a consumer that knows it."]
        }
        StaleBrokerEpoch => &[
            "Between brokers only: the broker registered again meanwhile. If it stays, two processes run with one node.id.",
        ],
        OffsetNotAvailable => {
            &["Wait: a new leader learns the high watermark within one round of its followers' fetches."]
        }
        MemberIdRequired => &["Nothing: the client joins again with the id it was given (KIP-394)."],
        PreferredLeaderNotAvailable => {
            &["Bring the first broker of the partition's replicas back: eddy topic describe TOPIC."]
        }
        GroupMaxSizeReached => &["Run fewer members, or raise group.max.size of the brokers."],
        FencedInstanceId => &["Two consumers share a group.instance.id: give each its own."],
        EligibleLeadersNotAvailable => &[
            "Bring a replica of the last ISR back.",
            "An unclean election takes any replica, and loses what it lacks: only when that is acceptable.",
        ],
        ElectionNotNeeded => &["Nothing: the leader is the wanted one."],
        NoReassignmentInProgress => &["Nothing: there is no reassignment to cancel."],
        GroupSubscribedToTopic => {
            &["Stop the consumers of the topic first; offsets of subscribed topics are not deleted."]
        }
        InvalidRecord => &[
            "The message names the record and the reason: a compacted topic needs keys, timestamps must be acceptable, offsets in the batch dense.",
        ],
        UnstableOffsetCommit => {
            &["Wait: an open transaction commits or aborts these offsets. Clients try again."]
        }
        ThrottlingQuotaExceeded => {
            &["Wait as long as the answer says, or raise the quota of the user or client."]
        }
        ResourceNotFound => &["Correct the name of the resource."],
        DuplicateResource => &["Name each resource once in a request."],
        UnacceptableCredential => &["Choose a longer secret, or between 4096 and 16384 iterations."],
        InconsistentVoterSet | InvalidVoterKey => &[
            "The controllers' configurations name different voters: correct controller.quorum.voters on each.",
        ],
        InvalidUpdateVersion => {
            &["Between brokers only: the partition changed meanwhile; the leader learns the new state."]
        }
        FeatureUpdateFailed => &["The message names the feature: every broker must support the level first."],
        PrincipalDeserializationFailure => &["Brokers must use principal builders that fit each other."],
        SnapshotNotFound | PositionOutOfRange => &[
            "Between controllers only: a newer snapshot took the place of this one; the fetch begins again.",
        ],
        UnknownTopicId => &[
            "Nothing when seldom: the topic was deleted and created again, or its metadata is still on its way.",
            "If it stays, restart the client: it holds on to the id of a deleted topic.",
        ],
        DuplicateBrokerRegistration => &["Two brokers have the same node.id: give each its own."],
        BrokerIdNotRegistered | ControllerIdNotRegistered => {
            &["Start the node, or correct its id: eddy cluster brokers."]
        }
        InconsistentTopicId => {
            &["The topic was deleted and created again: the client refreshes its metadata."]
        }
        InconsistentClusterId => &[
            "The address belongs to another cluster: correct bootstrap.servers, or the peers of the broker.",
        ],
        TransactionalIdNotFound => {
            &["The transactional id was never used, or was forgotten after transactional.id.expiration.ms."]
        }
        IneligibleReplica => {
            &["Between brokers only: the replica is fenced or shuts down; the leader tries again."]
        }
        NewLeaderElected => &["Nothing: the request was done, and led to an election."],
        OffsetMovedToTieredStorage => {
            &["Between brokers only: the follower builds its state from tiered storage."]
        }
        FencedMemberEpoch | StaleMemberEpoch => &[
            "Nothing when seldom: the member was fenced and joins again (KIP-848).",
            "When often: heartbeats come later than group.consumer.session.timeout.ms allows.",
        ],
        UnreleasedInstanceId => &[
            "Another member still has this group.instance.id: wait until it has left, or give each its own.",
        ],
        UnsupportedAssignor => {
            &["Set group.remote.assignor to one that the broker offers, uniform or range."]
        }
        MismatchedEndpointType | UnsupportedEndpointType => {
            &["Connect to a broker with bootstrap.servers, and to a controller with bootstrap.controllers."]
        }
        UnknownControllerId => &["The controller is not registered: eddy cluster info."],
        UnknownSubscriptionId => &["Nothing: the client fetches its telemetry subscription again."],
        TelemetryTooLarge => {
            &["Narrow the metrics of the subscription: eddy config set client-metrics NAME metrics=…."]
        }
        InvalidRegistration => {
            &["The broker's log says which feature or listener the controller did not accept."]
        }
        TransactionAbortable => {
            &["Abort the transaction and begin it again; the producer stays usable (KIP-890)."]
        }
        InvalidRecordState => &[
            "The record's lock ran out before it was acknowledged: it is delivered again. Acknowledge sooner, or raise share.record.lock.duration.ms of the group.",
        ],
        ShareSessionNotFound | InvalidShareSessionEpoch => {
            &["Nothing: the client begins a new share session."]
        }
        ShareSessionLimitReached => &["Wait, or raise group.share.max.share.sessions of the brokers."],
        FencedStateEpoch => &["Between brokers only: a newer share-partition leader took over."],
        DuplicateVoter | VoterNotFound => &["Compare with the voters of now: eddy cluster info."],
        InvalidRegularExpression => &[
            "Correct the pattern: the consumer protocol uses the syntax of RE2/J, without look-around and back references.",
        ],
        RebootstrapRequired => &[
            "The client starts again from bootstrap.servers; those addresses must still lead to the cluster (KIP-1102).",
        ],
        StreamsInvalidTopology | StreamsInvalidTopologyEpoch | StreamsTopologyFenced => {
            &["All instances of one Streams application must run the same topology; finish the roll-out."]
        }
        StreamsTopologyDescriptionUpdateFailed => {
            &["The description is optional: processing goes on. The broker's log has the reason."]
        }
        GroupDeletionFailed => &["Try again; the broker's log has the reason if it stays."],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_sentences() {
        for code in ErrorCode::ALL {
            assert!(!advice(*code).is_empty(), "{code}");
            for sentence in advice(*code) {
                assert!(sentence.ends_with('.'), "{code}: {sentence}");
            }
        }
    }
}
