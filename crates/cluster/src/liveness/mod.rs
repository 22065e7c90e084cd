//! Who is alive: heartbeats to the controller, the lease they keep up, and what the controller does about the silent.
//!
//! The controller is the broker that leads the metadata group. Everything else about metadata any broker may decide; that a
//! broker is dead only the controller says, because only there all heartbeats arrive.

mod applied;
mod controller;
mod heartbeats;
mod service;
mod wire;

pub(crate) use applied::until_applied;
pub(crate) use controller::Controller;
pub(crate) use heartbeats::Heartbeats;
pub(crate) use service::LivenessService;
