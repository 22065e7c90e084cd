//! This broker's part in the cluster: registration, liveness, controller duties, replication.
//!
//! [`Cluster`] is started after the engine and stopped before it. It tells the cluster that this broker is there and keeps
//! telling it ([`liveness`]); while this broker leads the metadata group it watches over the others; it follows the partitions
//! that others lead and serves those that follow it ([`replication`]); and it takes what leaders want of the controller there
//! ([`isr`]). A lone node only registers.

mod cluster;
mod departures;
mod isr;
mod liveness;
mod registration;
mod replication;
mod shutdown;
mod stats;

pub use cluster::{Cluster, ClusterConfig};
pub use registration::RegistrationFailed;
pub use stats::{ClusterStats, FetcherStats, SessionStats};
