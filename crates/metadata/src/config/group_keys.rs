//! The group keys: those of Kafka 4.3, with its types and defaults. What bounds them is the broker's to say.

use super::key::{Check, Key, Kind, Unit, group};

const ASSIGNMENTS: &str = "group.consumer.assignment.interval.ms of the broker holds for every group";
const SHARE: &str = "share groups are not served";
const STREAMS: &str = "streams groups are not served";

/// Every group key, by name.
pub static KEYS: &[Key] = &[
    group(Kind::Int, "consumer.assignment.interval.ms", "1000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["group.consumer.assignment.interval.ms"])
        .inert(ASSIGNMENTS),
    group(Kind::Int, "consumer.heartbeat.interval.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.consumer.heartbeat.interval.ms"])
        .doc("Time between two heartbeats of a member."),
    group(Kind::Int, "consumer.session.timeout.ms", "45000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.consumer.session.timeout.ms"])
        .doc("Silence after which a member is taken for dead."),
    group(Kind::Int, "share.assignment.interval.ms", "1000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["group.share.assignment.interval.ms"])
        .inert(SHARE),
    group(Kind::Text, "share.auto.offset.reset", "latest").check(Check::OffsetReset).inert(SHARE),
    group(Kind::Int, "share.delivery.count.limit", "5")
        .check(Check::AtLeast(2))
        .synonyms(&["group.share.delivery.count.limit"])
        .inert(SHARE),
    group(Kind::Int, "share.heartbeat.interval.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.share.heartbeat.interval.ms"])
        .inert(SHARE),
    group(Kind::Text, "share.isolation.level", "read_uncommitted")
        .check(Check::OneOf(&["read_committed", "read_uncommitted"]))
        .inert(SHARE),
    group(Kind::Int, "share.partition.max.record.locks", "2000")
        .check(Check::AtLeast(100))
        .synonyms(&["group.share.partition.max.record.locks"])
        .inert(SHARE),
    group(Kind::Int, "share.record.lock.duration.ms", "30000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1000))
        .synonyms(&["group.share.record.lock.duration.ms"])
        .inert(SHARE),
    group(Kind::Boolean, "share.renew.acknowledge.enable", "true").inert(SHARE),
    group(Kind::Int, "share.session.timeout.ms", "45000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.share.session.timeout.ms"])
        .inert(SHARE),
    group(Kind::Int, "streams.assignment.interval.ms", "1000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["group.streams.assignment.interval.ms"])
        .inert(STREAMS),
    group(Kind::Int, "streams.heartbeat.interval.ms", "5000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.streams.heartbeat.interval.ms"])
        .inert(STREAMS),
    group(Kind::Int, "streams.initial.rebalance.delay.ms", "3000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["group.streams.initial.rebalance.delay.ms"])
        .inert(STREAMS),
    group(Kind::Int, "streams.num.standby.replicas", "0")
        .check(Check::AtLeast(0))
        .synonyms(&["group.streams.num.standby.replicas"])
        .inert(STREAMS),
    group(Kind::Int, "streams.session.timeout.ms", "45000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["group.streams.session.timeout.ms"])
        .inert(STREAMS),
];

/// Bounds of a group key: broker keys that hold the least and the greatest value it may have.
pub(super) struct Bounds {
    pub(super) key: &'static str,
    pub(super) least: Option<&'static str>,
    pub(super) greatest: &'static str,
}

const fn between(key: &'static str, least: &'static str, greatest: &'static str) -> Bounds {
    Bounds { key, least: Some(least), greatest }
}

/// Bounds of all group keys that have any.
pub(super) static BOUNDS: &[Bounds] = &[
    between(
        "consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    between(
        "consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    between(
        "consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ),
    between(
        "share.assignment.interval.ms",
        "group.share.min.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
    ),
    between(
        "share.delivery.count.limit",
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
    ),
    between(
        "share.heartbeat.interval.ms",
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    between(
        "share.partition.max.record.locks",
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
    ),
    between(
        "share.record.lock.duration.ms",
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    between(
        "share.session.timeout.ms",
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ),
    between(
        "streams.assignment.interval.ms",
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
    between(
        "streams.heartbeat.interval.ms",
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    between(
        "streams.session.timeout.ms",
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
    Bounds {
        key: "streams.num.standby.replicas",
        least: None,
        greatest: "group.streams.max.standby.replicas",
    },
];
