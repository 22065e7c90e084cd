//! `eddy group explain`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::ask;
use super::describe::facts;
use super::diagnosis::{Diagnosis, Looks, diagnose};
use super::model::Group;
use crate::error::CliError;
use crate::global::duration;
use crate::moment::now_ms;
use crate::{Context, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Group to explain
    #[arg(value_name = "GROUP")]
    group: String,
    /// Time between two looks at the group
    #[arg(long = "for", value_name = "TIME", default_value = "3s", value_parser = duration)]
    apart: Duration,
    /// Exit with 3 when the group does not keep up
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Explained<'a> {
    #[serde(flatten)]
    pub(super) diagnosis: &'a Diagnosis,
    pub(super) group: &'a Group,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let began = Instant::now();
    let before = ask::describe(brokers, &arguments.group, now_ms()).await?;
    let asked = Instant::now();
    tokio::time::sleep(arguments.apart).await;
    let second = Instant::now();
    let after = ask::describe(brokers, &arguments.group, now_ms()).await?;
    // Each look takes a while; the middle of it is a fair guess at its moment.
    let apart = (second - began) + second.elapsed() / 2 - (asked - began) / 2;
    let apart_ms = i64::try_from(apart.as_millis()).unwrap_or(i64::MAX);
    let diagnosis = diagnose(&Looks { before: &before, after: &after, apart_ms });
    let explained = Explained { diagnosis: &diagnosis, group: &after };
    context.printer.thing(&explained, |_| render(&explained))?;
    if arguments.check && diagnosis.verdict.is_bad() {
        return Err(CliError::shown(Exit::Unhealthy));
    }
    Ok(())
}

pub(super) fn render(explained: &Explained<'_>) -> String {
    let Explained { group, diagnosis } = explained;
    let mut out = format!("{}   {} · {}", group.group, facts(group).join(" · "), diagnosis.verdict.words());
    let worst = diagnosis.partitions.first().filter(|_| diagnosis.verdict.is_bad());
    if let Some(worst) = worst {
        write!(out, " on {}", worst.place).ok();
        let more = diagnosis.partitions.iter().filter(|one| one.verdict == diagnosis.verdict).count() - 1;
        if more > 0 {
            write!(out, " and {more} more").ok();
        }
    }
    out.push('\n');
    for finding in diagnosis.partitions.iter().take(SHOWN_MAX) {
        writeln!(out, "  {}  {}", finding.place, finding.text).ok();
    }
    let hidden = diagnosis.partitions.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        writeln!(out, "  and {hidden} more: eddy group describe {} --lagging", group.group).ok();
    }
    writeln!(out, "  cause     {}", diagnosis.cause).ok();
    for (index, evidence) in diagnosis.evidence.iter().enumerate() {
        writeln!(out, "  {:8}  {evidence}", if index == 0 { "evidence" } else { "" }).ok();
    }
    let width = diagnosis.attempts.iter().map(|attempt| attempt.command.chars().count()).max().unwrap_or(0);
    for (index, attempt) in diagnosis.attempts.iter().enumerate() {
        let label = if index == 0 { "try" } else { "" };
        writeln!(out, "  {label:8}  {:width$}   {}", attempt.command, attempt.effect).ok();
    }
    out
}

/// Partitions shown one by one; the rest is counted.
const SHOWN_MAX: usize = 8;
