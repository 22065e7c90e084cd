//! Keys of what a broker does: its logs, connections, requests, replication and quotas.

use crate::config::key::{Check, Key, Kind, Unit, broker};

pub(super) static KEYS: &[Key] = &[
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
    broker(Kind::Int, "log.cleaner.threads", "1")
        .check(Check::AtLeast(0))
        .doc("Logs compacted at the same time."),
    broker(Kind::Long, "log.cleaner.dedupe.buffer.size", "134217728")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1 << 20))
        .doc("Memory for the keys of the logs that are being compacted, all together."),
    broker(Kind::Double, "log.cleaner.io.buffer.load.factor", "0.9")
        .doc("How full the memory for keys may become before a compaction ends and another begins."),
    broker(Kind::Int, "log.cleaner.io.buffer.size", "524288")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .doc("Memory for reading and writing of all compactions together."),
    broker(Kind::Double, "log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308")
        .doc("Bytes that compaction reads and writes a second, at most, all logs together."),
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
    broker(Kind::Text, "max.connections.per.ip.overrides", "")
        .check(Check::LimitsByAddress)
        .dynamic()
        .doc("Limits of single addresses that replace max.connections.per.ip, such as 10.0.0.1:200,10.0.0.2:50."),
    broker(Kind::Int, "max.connection.creation.rate", "2147483647")
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Connections accepted a second, on the average of some seconds; more wait."),
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
    // Quotas and what clients tell of themselves.
    broker(Kind::Int, "quota.window.num", "11")
        .check(Check::AtLeast(1))
        .doc("Windows over which the rate of a client quota is measured."),
    broker(Kind::Int, "quota.window.size.seconds", "1")
        .unit(Unit::Seconds)
        .check(Check::AtLeast(1))
        .doc("Length of one such window."),
    broker(Kind::Int, "controller.quota.window.num", "11")
        .check(Check::AtLeast(1))
        .doc("Windows over which the rate of a quota on changes of topics is measured."),
    broker(Kind::Int, "controller.quota.window.size.seconds", "1")
        .unit(Unit::Seconds)
        .check(Check::AtLeast(1))
        .doc("Length of one such window."),
    broker(Kind::Int, "replication.quota.window.num", "11")
        .check(Check::AtLeast(1))
        .doc("Windows over which the rate of throttled replication is measured."),
    broker(Kind::Int, "replication.quota.window.size.seconds", "1")
        .unit(Unit::Seconds)
        .check(Check::AtLeast(1))
        .doc("Length of one such window."),
    broker(Kind::Long, "leader.replication.throttled.rate", "9223372036854775807")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Bytes a second that followers of throttled replicas are sent, at most."),
    broker(Kind::Long, "follower.replication.throttled.rate", "9223372036854775807")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Bytes a second that throttled replicas copy, at most."),
    broker(Kind::Int, "telemetry.max.bytes", "1048576")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1))
        .doc("Largest set of metrics that a client may push (KIP-714)."),
];
