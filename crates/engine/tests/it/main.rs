//! The engine on a simulated disk: what was acknowledged survives every power cut.

mod crash;
mod harness;
mod life;
