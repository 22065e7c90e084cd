//! `eddy config get|set|unset|diff`: dynamic configuration of topics, brokers, groups and client metrics.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::context::Host;
use crate::{Invocation, start};

mod ask;
mod diff;
mod get;
mod set;
mod value;

pub(crate) use ask::{Change, Operation, Setting, Source, alter, settings};

/// A command about the configuration that the cluster keeps.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show settings of a topic, broker, group or client-metrics subscription
    Get(Invocation<get::Arguments>),
    /// Change settings
    Set(Invocation<set::SetArguments>),
    /// Give settings their default back
    Unset(Invocation<set::UnsetArguments>),
    /// Show what differs from the default, or between two
    Diff(Invocation<diff::Arguments>),
}

/// Runs such a command to its end.
pub async fn run_config(host: Host, command: ConfigCommand) -> ExitCode {
    let outcome = match command {
        ConfigCommand::Get(call) => start(host, call, get::run).await,
        ConfigCommand::Set(call) => start(host, call, set::run).await,
        ConfigCommand::Unset(call) => start(host, call, set::unset).await,
        ConfigCommand::Diff(call) => start(host, call, diff::run).await,
    };
    outcome.err().map_or(ExitCode::SUCCESS, |error| error.report())
}

/// What settings are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A topic, by its name
    #[value(alias = "topics")]
    Topic,
    /// A broker, by its id; `default` is all of them
    #[value(alias = "brokers")]
    Broker,
    /// The log levels of a broker, by its id
    BrokerLogger,
    /// A consumer or share group, by its name
    #[value(alias = "groups")]
    Group,
    /// A subscription to metrics of clients, by its name (KIP-714)
    ClientMetrics,
}

impl Kind {
    /// The number in the protocol.
    pub(crate) fn code(self) -> i8 {
        match self {
            Kind::Topic => 2,
            Kind::Broker => 4,
            Kind::BrokerLogger => 8,
            Kind::ClientMetrics => 16,
            Kind::Group => 32,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Topic => "topic",
            Kind::Broker => "broker",
            Kind::BrokerLogger => "broker-logger",
            Kind::ClientMetrics => "client-metrics",
            Kind::Group => "group",
        }
    }
}

/// The name by which the settings of all brokers go.
const ALL_BROKERS: &str = "default";

/// Something that has settings.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Resource {
    /// What it is
    #[arg(value_name = "KIND", value_enum)]
    pub(crate) kind: Kind,
    /// Its name or id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}
