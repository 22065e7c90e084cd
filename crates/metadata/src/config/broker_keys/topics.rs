//! Keys that are about topics: their creation, and the defaults of topic keys.

use crate::config::key::{Check, Key, Kind, Unit, broker, broker_unset};
use crate::config::topic_keys::{DELETED, FLUSHED, PREALLOCATED, TIERED};

pub(super) static KEYS: &[Key] = &[
    broker(Kind::Int, "num.partitions", "1")
        .check(Check::AtLeast(1))
        .doc("Partitions of a topic that is created without a number."),
    broker(Kind::Int, "default.replication.factor", "1")
        .check(Check::Between(1, 32_767))
        .doc("Replicas of a partition that is created without a number."),
    broker(Kind::Boolean, "auto.create.topics.enable", "true")
        .doc("Whether a topic is created when a client asks for its metadata."),
    broker(Kind::Boolean, "delete.topic.enable", "true").doc("Whether topics may be deleted."),
    broker(Kind::Int, "max.request.partition.size.limit", "2000")
        .check(Check::AtLeast(1))
        .doc("Partitions that one request for a list of topic partitions is answered with, at most."),
    // Defaults of topic keys.
    broker(Kind::List, "log.cleanup.policy", "delete")
        .check(Check::SomeOf(&["compact", "delete"]))
        .dynamic()
        .doc("cleanup.policy of topics that do not set it."),
    broker(Kind::Text, "compression.type", "producer")
        .check(Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .dynamic()
        .doc("compression.type of topics that do not set it."),
    broker(Kind::Int, "compression.gzip.level", "-1")
        .check(Check::BetweenOr(1, 9, -1))
        .dynamic()
        .doc("compression.gzip.level of topics that do not set it."),
    broker(Kind::Int, "compression.lz4.level", "9")
        .check(Check::Between(1, 17))
        .dynamic()
        .doc("compression.lz4.level of topics that do not set it."),
    broker(Kind::Int, "compression.zstd.level", "3")
        .check(Check::Between(-131_072, 22))
        .dynamic()
        .doc("compression.zstd.level of topics that do not set it."),
    broker(Kind::Long, "log.cleaner.delete.retention.ms", "86400000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("delete.retention.ms of topics that do not set it."),
    broker(Kind::Long, "log.segment.delete.delay.ms", "60000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .inert(DELETED),
    broker(Kind::Long, "log.flush.interval.messages", "9223372036854775807")
        .check(Check::AtLeast(1))
        .dynamic()
        .inert(FLUSHED),
    broker_unset(Kind::Long, "log.flush.interval.ms")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .inert(FLUSHED),
    broker(Kind::Int, "log.index.interval.bytes", "4096")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("index.interval.bytes of topics that do not set it."),
    broker(Kind::Int, "log.index.size.max.bytes", "10485760")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(4))
        .dynamic()
        .doc("segment.index.bytes of topics that do not set it."),
    broker(Kind::Long, "log.local.retention.bytes", "-2")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(-2))
        .dynamic()
        .inert(TIERED),
    broker(Kind::Long, "log.local.retention.ms", "-2")
        .unit(Unit::Millis)
        .check(Check::AtLeast(-2))
        .dynamic()
        .inert(TIERED),
    broker(Kind::Long, "log.cleaner.max.compaction.lag.ms", "9223372036854775807")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .dynamic()
        .doc("max.compaction.lag.ms of topics that do not set it."),
    broker(Kind::Long, "log.cleaner.min.compaction.lag.ms", "0")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("min.compaction.lag.ms of topics that do not set it."),
    broker(Kind::Double, "log.cleaner.min.cleanable.ratio", "0.5")
        .check(Check::Ratio)
        .dynamic()
        .doc("min.cleanable.dirty.ratio of topics that do not set it."),
    broker(Kind::Int, "message.max.bytes", "1048588")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("max.message.bytes of topics that do not set it."),
    broker(Kind::Text, "log.message.timestamp.type", "CreateTime")
        .check(Check::OneOf(&["CreateTime", "LogAppendTime"]))
        .dynamic()
        .doc("message.timestamp.type of topics that do not set it."),
    broker(Kind::Long, "log.message.timestamp.before.max.ms", "9223372036854775807")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("message.timestamp.before.max.ms of topics that do not set it."),
    broker(Kind::Long, "log.message.timestamp.after.max.ms", "3600000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("message.timestamp.after.max.ms of topics that do not set it."),
    broker(Kind::Int, "min.insync.replicas", "1")
        .check(Check::AtLeast(1))
        .dynamic()
        .doc("min.insync.replicas of topics that do not set it."),
    broker(Kind::Boolean, "log.preallocate", "false")
        .dynamic()
        .inert(PREALLOCATED),
    broker(Kind::Long, "log.retention.bytes", "-1")
        .unit(Unit::Bytes)
        .dynamic()
        .doc("retention.bytes of topics that do not set it."),
    broker_unset(Kind::Long, "log.retention.ms")
        .unit(Unit::Millis)
        .check(Check::AtLeast(-1))
        .dynamic()
        .synonyms(&["log.retention.ms", "log.retention.minutes", "log.retention.hours"])
        .doc("retention.ms of topics that do not set it; log.retention.minutes, then log.retention.hours, when not set."),
    broker_unset(Kind::Int, "log.retention.minutes")
        .unit(Unit::Minutes)
        .synonyms(&["log.retention.minutes", "log.retention.hours"])
        .doc("Like log.retention.ms, in minutes."),
    broker(Kind::Int, "log.retention.hours", "168")
        .unit(Unit::Hours)
        .doc("Like log.retention.ms, in hours."),
    broker(Kind::Int, "log.segment.bytes", "1073741824")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1_048_576))
        .dynamic()
        .doc("segment.bytes of topics that do not set it."),
    broker_unset(Kind::Long, "log.roll.ms")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .dynamic()
        .synonyms(&["log.roll.ms", "log.roll.hours"])
        .doc("segment.ms of topics that do not set it; log.roll.hours when not set."),
    broker(Kind::Int, "log.roll.hours", "168")
        .unit(Unit::Hours)
        .check(Check::AtLeast(1))
        .doc("Like log.roll.ms, in hours."),
    broker_unset(Kind::Long, "log.roll.jitter.ms")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .synonyms(&["log.roll.jitter.ms", "log.roll.jitter.hours"])
        .doc("segment.jitter.ms of topics that do not set it; log.roll.jitter.hours when not set."),
    broker(Kind::Int, "log.roll.jitter.hours", "0")
        .unit(Unit::Hours)
        .check(Check::AtLeast(0))
        .doc("Like log.roll.jitter.ms, in hours."),
    broker(Kind::Boolean, "unclean.leader.election.enable", "false")
        .dynamic()
        .doc("unclean.leader.election.enable of topics that do not set it."),
];
