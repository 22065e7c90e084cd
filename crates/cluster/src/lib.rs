//! This broker's part in the cluster: registration, liveness, controller duties, replication.
//!
//! [`Cluster`] is started after the engine and stopped before it. A lone node only registers.

mod cluster;
mod registration;
mod stats;

pub use cluster::{Cluster, ClusterConfig};
pub use registration::RegistrationFailed;
pub use stats::{ClusterStats, FetcherStats, SessionStats};
