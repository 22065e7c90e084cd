//! Stories of groups, and random schedules.

mod admin;
mod clients;
mod join;
mod matrix;
mod offsets;
mod player;
pub(super) mod random;
mod reload;
mod static_members;
mod sync;
mod world;
