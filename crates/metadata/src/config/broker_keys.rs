//! The broker keys: ours, and those of Kafka that mean something here, with Kafka's types and defaults.

use super::key::{Check, Key, Kind, Unit, broker, broker_unset};

/// Every broker key: ours, then Kafka's by subject.
pub static KEYS: &[Key] = &[
    // Who and where.
    broker(Kind::Int, "node.id", "1")
        .aliases(&["broker.id"])
        .check(Check::AtLeast(0))
        .doc("Number of the broker, unique in the cluster and the same at each start."),
    broker(Kind::Text, "data.dir", "./eddy-data")
        .aliases(&["log.dirs", "log.dir"])
        .check(Check::NotEmpty)
        .doc("Directory that holds everything the broker keeps."),
    broker(Kind::Text, "listeners.kafka", "127.0.0.1:9092")
        .aliases(&["listeners"])
        .check(Check::Address)
        .doc("Address on which Kafka clients are served."),
    broker(Kind::Text, "listeners.admin", "127.0.0.1:9644")
        .check(Check::Address)
        .doc("Address of the HTTP interface: health, metrics, administration, console."),
    broker_unset(Kind::Text, "listeners.advertised")
        .aliases(&["advertised.listeners"])
        .check(Check::Address)
        .doc("Address that clients are told to connect to; listeners.kafka when not set."),
    broker_unset(Kind::Text, "broker.rack").doc("Where the broker stands; replicas are spread over racks."),
    // Write-ahead log and pressure.
    broker(Kind::Text, "wal.profile", "auto")
        .check(Check::OneOf(&["auto", "low", "medium", "high", "ultra"]))
        .doc("Limits of the write-ahead log: queue, group size, latency budget, memory. auto takes high above 4 GiB of memory, else medium."),
    broker_unset(Kind::Long, "wal.total.bytes")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(64 << 20))
        .doc("Disk space of the write-ahead log, at most; by profile when not set. Bounds the time of recovery."),
    broker(Kind::Long, "backpressure.max.wait", "5000")
        .aliases(&["backpressure.max.wait.ms"])
        .unit(Unit::Millis)
        .check(Check::Between(0, 300_000))
        .dynamic()
        .doc("How long a produce request waits for room when the broker is full, before it is refused with REQUEST_TIMED_OUT."),
    broker(Kind::Long, "log.checkpoint.interval", "60000")
        .aliases(&["log.checkpoint.interval.ms", "log.flush.offset.checkpoint.interval.ms"])
        .unit(Unit::Millis)
        .check(Check::Between(100, 3_600_000))
        .doc("Longest time between two checkpoints, which sync segments and free the write-ahead log."),
    // What the process says of itself.
    broker(Kind::Text, "log.format", "text")
        .check(Check::OneOf(&["text", "json"]))
        .doc("Form of the broker's own messages on standard error."),
    broker(Kind::Text, "log.level", "info")
        .check(Check::NotEmpty)
        .doc("Which of its own messages the broker writes: error, warn, info, debug, trace, or target=level items."),
    // Topics.
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
        .doc("file.delete.delay.ms of topics that do not set it."),
    broker(Kind::Long, "log.flush.interval.messages", "9223372036854775807")
        .check(Check::AtLeast(1))
        .dynamic()
        .doc("flush.messages of topics that do not set it."),
    broker_unset(Kind::Long, "log.flush.interval.ms")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("flush.ms of topics that do not set it."),
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
        .doc("local.retention.bytes of topics that do not set it."),
    broker(Kind::Long, "log.local.retention.ms", "-2")
        .unit(Unit::Millis)
        .check(Check::AtLeast(-2))
        .dynamic()
        .doc("local.retention.ms of topics that do not set it."),
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
        .doc("preallocate of topics that do not set it."),
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
    // The log.
    broker(Kind::Long, "log.retention.check.interval.ms", "300000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time between two looks for segments that retention deletes."),
    broker(Kind::Boolean, "log.cleaner.enable", "true").doc("Whether compacted topics are compacted."),
    broker(Kind::Long, "log.cleaner.backoff.ms", "15000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Pause of the compactor when no log needs it."),
    broker(Kind::Int, "producer.id.expiration.ms", "86400000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .dynamic()
        .doc("Time after which the state of a silent producer is forgotten."),
    // Connections, requests, fetches.
    broker(Kind::Int, "socket.request.max.bytes", "104857600")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1))
        .doc("Largest request that is read."),
    broker(Kind::Long, "queued.max.request.bytes", "-1")
        .unit(Unit::Bytes)
        .doc("Bytes of requests held in memory at a time; -1 takes a share of the machine's memory."),
    broker(Kind::Long, "connections.max.idle.ms", "600000")
        .unit(Unit::Millis)
        .doc("Time after which a silent connection is closed; negative never closes."),
    broker(Kind::Int, "max.connections", "2147483647")
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Connections at a time."),
    broker(Kind::Int, "max.connections.per.ip", "2147483647")
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Connections at a time from one address."),
    broker(Kind::Int, "fetch.max.bytes", "57671680")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1024))
        .doc("Bytes that one fetch is answered with, at most."),
    broker(Kind::Int, "max.incremental.fetch.session.cache.slots", "1000")
        .check(Check::AtLeast(0))
        .doc("Incremental fetch sessions kept at a time."),
    // Replication and cluster.
    broker(Kind::Long, "replica.lag.time.max.ms", "30000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time a follower may lag behind the log end before it leaves the ISR."),
    broker(Kind::Int, "replica.fetch.max.bytes", "1048576")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .doc("Bytes of one partition that a follower asks for in one fetch."),
    broker(Kind::Int, "replica.fetch.response.max.bytes", "10485760")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .doc("Bytes that a follower asks for in one fetch."),
    broker(Kind::Int, "replica.fetch.wait.max.ms", "500")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Longest time a follower's fetch waits at the leader for new records."),
    broker(Kind::Int, "broker.heartbeat.interval.ms", "500")
        .unit(Unit::Millis)
        .check(Check::AtLeast(10))
        .doc("Time between two heartbeats of a broker to the controller."),
    broker(Kind::Int, "broker.session.timeout.ms", "3000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(100))
        .doc("Silence after which the controller takes a broker for dead."),
    // Groups and transactions.
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
    broker(Kind::Int, "transaction.state.log.num.partitions", "50")
        .check(Check::AtLeast(1))
        .doc("Partitions of the topic of transaction states."),
    broker(Kind::Short, "transaction.state.log.replication.factor", "3")
        .check(Check::AtLeast(1))
        .doc("Replicas of the topic of transaction states; no more than there are brokers."),
    broker(Kind::Int, "transaction.state.log.min.isr", "2")
        .check(Check::AtLeast(1))
        .doc("min.insync.replicas of the topic of transaction states; no more than there are brokers."),
    broker(Kind::Int, "transaction.max.timeout.ms", "900000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Longest transaction timeout a producer may ask for."),
    broker(Kind::Int, "transactional.id.expiration.ms", "604800000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time after which the state of a silent transactional id is forgotten."),
];

/// Keys of Kafka's that a file may carry, that need no counterpart here, and why.
pub static HARMLESS: &[(&str, &str)] = &[
    ("background.threads", "work in the background is sized by the runtime"),
    ("controller.listener.names", "the metadata group is part of every broker"),
    ("controller.quorum.voters", "the metadata group keeps its own members"),
    ("controller.quorum.bootstrap.servers", "the metadata group keeps its own members"),
    ("inter.broker.listener.name", "brokers use the Kafka listener"),
    ("listener.security.protocol.map", "the scheme of a listener says it"),
    ("log.cleaner.threads", "compaction is sized by the runtime"),
    ("num.io.threads", "requests are served by the runtime's threads"),
    ("num.network.threads", "connections are served by the runtime's threads"),
    ("num.recovery.threads.per.data.dir", "recovery replays one write-ahead log"),
    ("num.replica.fetchers", "one fetcher serves each leader"),
    ("process.roles", "every broker can be a member of the metadata group"),
    ("queued.max.requests", "requests in memory are limited by bytes"),
    ("socket.receive.buffer.bytes", "the kernel sizes socket buffers"),
    ("socket.send.buffer.bytes", "the kernel sizes socket buffers"),
];
