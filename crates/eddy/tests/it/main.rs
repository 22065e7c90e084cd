//! The built binary as a user meets it: texts, exit codes, life cycle.

mod cluster;
mod command_line;
mod configuration;
mod start;
mod support;
