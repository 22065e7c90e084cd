//! The leader's stories and properties.

mod follower;
mod pending_acks;
mod properties;
mod scenarios;
mod story;
mod transactions;
