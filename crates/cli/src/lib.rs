//! The command line over the Kafka protocol.
