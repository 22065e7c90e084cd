//! `eddy cluster health`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tokio::time::Instant;

use super::ask;
use super::assess::{DiskLimits, Health, Status, assess};
use super::facts::Facts;
use crate::error::CliError;
use crate::global::duration;
use crate::output::Printer;
use crate::words::plural;
use crate::{Context, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Wait until the cluster is healthy, as long as --timeout allows
    #[arg(long, value_name = "healthy", num_args = 0..=1, default_missing_value = "healthy", conflicts_with = "watch")]
    wait: Option<Until>,
    /// Look again and again
    #[arg(short, long)]
    watch: bool,
    /// Time between two looks of --watch and --wait
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    every: Duration,
    /// Percent of a disk from which on it is worth a look; 101 for never
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    disk_warn: u64,
    /// Percent of a disk from which on it is a danger; 101 for never
    #[arg(long, value_name = "PERCENT", default_value_t = 95)]
    disk_bad: u64,
    /// Print for a monitoring system instead
    #[arg(long = "as", value_name = "SYSTEM", value_enum)]
    system: Option<System>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// Nothing is wrong
    Healthy,
    /// Everything is served
    Serving,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    /// Text exposition format, for a textfile collector
    Prometheus,
    /// A plug-in's line; exits with 0, 1 for degraded, 2 for unhealthy
    Nagios,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    health: &'a Health,
    #[serde(flatten)]
    facts: &'a Facts,
}

/// The time between two looks while waiting is no longer than this.
const WAIT_PAUSE_MAX: Duration = Duration::from_millis(250);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    if arguments.watch {
        return watch(context, arguments).await;
    }
    let (facts, health) = match arguments.wait {
        Some(until) => wait(context, arguments, until).await?,
        None => look(context, arguments).await?,
    };
    show(context, arguments, &facts, &health)?;
    let exit = match (arguments.system, health.status) {
        (_, Status::Healthy) => return Ok(()),
        (Some(System::Nagios), Status::Degraded) => Exit::Failed,
        (Some(System::Nagios), Status::Unhealthy) => Exit::Usage,
        (_, Status::Degraded) if arguments.wait == Some(Until::Serving) => return Ok(()),
        (_, Status::Degraded | Status::Unhealthy) => Exit::Unhealthy,
    };
    Err(CliError::shown(exit))
}

async fn look(context: &Context, arguments: &Arguments) -> Result<(Facts, Health), CliError> {
    let facts = ask::facts(context.brokers().await?).await?;
    let health = assess(&facts, DiskLimits { warn: arguments.disk_warn, bad: arguments.disk_bad });
    Ok((facts, health))
}

async fn watch(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    loop {
        let (facts, health) = look(context, arguments).await?;
        show(context, arguments, &facts, &health)?;
        tokio::time::sleep(arguments.every).await;
    }
}

/// Looks until it is as wanted. A cluster that cannot be reached yet is waited for as well; at the end, what was seen last counts.
async fn wait(context: &Context, arguments: &Arguments, until: Until) -> Result<(Facts, Health), CliError> {
    let deadline = Instant::now() + context.global.timeout;
    loop {
        let seen = look(context, arguments).await;
        let is_there = match (&seen, until) {
            (Ok((_, health)), Until::Healthy) => health.status == Status::Healthy,
            (Ok((_, health)), Until::Serving) => health.status != Status::Unhealthy,
            (Err(error), _) if error.exit() == Exit::Unreachable => false,
            (Err(_), _) => true,
        };
        let pause = arguments.every.min(WAIT_PAUSE_MAX);
        if is_there || Instant::now() + pause >= deadline {
            return seen;
        }
        tokio::time::sleep(pause).await;
    }
}

fn show(context: &Context, arguments: &Arguments, facts: &Facts, health: &Health) -> Result<(), CliError> {
    match arguments.system {
        Some(System::Prometheus) => context.printer.write(&prometheus(facts, health)),
        Some(System::Nagios) => context.printer.write(&nagios(facts, health)),
        None => {
            let report = Report { health, facts };
            context.printer.thing(&report, |printer| render(printer, facts, health))
        }
    }
}

