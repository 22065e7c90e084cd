//! Keys of the process: who and where it is, its write-ahead log, what it says of itself.

use crate::config::key::{Check, Key, Kind, Unit, broker, broker_unset};

pub(super) static KEYS: &[Key] = &[
    // Who and where.
    broker(Kind::Int, "node.id", "1")
        .aliases(&["broker.id"])
        .listed_as(&["node.id", "broker.id"])
        .check(Check::AtLeast(0))
        .doc("Number of the broker, unique in the cluster and the same at each start."),
    broker(Kind::Text, "data.dir", "./eddy-data")
        .aliases(&["log.dirs", "log.dir"])
        .listed_as(&["log.dirs", "log.dir"])
        .check(Check::Directory)
        .doc("Directory that holds everything the broker keeps."),
    broker(Kind::Text, "listeners.kafka", "127.0.0.1:9092")
        .aliases(&["listeners"])
        .listed_as(&["listeners"])
        .check(Check::Address)
        .doc("Address on which Kafka clients are served."),
    broker(Kind::Text, "listeners.admin", "127.0.0.1:9644")
        .check(Check::Address)
        .doc("Address of the HTTP interface: health, metrics, administration, console."),
    broker_unset(Kind::Text, "listeners.advertised")
        .aliases(&["advertised.listeners"])
        .listed_as(&["advertised.listeners"])
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
        .doc("How long a produce request waits for room when the broker is full, before it is refused with REQUEST_TIMED_OUT."),
    broker(Kind::Long, "log.checkpoint.interval", "60000")
        .aliases(&["log.checkpoint.interval.ms", "log.flush.offset.checkpoint.interval.ms"])
        .listed_as(&["log.checkpoint.interval", "log.flush.offset.checkpoint.interval.ms"])
        .unit(Unit::Millis)
        .check(Check::Between(100, 3_600_000))
        .doc("Longest time between two checkpoints, which sync segments and free the write-ahead log."),
    // Search.
    broker(Kind::Long, "search.memory", "67108864")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(16 << 20))
        .doc("Memory in which search indexes are built and merged, those of all topics together."),
    broker(Kind::Long, "search.commit.interval", "750")
        .aliases(&["search.commit.interval.ms"])
        .unit(Unit::Millis)
        .check(Check::Between(50, 3_600_000))
        .doc("How often new records of a topic become searchable; less often when many topics are written to."),
    // What the process says of itself.
    broker(Kind::Text, "log.format", "text")
        .check(Check::OneOf(&["text", "json"]))
        .doc("Form of the broker's own messages on standard error."),
    broker(Kind::Text, "log.level", "info")
        .check(Check::NotEmpty)
        .doc("Which of its own messages the broker writes: error, warn, info, debug, trace, or target=level items."),
];
