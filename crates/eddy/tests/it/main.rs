//! The built binary as a user meets it: texts, exit codes, life cycle.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli_bench;
mod cli_cluster;
mod cli_group;
mod cli_reassign;
mod cli_records;
mod cli_session;
mod cli_topics;
mod cluster;
mod command_line;
mod configuration;
mod data;
mod durability;
mod kafka;
mod nodes;
mod start;
mod support;
mod three_nodes;