fn render(printer: &Printer, facts: &Facts, health: &Health) -> String {
    let mut out = printer.styled(style(health.status), health.status.name());
    write!(out, "  {}", health.summary).ok();
    let leader = facts.quorum.as_ref().map(|quorum| quorum.leader).or(facts.controller);
    let mut rest: Vec<String> =
        leader.filter(|id| *id >= 0).map(|id| format!("controller {id}")).into_iter().collect();
    rest.extend(facts.quorum.as_ref().map(|quorum| format!("term {}", quorum.epoch)));
    rest.push(plural(facts.partitions, "partition"));
    writeln!(out, "      {}", rest.join(" · ")).ok();
    let width = health.problems.iter().map(|problem| problem.subject.chars().count()).max().unwrap_or(0);
    for problem in &health.problems {
        let mark = printer.styled(style(problem.status), "!");
        writeln!(out, "  {mark} {:width$}  {}", problem.subject, problem.text).ok();
    }
    if !health.well.is_empty() {
        let well: Vec<String> = health.well.iter().map(|what| format!("ok {what}")).collect();
        writeln!(out, "  {}", well.join(" · ")).ok();
    }
    out
}

fn style(status: Status) -> anstyle::Style {
    let color = match status {
        Status::Healthy => anstyle::AnsiColor::Green,
        Status::Degraded => anstyle::AnsiColor::Yellow,
        Status::Unhealthy => anstyle::AnsiColor::Red,
    };
    color.on_default().bold()
}

fn nagios(facts: &Facts, health: &Health) -> String {
    let word = match health.status {
        Status::Healthy => "OK",
        Status::Degraded => "WARNING",
        Status::Unhealthy => "CRITICAL",
    };
    let count = Counts::of(facts);
    let mut out = format!(
        "KAFKA {word} - {} | brokers={} unreachable={} partitions={} leaderless={} under_min_isr={} under_replicated={}\n",
        health.summary,
        facts.brokers.len(),
        count.unreachable,
        facts.partitions,
        count.leaderless,
        count.under_min_isr,
        count.under_replicated,
    );
    for problem in &health.problems {
        writeln!(out, "{}: {}", problem.subject, problem.text).ok();
    }
    out
}

fn prometheus(facts: &Facts, health: &Health) -> String {
    let count = Counts::of(facts);
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: usize| {
        writeln!(
            out,
            "# HELP eddy_cluster_{name} {help}\n# TYPE eddy_cluster_{name} gauge\neddy_cluster_{name} {value}"
        )
        .ok();
    };
    gauge("healthy", "1 when nothing is wrong.", usize::from(health.status == Status::Healthy));
    gauge("serving", "1 when everything is served.", usize::from(health.status != Status::Unhealthy));
    gauge("brokers", "Registered brokers.", facts.brokers.len());
    gauge("brokers_unreachable", "Brokers that are fenced or do not answer from here.", count.unreachable);
    gauge("partitions", "Partitions.", facts.partitions);
    gauge("partitions_leaderless", "Partitions without a leader.", count.leaderless);
    gauge("partitions_under_min_isr", "Partitions below min.insync.replicas.", count.under_min_isr);
    gauge("partitions_under_replicated", "Partitions with a replica out of sync.", count.under_replicated);
    out
}

struct Counts {
    unreachable: usize,
    leaderless: usize,
    under_min_isr: usize,
    under_replicated: usize,
}

impl Counts {
    fn of(facts: &Facts) -> Counts {
        let out = |broker: &&super::facts::Broker| broker.is_fenced || broker.unreachable.is_some();
        Counts {
            unreachable: facts.brokers.iter().filter(out).count(),
            leaderless: facts.troubled.iter().filter(|one| one.leader.is_none()).count(),
            under_min_isr: facts.troubled.iter().filter(|one| one.is_under_min_isr()).count(),
            under_replicated: facts.troubled.iter().filter(|one| one.is_under_replicated()).count(),
        }
    }
}

#[cfg(test)]
mod tests;
