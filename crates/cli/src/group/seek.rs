//! `eddy group seek`.

use std::collections::{BTreeMap, BTreeSet};

use super::carry_out::{Ask, Then, carry_out};
use super::model::{Group, Place, Progress};
use super::plan::{self, Step};
use super::target::Target;
use super::{ask, members, offsets};
use crate::Context;
use crate::brokers::Brokers;
use crate::error::{CliError, Exit};
use crate::moment::now_ms;
use crate::positions::{Wanted, first_times, positions};
use crate::selection::Selection;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Group to move
    #[arg(value_name = "GROUP")]
    group: String,
    /// Where to: earliest, latest, OFFSET, @TIME such as @-1h or @2026-11-21T06:00:00Z, +N or -N records from the commit
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, required_unless_present = "to_group")]
    to: Option<Target>,
    /// Where another group is
    #[arg(long, value_name = "OTHER", conflicts_with = "to")]
    to_group: Option<String>,
    /// Only this topic, or TOPIC:0,3-5 of it; repeatable [default: all that the group has committed]
    #[arg(short, long, value_name = "TOPIC[:P]")]
    topic: Vec<Selection>,
    /// Do it; without this, only show what would change
    #[arg(short = 'x', long)]
    execute: bool,
    /// Do not ask, where the profile says to
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    if arguments.execute {
        context.changes()?;
    }
    let brokers = context.brokers().await?;
    let group = find(brokers, &arguments.group).await?;
    let progress = progress(brokers, arguments, &group).await?;
    let mut steps = steps(brokers, arguments, &progress).await?;
    add_times(brokers, &progress, &mut steps).await?;
    let what = match (&arguments.to, &arguments.to_group) {
        (_, Some(other)) => format!("--to-group {other}"),
        (Some(target), None) => format!("--to {target}"),
        (None, None) => String::new(),
    };
    let ask = Ask { execute: arguments.execute, yes: arguments.yes };
    carry_out(context, &group, steps, ask, Then::Remember(what)).await
}

/// A group that may not exist yet: a seek before its first start is fine.
pub(super) async fn find(brokers: &Brokers, name: &str) -> Result<Group, CliError> {
    match members::members(brokers, name).await {
        Err(error) if error.exit() == Exit::NotFound => Ok(Group::missing(name)),
        found => found,
    }
}

async fn progress(
    brokers: &Brokers,
    arguments: &Arguments,
    group: &Group,
) -> Result<Vec<Progress>, CliError> {
    let mut committed = offsets::committed(brokers, &group.group).await?;
    let mut more: Vec<Place> = Vec::new();
    if !arguments.topic.is_empty() {
        committed.retain(|place, _| arguments.topic.iter().any(|selection| selection.has(place)));
        more = selected(brokers, &arguments.topic).await?;
    } else if let Some(other) = &arguments.to_group {
        more = offsets::committed(brokers, other).await?.into_keys().collect();
    }
    if committed.is_empty() && more.is_empty() {
        let nothing = format!("group {} has committed nothing, so there is nothing to move", group.group);
        return Err(CliError::not_found(nothing).fix("--topic TOPIC", "say which topics it will read"));
    }
    ask::progress(brokers, &[], &committed, &more, now_ms()).await
}

/// The partitions of selections, which must all exist.
async fn selected(brokers: &Brokers, selections: &[Selection]) -> Result<Vec<Place>, CliError> {
    let topics: BTreeSet<&str> = selections.iter().map(|selection| selection.topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let cluster = brokers.cluster(Some(&topics)).await?;
    let mut places = BTreeSet::new();
    for selection in selections {
        let topic = cluster.topic(&selection.topic)?;
        let place = |partition| Place { topic: topic.name.clone(), partition };
        let all: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
        for &partition in selection.partitions.as_ref().unwrap_or(&all) {
            if !all.contains(&partition) {
                return Err(CliError::not_found(format!("no such partition: {}", place(partition)))
                    .fact(format!("{} has {} partitions", topic.name, all.len())));
            }
            places.insert(place(partition));
        }
    }
    Ok(places.into_iter().collect())
}

async fn steps(
    brokers: &Brokers,
    arguments: &Arguments,
    progress: &[Progress],
) -> Result<Vec<Step>, CliError> {
    let places: Vec<Place> = progress.iter().map(|partition| partition.place.clone()).collect();
    match (&arguments.to, &arguments.to_group) {
        (_, Some(other)) => {
            let theirs = offsets::committed(brokers, other).await?;
            if theirs.is_empty() {
                return Err(CliError::not_found(format!("group {other} has committed nothing")));
            }
            let theirs = theirs.into_iter().map(|(place, offset)| (place, Some(offset))).collect();
            Ok(plan::to_group(progress, &theirs))
        }
        (Some(target), None) => {
            let found = match target {
                Target::Time(moment) => {
                    positions(brokers, &places, Wanted::Time(moment.millis(now_ms()))).await?
                }
                _ => BTreeMap::new(),
            };
            Ok(plan::to_target(target, progress, &found))
        }
        (None, None) => Ok(Vec::new()),
    }
}

async fn add_times(brokers: &Brokers, progress: &[Progress], steps: &mut [Step]) -> Result<(), CliError> {
    let end = |place: &Place| {
        let partition = progress.iter().find(|partition| partition.place == *place)?;
        partition.end
    };
    let there: Vec<(Place, i64)> = steps
        .iter()
        .filter_map(|step| Some((step.place.clone(), step.new?, end(&step.place)?)))
        .filter(|(_, new, end)| new < end)
        .map(|(place, new, _)| (place, new))
        .collect();
    let times = first_times(brokers, &there).await?;
    for step in steps {
        step.record_ms = times.get(&step.place).copied();
    }
    Ok(())
}
