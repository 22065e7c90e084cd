//! Connections between brokers: handshake, calls and streams over one internal listener.
