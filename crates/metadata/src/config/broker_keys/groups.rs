//! Keys of the coordinators of groups and transactions.

use crate::config::key::{Check, Key, Kind, Unit, broker};

const COMMITS: &str = "a commit waits as long as any write";
const TRANSACTIONS: &str = "transactions are not served";

pub(super) static KEYS: &[Key] = &[
    broker(Kind::Int, "group.initial.rebalance.delay.ms", "3000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .doc("How long the first rebalance of a classic group waits for more members."),
    broker(Kind::Int, "group.min.session.timeout.ms", "6000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Shortest session timeout a member of a classic group may ask for."),
    broker(Kind::Int, "group.max.session.timeout.ms", "1800000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Longest session timeout a member of a classic group may ask for."),
    broker(Kind::Int, "group.max.size", "2147483647")
        .check(Check::AtLeast(1))
        .doc("Members of a classic group, at most."),
    broker(Kind::Int, "group.consumer.session.timeout.ms", "45000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Session timeout of members of consumer groups (KIP-848)."),
    broker(Kind::Int, "group.consumer.heartbeat.interval.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time between two heartbeats of a member of a consumer group (KIP-848)."),
    broker(Kind::Int, "group.consumer.max.size", "2147483647")
        .check(Check::AtLeast(1))
        .doc("Members of a consumer group, at most (KIP-848)."),
    broker(Kind::Int, "group.consumer.min.session.timeout.ms", "45000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Shortest consumer.session.timeout.ms that a consumer group may have."),
    broker(Kind::Int, "group.consumer.max.session.timeout.ms", "60000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Longest consumer.session.timeout.ms that a consumer group may have."),
    broker(Kind::Int, "group.consumer.min.heartbeat.interval.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Shortest consumer.heartbeat.interval.ms that a consumer group may have."),
    broker(Kind::Int, "group.consumer.max.heartbeat.interval.ms", "15000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Longest consumer.heartbeat.interval.ms that a consumer group may have."),
    broker(Kind::Int, "group.consumer.assignment.interval.ms", "1000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Shortest time between two assignments of a consumer group."),
    broker(Kind::Int, "group.consumer.min.assignment.interval.ms", "0")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .doc("Shortest consumer.assignment.interval.ms that a consumer group may have."),
    broker(Kind::Int, "group.consumer.max.assignment.interval.ms", "15000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .doc("Longest consumer.assignment.interval.ms that a consumer group may have."),
    broker(Kind::List, "group.consumer.assignors", "uniform,range")
        .check(Check::SomeOf(&["uniform", "range"]))
        .doc("Server-side assignors; the first is taken by members that name none (KIP-848)."),
    broker(Kind::Text, "group.consumer.migration.policy", "bidirectional")
        .check(Check::OneOfIgnoringCase(&["disabled", "downgrade", "upgrade", "bidirectional"]))
        .doc("Which way a group may change between the classic protocol and that of KIP-848 while it has members."),
    broker(Kind::List, "group.coordinator.rebalance.protocols", "classic,consumer,streams")
        .check(Check::SomeOf(&["consumer", "classic", "share", "streams"]))
        .doc("Protocols that groups may use, of those that this broker serves."),
    broker(Kind::Int, "offset.metadata.max.bytes", "4096")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .doc("Largest text that may go with a committed offset."),
    broker(Kind::Int, "offsets.topic.num.partitions", "50")
        .check(Check::AtLeast(1))
        .doc("Partitions of the topic of committed offsets."),
    broker(Kind::Short, "offsets.topic.replication.factor", "3")
        .check(Check::AtLeast(1))
        .doc("Replicas of the topic of committed offsets; no more than there are brokers."),
    broker(Kind::Int, "offsets.topic.segment.bytes", "104857600")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1))
        .doc("segment.bytes of the topic of committed offsets."),
    broker(Kind::Int, "offsets.retention.minutes", "10080")
        .unit(Unit::Minutes)
        .check(Check::AtLeast(1))
        .doc("Time after which offsets of a group without members are forgotten."),
    broker(Kind::Long, "offsets.retention.check.interval.ms", "600000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time between two looks for offsets to forget."),
    broker(Kind::Int, "offsets.commit.timeout.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(COMMITS),
    broker(Kind::Int, "transaction.state.log.num.partitions", "50")
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Short, "transaction.state.log.replication.factor", "3")
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transaction.state.log.min.isr", "2")
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transaction.max.timeout.ms", "900000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transactional.id.expiration.ms", "604800000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transaction.state.log.segment.bytes", "104857600")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Int, "transaction.remove.expired.transaction.cleanup.interval.ms", "3600000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(TRANSACTIONS),
    broker(Kind::Boolean, "transaction.partition.verification.enable", "true")
        .inert(TRANSACTIONS),
    broker(Kind::Boolean, "transaction.two.phase.commit.enable", "false")
        .inert(TRANSACTIONS),
];
