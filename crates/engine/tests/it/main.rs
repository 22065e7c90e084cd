//! The engine on a simulated disk: what was acknowledged survives every power cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behind;
mod brokers;
mod chaos;
mod compact;
mod crash;
mod harness;
mod life;
mod pressed;
mod pump;
mod replay;
mod replicate;
mod roles;
