//! Offsets that were changed from here, kept so that a change can be taken back: the last ten of each group.
//!
//! A file per cluster and group in the user's directory of state. It is a convenience of this user on this machine; the cluster knows
//! nothing of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::carry_out::{Ask, Then, carry_out};
use super::offsets;
use super::plan::{self, Kept};
use super::seek::find;
use crate::brokers::Brokers;
use crate::error::{CliError, Exit};
use crate::moment::rfc3339;
use crate::{Cell, Column, Context, Host};

/// Changes kept for a group.
const DEPTH: usize = 10;
/// A longer file was not written by us.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Group to move back
    #[arg(value_name = "GROUP")]
    group: String,
    /// List the changes that are kept, newest first
    #[arg(long, conflicts_with = "execute")]
    list: bool,
    /// Do it; without this, only show what would change
    #[arg(short = 'x', long)]
    execute: bool,
    /// Do not ask, where the profile says to
    #[arg(short, long)]
    yes: bool,
}

const COLUMNS: &[Column<Change>] = &[
    Column::new("WHEN", |row| Cell::text(rfc3339(row.at_ms))),
    Column::new("WHAT", |row| Cell::text(row.what.clone())),
    Column::new("PARTITIONS", |row| Cell::Count(row.offsets.len() as i64)),
];

/// One change of offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// When, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// What was asked for, such as `--to earliest`.
    pub(crate) what: String,
    pub(crate) offsets: Vec<Kept>,
}

/// The changes of one group, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stack {
    changes: Vec<Change>,
}

impl Stack {
    /// Adds a change; the oldest goes when there are too many.
    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
        let surplus = self.changes.len().saturating_sub(DEPTH);
        self.changes.drain(..surplus);
    }

    pub(crate) fn last(&self) -> Option<&Change> {
        self.changes.last()
    }

    pub(crate) fn pop(&mut self) -> Option<Change> {
        self.changes.pop()
    }

    /// Newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().rev()
    }
}

/// Where the stack of a group is kept.
pub(crate) struct File<'a> {
    host: &'a Host,
    path: PathBuf,
}

impl<'a> File<'a> {
    /// The file of a group of a cluster; `None` on a system without a home directory.
    pub(crate) fn of(host: &'a Host, cluster: &str, group: &str) -> Option<File<'a>> {
        let directory = host.state_dir.as_ref()?.join("undo").join(file_name(cluster));
        Some(File { host, path: directory.join(format!("{}.json", file_name(group))) })
    }

    /// The stack; empty when there is no file.
    pub(crate) fn read(&self) -> Result<Stack, CliError> {
        let wrong = |reason: String| {
            CliError::new(Exit::Failed, format!("cannot read {}: {reason}", self.path.display()))
                .fact("it keeps what eddy group undo needs; remove it to begin anew")
        };
        match self.host.read(&self.path, FILE_BYTES_MAX) {
            Ok(None) => Ok(Stack::default()),
            Ok(Some(text)) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    pub(crate) fn write(&self, stack: &Stack) -> Result<(), CliError> {
        let failed = |reason: String| {
            CliError::new(Exit::Failed, format!("cannot write {}: {reason}", self.path.display()))
        };
        let text = serde_json::to_vec(stack).map_err(|error| failed(error.to_string()))?;
        (self.host.replace)(&self.path, &text).map_err(|error| failed(error.to_string()))
    }
}

/// The file of a group of the cluster that is connected.
pub(super) async fn file<'a>(
    context: &'a Context,
    brokers: &Brokers,
    group: &str,
) -> Result<File<'a>, CliError> {
    let cluster = brokers.cluster(Some(&[])).await?.id.unwrap_or_default();
    File::of(&context.host, &cluster, group).ok_or_else(|| {
        CliError::new(
            Exit::Failed,
            "there is no directory to keep an undo in: neither XDG_STATE_HOME nor HOME is set",
        )
    })
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    if arguments.execute {
        context.changes()?;
    }
    let brokers = context.brokers().await?;
    let file = file(context, brokers, &arguments.group).await?;
    let stack = file.read()?;
    if arguments.list {
        let changes: Vec<Change> = stack.newest_first().cloned().collect();
        return context.printer.rows(COLUMNS, &changes);
    }
    let Some(last) = stack.last() else {
        return Err(CliError::not_found(format!("no change of group {} to undo", arguments.group))
            .fact("only changes that were made from this account are known here"));
    };
    let group = find(brokers, &arguments.group).await?;
    let now = offsets::committed(brokers, &arguments.group).await?;
    let now: BTreeMap<_, _> = now.into_iter().map(|(place, offset)| (place, Some(offset))).collect();
    let steps = plan::back(&last.offsets, &now);
    context.note(format!("undo of {} at {}", last.what, rfc3339(last.at_ms)));
    let asked = Ask { execute: arguments.execute, yes: arguments.yes };
    carry_out(context, &group, steps, asked, Then::Forget).await
}

/// A name that any file system takes: group ids may hold any character. Never empty, never hidden, and different for different ids that
/// fit; longer ones are cut.
fn file_name(id: &str) -> String {
    const BYTES_MAX: usize = 200;
    let mut name = String::new();
    for byte in id.bytes() {
        if name.len() >= BYTES_MAX {
            break;
        }
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            // Upper case too: a file system may not tell it from lower case.
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at_ms: i64) -> Change {
        Change { at_ms, what: "--to earliest".to_owned(), offsets: Vec::new() }
    }

    #[test]
    fn the_last_ten_changes_are_kept() {
        let mut stack = Stack::default();
        for at in 0..12 {
            stack.push(change(at));
        }
        let times: Vec<i64> = stack.newest_first().map(|change| change.at_ms).collect();
        assert_eq!(times, (2..12).rev().collect::<Vec<_>>());
        assert_eq!(stack.pop(), Some(change(11)));
        assert_eq!(stack.last(), Some(&change(10)));
    }

    #[test]
    fn file_names_are_safe_and_tell_groups_apart() {
        assert_eq!(file_name("billing-2"), "billing-2");
        assert_eq!(file_name("../Etc"), "%2e%2e%2f%45tc");
        assert_ne!(file_name("A"), file_name("a"));
        assert_eq!(file_name(""), "%");
        assert!(file_name(&"ö".repeat(500)).len() <= 210);
    }
}
