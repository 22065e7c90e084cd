//! Kafka in and out: listeners, connections, dispatch, one file per API.
