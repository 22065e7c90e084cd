//! `eddy config set` and `eddy config unset`.

use std::str::FromStr;

use serde::Serialize;

use super::Resource;
use super::ask::{Change, Operation, alter, settings};
use super::value::with_unit;
use crate::error::CliError;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub struct SetArguments {
    #[command(flatten)]
    resource: Resource,
    /// Settings; KEY+=VALUE adds to a list, KEY-=VALUE takes from it
    #[arg(value_name = "KEY=VALUE", required = true)]
    changes: Vec<Change>,
    /// Only ask whether it would be accepted
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct UnsetArguments {
    #[command(flatten)]
    resource: Resource,
    /// Settings
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// Only ask whether it would be accepted
    #[arg(long)]
    dry_run: bool,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Change, String> {
        let wanted = || format!("must be KEY=VALUE, such as retention.ms=86400000: {text}");
        let (key, value) = text.split_once('=').ok_or_else(wanted)?;
        let (key, operation) = match (key.strip_suffix('+'), key.strip_suffix('-')) {
            (Some(key), _) => (key, Operation::Append),
            (_, Some(key)) => (key, Operation::Subtract),
            (None, None) => (key, Operation::Set),
        };
        let key = key.trim();
        if key.is_empty() {
            return Err(wanted());
        }
        Ok(Change { key: key.to_owned(), operation, value: value.trim().to_owned() })
    }
}

/// What a change did to a setting.
#[derive(Debug, Serialize)]
struct Changed {
    key: String,
    before: Option<String>,
    /// `None` when it has its default again.
    after: Option<String>,
    executed: bool,
}

const COLUMNS: &[Column<Changed>] = &[
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("BEFORE", |row| shown(&row.key, row.before.as_deref())),
    Column::new("AFTER", |row| match &row.after {
        None => Cell::text("(default)"),
        after => shown(&row.key, after.as_deref()),
    }),
];

fn shown(key: &str, value: Option<&str>) -> Cell {
    value.map_or(Cell::None, |value| Cell::text(with_unit(key, value)))
}

pub(super) async fn run(context: &Context, arguments: SetArguments) -> Result<(), CliError> {
    change(context, &arguments.resource, &arguments.changes, arguments.dry_run).await
}

pub(super) async fn unset(context: &Context, arguments: UnsetArguments) -> Result<(), CliError> {
    let unset = |key: String| Change { key, operation: Operation::Unset, value: String::new() };
    let changes: Vec<Change> = arguments.keys.into_iter().map(unset).collect();
    change(context, &arguments.resource, &changes, arguments.dry_run).await
}

async fn change(
    context: &Context,
    resource: &Resource,
    changes: &[Change],
    dry_run: bool,
) -> Result<(), CliError> {
    if !dry_run {
        context.changes()?;
    }
    let brokers = context.brokers().await?;
    let keys: Vec<String> = changes.iter().map(|change| change.key.clone()).collect();
    let before = settings(brokers, resource, Some(&keys), false).await?;
    let altered = alter(brokers, resource, changes, dry_run).await;
    altered.map_err(|error| error.fix(format!("eddy config get {resource} --all"), "see keys and values"))?;
    let rows: Vec<Changed> = changes
        .iter()
        .map(|change| {
            let before = before.iter().find(|setting| setting.key == change.key);
            let before = before.and_then(|setting| setting.value.clone());
            Changed {
                key: change.key.clone(),
                after: after(change, before.as_deref()),
                before,
                executed: !dry_run,
            }
        })
        .collect();
    if dry_run {
        context.note("dry run, nothing changed; it would be accepted");
    }
    context.printer.rows(COLUMNS, &rows)
}

/// What a setting is after a change, as the broker computes it.
fn after(change: &Change, before: Option<&str>) -> Option<String> {
    let listed = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let mut items = listed(before.unwrap_or_default());
    match change.operation {
        Operation::Set => return Some(change.value.clone()),
        Operation::Unset => return None,
        Operation::Append => {
            for item in listed(&change.value) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        Operation::Subtract => {
            let gone = listed(&change.value);
            items.retain(|item| !gone.contains(item));
        }
    }
    Some(items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Change {
        text.parse().unwrap()
    }

    #[test]
    fn a_change_sets_adds_or_takes() {
        assert_eq!(change("a.b=c=d").value, "c=d");
        assert_eq!(change("a+=x").operation, Operation::Append);
        assert_eq!(change("a-=x").operation, Operation::Subtract);
        assert_eq!(change("a=").value, "");
        for text in ["a", "=1", "+=1", ""] {
            assert!(text.parse::<Change>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_grow_without_doubles_and_shrink() {
        let result = |text: &str, before| after(&change(text), before).unwrap();
        assert_eq!(result("p+=compact", Some("delete")), "delete,compact");
        assert_eq!(result("p+=delete", Some("delete")), "delete");
        assert_eq!(result("p-=delete", Some("delete,compact")), "compact");
        assert_eq!(result("p+=x", None), "x");
        assert_eq!(result("p=x", Some("y")), "x");
    }
}
