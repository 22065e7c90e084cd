//! `eddy group delete`.

use eddy_client::accepted;
use eddy_client::messages::{ApiKey, DeleteGroupsRequest, DeleteGroupsResponse};
use serde::Serialize;

use super::carry_out::not_empty;
use super::model::Place;
use super::plan::Kept;
use super::undo::{self, Change};
use super::{members, offsets};
use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};
use crate::moment::now_ms;
use crate::selection::Selection;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Groups to delete
    #[arg(value_name = "GROUP", required = true)]
    groups: Vec<String>,
    /// Delete only what is committed for this topic, or TOPIC:0,3-5 of it; repeatable
    #[arg(short, long, value_name = "TOPIC[:P]")]
    topic: Vec<Selection>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct Deleted {
    group: String,
    /// Partitions whose commit is gone.
    offsets: usize,
    /// Whether the group itself is gone.
    deleted: bool,
}

const COLUMNS: &[Column<Deleted>] = &[
    Column::new("GROUP", |row| Cell::text(row.group.clone())),
    Column::new("OFFSETS", |row| Cell::Count(row.offsets as i64)),
    Column::new("RESULT", |row| Cell::text(if row.deleted { "group deleted" } else { "offsets deleted" })),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    context.changes()?;
    let brokers = context.brokers().await?;
    let mut losses = Vec::with_capacity(arguments.groups.len());
    for group in &arguments.groups {
        losses.push(loss(brokers, group, &arguments.topic).await?);
    }
    let count: usize = losses.iter().map(|(_, kept)| kept.len()).sum();
    let names = arguments.groups.join(", ");
    let what = if arguments.topic.is_empty() { "delete" } else { "delete offsets of" };
    let name = arguments.groups.first().map(String::as_str).unwrap_or_default();
    context.confirm(&format!("{what} {names} ({count} commits)"), name, arguments.yes)?;
    let mut rows = Vec::with_capacity(losses.len());
    for (group, kept) in losses {
        rows.push(delete(context, brokers, group, kept, arguments.topic.is_empty()).await?);
    }
    context.printer.rows(COLUMNS, &rows)
}

/// What would be gone: refuses where the broker would, before anything is asked.
async fn loss<'a>(
    brokers: &Brokers,
    group: &'a str,
    topics: &[Selection],
) -> Result<(&'a str, Vec<Kept>), CliError> {
    let found = members::members(brokers, group).await?;
    if topics.is_empty() && !found.is_empty() {
        return Err(not_empty(&found));
    }
    let mut committed = offsets::committed(brokers, group).await?;
    if !topics.is_empty() {
        committed.retain(|place, _| topics.iter().any(|selection| selection.has(place)));
        if committed.is_empty() {
            return Err(CliError::not_found(format!("group {group} has committed nothing there")));
        }
    }
    let kept = committed.into_iter().map(|(place, offset)| Kept {
        topic: place.topic,
        partition: place.partition,
        before: Some(offset),
        after: None,
    });
    Ok((group, kept.collect()))
}

async fn delete(
    context: &Context,
    brokers: &Brokers,
    group: &str,
    kept: Vec<Kept>,
    whole: bool,
) -> Result<Deleted, CliError> {
    let places: Vec<Place> =
        kept.iter().map(|kept| Place { topic: kept.topic.clone(), partition: kept.partition }).collect();
    if !kept.is_empty() {
        let file = undo::file(context, brokers, group).await?;
        let mut stack = file.read()?;
        let what = if whole { "delete" } else { "delete of offsets" };
        stack.push(Change { at_ms: now_ms(), what: what.to_owned(), offsets: kept });
        file.write(&stack)?;
    }
    if whole {
        delete_group(brokers, group).await?;
    } else {
        offsets::remove(brokers, group, &places).await?;
    }
    Ok(Deleted { group: group.to_owned(), offsets: places.len(), deleted: whole })
}

async fn delete_group(brokers: &Brokers, group: &str) -> Result<(), CliError> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![members::group_id(group)]);
    let read = |answer: DeleteGroupsResponse| {
        let code = answer.results.first().map_or(0, |result| result.error_code);
        accepted(ApiKey::DeleteGroups, code, group, None)
    };
    brokers.call(To::Group(group), &request, read).await.map_err(|error| match error.exit() {
        Exit::NotFound => members::not_found(group),
        _ => error.during(format!("cannot delete group {group}")),
    })
}
