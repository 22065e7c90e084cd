//! Three brokers in one process: engines, metadata groups and connections over loopback, on simulated disks that can lose
//! their power.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chaos;
mod failover;
mod harness;
mod liveness;
mod records;
mod replicate;
mod slow_disk;
mod stream;
mod throttle;
