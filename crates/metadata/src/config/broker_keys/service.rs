//! Keys of what a broker does: its logs, connections, requests and quotas.

use crate::config::key::{Check, Key, Kind, Unit, broker};

const ONE_BY_ONE: &str = "logs are compacted one after the other";
const BUFFERS: &str = "a compaction has buffers of a fixed size";

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
    broker(Kind::Int, "log.cleaner.threads", "1").check(Check::AtLeast(0)).inert(ONE_BY_ONE),
    broker(Kind::Long, "log.cleaner.dedupe.buffer.size", "134217728")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1 << 20))
        .dynamic()
        .doc("Memory for the keys of the logs that are being compacted, all together."),
    broker(Kind::Double, "log.cleaner.io.buffer.load.factor", "0.9").inert(BUFFERS),
    broker(Kind::Int, "log.cleaner.io.buffer.size", "524288")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .inert(BUFFERS),
    broker(Kind::Double, "log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308")
        .dynamic()
        .doc("Bytes that compaction reads and writes a second, at most, all logs together."),
    broker(Kind::Int, "producer.id.expiration.ms", "86400000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
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
    broker(Kind::Text, "max.connections.per.ip.overrides", "").check(Check::LimitsByAddress).dynamic().doc(
        "Limits of single addresses that replace max.connections.per.ip, such as 10.0.0.1:200,10.0.0.2:50.",
    ),
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
    broker(Kind::Int, "telemetry.max.bytes", "1048576")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(1))
        .doc("Largest set of metrics that a client may push (KIP-714)."),
];
