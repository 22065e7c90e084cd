//! Keys of the cluster: how brokers find and watch each other, and how partitions are replicated.

use crate::config::key::{Check, Key, Kind, Unit, broker, broker_unset};

const PACED: &str = "a throttle holds from the first byte on, without a window over which it is measured";
const PUSHED: &str = "leaders push what followers lack, as much as the connection takes";

/// The selector that sends consumers to a replica in their rack (KIP-392).
pub(in crate::config) const RACK_AWARE_SELECTOR: &str =
    "org.apache.kafka.common.replica.RackAwareReplicaSelector";

pub(super) static KEYS: &[Key] = &[
    // Who is in the cluster.
    broker_unset(Kind::Text, "cluster.listen")
        .check(Check::Address)
        .doc("Address on which the other brokers are served; not set, the broker is alone. Nobody else may reach it: brokers trust each other."),
    broker_unset(Kind::Text, "cluster.advertised")
        .check(Check::AddressOfPeer)
        .doc("Address at which the other brokers reach this one; when not set, its own of cluster.seeds, else cluster.listen."),
    broker(Kind::List, "cluster.seeds", "")
        .aliases(&["controller.quorum.voters"])
        .listed_as(&["cluster.seeds", "controller.quorum.voters"])
        .check(Check::Seeds)
        .doc("Brokers that found the cluster, and that a broker which is new asks for it, such as 1@a:9094,2@b:9094,3@c:9094. The same on each broker; read while a broker is in no cluster, and to find the others after a start."),
    // Who is alive.
    broker(Kind::Int, "broker.heartbeat.interval.ms", "500")
        .unit(Unit::Millis)
        .check(Check::AtLeast(10))
        .doc("Time between two heartbeats of a broker to the controller."),
    broker(Kind::Int, "broker.session.timeout.ms", "3000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(100))
        .doc("Time without a heartbeat after which a broker is taken for dead, and others lead its partitions. A process that ends is noticed at once."),
    // Who leads.
    broker(Kind::Boolean, "auto.leader.rebalance.enable", "true")
        .doc("Whether partitions go back to their preferred leader by themselves."),
    broker(Kind::Long, "leader.imbalance.check.interval.seconds", "300")
        .unit(Unit::Seconds)
        .check(Check::AtLeast(1))
        .doc("Time between two looks for partitions that their preferred leader does not lead."),
    // Who reads where.
    broker_unset(Kind::Text, "replica.selector.class")
        .check(Check::OneOf(&[RACK_AWARE_SELECTOR, "org.apache.kafka.common.replica.LeaderSelector"]))
        .doc("Which replica consumers read: with org.apache.kafka.common.replica.RackAwareReplicaSelector an in-sync one in the rack that their client.rack names, else the leader."),
    // Replication.
    broker(Kind::Long, "replica.lag.time.max.ms", "30000")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .doc("Time after which a follower that has not caught up is taken out of the in-sync replicas."),
    broker(Kind::Int, "replica.fetch.max.bytes", "1048576")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .inert(PUSHED),
    broker(Kind::Int, "replica.fetch.response.max.bytes", "10485760")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .inert(PUSHED),
    broker(Kind::Int, "replica.fetch.wait.max.ms", "500")
        .unit(Unit::Millis)
        .check(Check::AtLeast(1))
        .inert(PUSHED),
    broker(Kind::Int, "replication.quota.window.num", "11").check(Check::AtLeast(1)).inert(PACED),
    broker(Kind::Int, "replication.quota.window.size.seconds", "1")
        .unit(Unit::Seconds)
        .check(Check::AtLeast(1))
        .inert(PACED),
    broker(Kind::Long, "leader.replication.throttled.rate", "9223372036854775807")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Bytes a second that this broker sends in all to followers out of sync, of partitions in leader.replication.throttled.replicas. In-sync replicas are never held back (KIP-73)."),
    broker(Kind::Long, "follower.replication.throttled.rate", "9223372036854775807")
        .unit(Unit::Bytes)
        .check(Check::AtLeast(0))
        .dynamic()
        .doc("Bytes a second that this broker takes in all of partitions in follower.replication.throttled.replicas in which it is out of sync (KIP-73)."),
];
