//! The server's side of Kafka frames and messages: a bounded, zero-copy codec generated from Kafka's message schemas.
