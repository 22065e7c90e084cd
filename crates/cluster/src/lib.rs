//! This broker's part in the cluster: registration, liveness, controller duties, replication.
