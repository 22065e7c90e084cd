//! A broker in this process, and clients that speak through another implementation of the protocol. Rules `R-n.m` are Kafka's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod admin;
mod api_versions;
mod brokers;
mod cluster;
mod cluster_groups;
mod configs;
mod connections;
mod every_version;
mod fetch;
mod fetch_sessions;
mod group_admin;
mod group_members;
mod group_offsets;
mod group_rebalance;
mod group_requests;
mod harness;
mod limits;
mod list_offsets;
mod metadata;
mod produce;
mod quotas;
mod records;
mod telemetry;
mod topics;
