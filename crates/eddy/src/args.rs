//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config;

/// Where data is kept unless a directory is named.
pub(crate) const DEFAULT_DIR: &str = "./eddy-data";

#[derive(Debug, Parser)]
#[command(name = "eddy", version, about = "A Kafka-protocol broker in one binary.", max_term_width = 100)]
#[command(after_help = "First steps: eddy up, then point any Kafka client at 127.0.0.1:9092.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one broker in the foreground
    Serve(ServeArgs),
    /// Start a local cluster, one process per node
    Up(UpArgs),
    /// Stop a local cluster; its data is kept
    Down(DownArgs),
    /// Show and change configuration
    Config(ConfigArgs),
    #[command(flatten)]
    Client(eddy_cli::Command),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    #[command(flatten)]
    Own(config::command::Command),
    #[command(flatten)]
    Cluster(eddy_cli::ConfigCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file: TOML, or Kafka's *.properties
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the broker's data [default: ./eddy-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Set a configuration key; goes before environment and file
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<Assignment>,
    /// Form of the log on stderr: text, json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or by target such as info,eddy_wal=debug
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Number of nodes: 1, 3 or 5 [default: as before, else 1]
    #[arg(long, value_name = "N")]
    pub(crate) nodes: Option<u16>,
    /// Directory of the cluster; node I keeps its data in DIR/node-I
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
    /// Kafka port of node 1; node I listens on the (I-1)th after it [default: as before, else 9092]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) port: Option<u16>,
    /// HTTP port of node 1; node I listens on the (I-1)th after it [default: as before, else 9644]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) admin_port: Option<u16>,
    /// Port of node 1 for the other nodes; node I as above [default: as before, else 9344]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) cluster_port: Option<u16>,
    /// Profile of the write-ahead log: low, medium, high, ultra [default: by memory]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Set a configuration key on every node
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<Assignment>,
    /// Return when the cluster is healthy, and leave it running
    #[arg(long)]
    pub(crate) detach: bool,
    /// Delete the cluster's data first
    #[arg(long)]
    pub(crate) fresh: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// Directory of the cluster
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(crate) dir: PathBuf,
}

/// One `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl std::fmt::Display for Assignment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

pub(crate) fn assignment(text: &str) -> Result<Assignment, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok(Assignment { key: key.trim().to_owned(), value: value.trim().to_owned() })
        }
        _ => Err("must be KEY=VALUE, such as wal.profile=low".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_two_options_of_a_command_collide() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_hold_equal_signs_and_be_empty() {
        let parsed = assignment("broker.rack=a=b").unwrap();
        assert_eq!((parsed.key.as_str(), parsed.value.as_str()), ("broker.rack", "a=b"));
        assert_eq!(assignment("broker.rack=").unwrap().value, "");
        assert!(assignment("broker.rack").is_err() && assignment("=1").is_err());
    }
}
