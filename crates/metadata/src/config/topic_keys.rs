//! The topic keys: those of Kafka 4.3, with its types, defaults and bounds.

use super::key::{Check, Key, Kind, Unit, topic};

/// Compression types a topic may ask for.
const COMPRESSION: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

pub(in crate::config) const DELETED: &str = "files of removed segments are deleted when nobody reads them";
pub(in crate::config) const FLUSHED: &str = "every acknowledged record is on disk";
pub(in crate::config) const PREALLOCATED: &str =
    "new records are in the write-ahead log, which has its space from the start";
pub(in crate::config) const TIERED: &str = "there is no tiered storage";

/// Every topic key, by name.
pub static KEYS: &[Key] = &[
    topic(Kind::List, "cleanup.policy", "delete")
        .check(Check::SomeOf(&["compact", "delete"]))
        .synonyms(&["log.cleanup.policy"])
        .doc("What happens to old records: delete them by age and size, compact them by key, or both; empty keeps all."),
    topic(Kind::Int, "compression.gzip.level", "-1")
        .check(Check::BetweenOr(1, 9, -1))
        .synonyms(&["compression.gzip.level"])
        .doc("Level at which the broker compresses with gzip, when compression.type asks it to; -1 is the codec's default."),
    topic(Kind::Int, "compression.lz4.level", "9")
        .check(Check::Between(1, 17))
        .synonyms(&["compression.lz4.level"])
        .doc("Level at which the broker compresses with lz4, when compression.type asks it to."),
    topic(Kind::Text, "compression.type", "producer")
        .check(Check::OneOf(COMPRESSION))
        .synonyms(&["compression.type"])
        .doc("Compression of the batches on disk; producer keeps them as they came."),
    topic(Kind::Int, "compression.zstd.level", "3")
        .check(Check::Between(-131_072, 22))
        .synonyms(&["compression.zstd.level"])
        .doc("Level at which the broker compresses with zstd, when compression.type asks it to."),
    topic(Kind::Long, "delete.retention.ms", "86400000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.cleaner.delete.retention.ms"])
        .doc("How long a compacted topic keeps tombstones, so that readers see that a key was deleted."),
    topic(Kind::Long, "file.delete.delay.ms", "60000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.segment.delete.delay.ms"])
        .inert(DELETED),
    topic(Kind::Long, "flush.messages", "9223372036854775807")
        .check(Check::AtLeast(1))
        .synonyms(&["log.flush.interval.messages"])
        .inert(FLUSHED),
    topic(Kind::Long, "flush.ms", "9223372036854775807")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.flush.interval.ms"])
        .inert(FLUSHED),
    topic(Kind::List, "follower.replication.throttled.replicas", "")
        .check(Check::ThrottledReplicas)
        .doc("Replicas that follow at the follower.replication.throttled.rate of their broker while they are not in sync: * or a list of partition:broker. Tools that move partitions set it and remove it."),
    topic(Kind::Int, "index.interval.bytes", "4096")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .synonyms(&["log.index.interval.bytes"])
        .doc("Bytes of log between two entries of the offset index."),
    topic(Kind::List, "leader.replication.throttled.replicas", "")
        .check(Check::ThrottledReplicas)
        .doc("Replicas that, while they lead, serve followers out of sync at the leader.replication.throttled.rate of their broker: * or a list of partition:broker. Tools that move partitions set it and remove it."),
    topic(Kind::Long, "local.retention.bytes", "-2")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(-2))
        .synonyms(&["log.local.retention.bytes"])
        .inert(TIERED),
    topic(Kind::Long, "local.retention.ms", "-2")
        .unit(Unit::Millis)
        .check(Check::AtLeast(-2))
        .synonyms(&["log.local.retention.ms"])
        .inert(TIERED),
    topic(Kind::Long, "max.compaction.lag.ms", "9223372036854775807")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["log.cleaner.max.compaction.lag.ms"])
        .doc("Longest time a record may stay uncompacted in a compacted topic."),
    topic(Kind::Int, "max.message.bytes", "1048588")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .synonyms(&["message.max.bytes"])
        .doc("Largest record batch the topic takes, after compression."),
    topic(Kind::Long, "message.timestamp.after.max.ms", "3600000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.message.timestamp.after.max.ms"])
        .doc("How far a record's timestamp may lie ahead of the broker's clock."),
    topic(Kind::Long, "message.timestamp.before.max.ms", "9223372036854775807")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.message.timestamp.before.max.ms"])
        .doc("How far a record's timestamp may lie behind the broker's clock."),
    topic(Kind::Text, "message.timestamp.type", "CreateTime")
        .check(Check::OneOf(&["CreateTime", "LogAppendTime"]))
        .synonyms(&["log.message.timestamp.type"])
        .doc("Whether records keep the producer's timestamp or get the time of their append."),
    topic(Kind::Double, "min.cleanable.dirty.ratio", "0.5")
        .check(Check::Ratio)
        .synonyms(&["log.cleaner.min.cleanable.ratio"])
        .doc("Share of uncompacted bytes at which a log is compacted."),
    topic(Kind::Long, "min.compaction.lag.ms", "0")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.cleaner.min.compaction.lag.ms"])
        .doc("Shortest time a record stays uncompacted in a compacted topic."),
    topic(Kind::Int, "min.insync.replicas", "1")
        .check(Check::AtLeast(1))
        .synonyms(&["min.insync.replicas"])
        .doc("In-sync replicas, the leader included, that a write with acks=all needs."),
    topic(Kind::Boolean, "preallocate", "false")
        .synonyms(&["log.preallocate"])
        .inert(PREALLOCATED),
    topic(Kind::Boolean, "remote.log.copy.disable", "false")
        .inert(TIERED),
    topic(Kind::Boolean, "remote.log.delete.on.disable", "false")
        .inert(TIERED),
    topic(Kind::Boolean, "remote.storage.enable", "false")
        .doc("Whether the topic is tiered."),
    topic(Kind::Long, "retention.bytes", "-1")
        .unit(Unit::Bytes)
        .synonyms(&["log.retention.bytes"])
        .doc("Bytes of a partition above which its oldest segments are deleted; -1 is no limit."),
    topic(Kind::Long, "retention.ms", "604800000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(-1))
        .synonyms(&["log.retention.ms", "log.retention.minutes", "log.retention.hours"])
        .doc("Age at which segments are deleted, by their newest record's timestamp; -1 is no limit."),
    topic(Kind::Boolean, "search.enable", "false")
        .doc("Whether the topic is indexed for search. Switched on, what it holds already is indexed too; switched off, its index is removed."),
    topic(Kind::List, "search.fields", "")
        .doc("Fields of JSON values that are indexed, each with what is below it, such as user.name; empty indexes all. A change makes the index anew."),
    topic(Kind::Text, "search.replicas", "leader")
        .check(Check::OneOf(&["leader", "all"]))
        .doc("Who indexes a partition: only its leader, or every replica, so that a new leader can be searched at once."),
    topic(Kind::Boolean, "search.store.values", "false")
        .doc("Whether the index keeps a copy of the values. Without one, values are read from the log. A change makes the index anew."),
    topic(Kind::Text, "search.tokenizer", "default")
        .check(Check::OneOf(&["default", "whitespace"]))
        .doc("How text is cut into words: at everything but letters and digits, or only at white space. A change makes the index anew."),
    topic(Kind::Int, "segment.bytes", "1073741824")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1_048_576))
        .synonyms(&["log.segment.bytes"])
        .doc("Size at which a new segment is begun."),
    topic(Kind::Int, "segment.index.bytes", "10485760")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(4))
        .synonyms(&["log.index.size.max.bytes"])
        .doc("Largest size of a segment's offset index."),
    topic(Kind::Long, "segment.jitter.ms", "0")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .synonyms(&["log.roll.jitter.ms", "log.roll.jitter.hours"])
        .doc("Most time by which segment.ms is shortened at random, so that not all partitions roll at once."),
    topic(Kind::Long, "segment.ms", "604800000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .synonyms(&["log.roll.ms", "log.roll.hours"])
        .doc("Age at which a new segment is begun, even if the old one is not full."),
    topic(Kind::Boolean, "unclean.leader.election.enable", "false")
        .synonyms(&["unclean.leader.election.enable"])
        .doc("Whether a replica that lacks acknowledged records may lead when no other is there: they are lost."),
];
