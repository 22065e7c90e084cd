//! Outgoing Kafka connections on the kafka-protocol codec.
