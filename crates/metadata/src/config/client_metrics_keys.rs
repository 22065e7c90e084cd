//! The keys of a subscription to metrics of clients (KIP-714), with the types and defaults of Kafka 4.3.

use super::key::{Check, Key, Kind, Unit, client_metrics};

/// Every key of a subscription, by name.
pub static KEYS: &[Key] = &[
    client_metrics(Kind::Int, "interval.ms", "300000")
        .unit(Unit::Millis)
        .check(Check::Between(100, 3_600_000))
        .doc("Time between two pushes of a client."),
    client_metrics(Kind::List, "match", "")
        .check(Check::ClientMatch)
        .doc("Which clients are asked: selector=regular expression items, all of which must match; empty asks all."),
    client_metrics(Kind::List, "metrics", "")
        .doc("Prefixes of the metrics that are asked for; * asks for all, empty for none."),
];
