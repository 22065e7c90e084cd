//! Three brokers in one process: engines, metadata groups and connections over loopback, on simulated disks that can lose
//! their power.

mod chaos;
mod failover;
mod harness;
mod liveness;
mod replicate;
mod stream;
