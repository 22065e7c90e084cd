//! Showing a change of offsets, and doing it.

use serde::Serialize;

use super::model::Group;
use super::offsets;
use super::plan::{self, Step};
use super::undo::{self, Change};
use crate::error::{CliError, Exit};
use crate::moment::{now_ms, rfc3339};
use crate::{Cell, Column, Context};

/// How far the user wants to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) execute: bool,
    pub(super) yes: bool,
}

/// What becomes of the user's stack of changes once it is done.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// The change goes on it, under the words it was asked for with.
    Remember(String),
    /// Its last change was taken back.
    Forget,
}

/// What was planned or done.
#[derive(Debug, Serialize)]
struct Outcome {
    group: String,
    state: String,
    executed: bool,
    partitions: Vec<Shown>,
}

/// A step with what follows from it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    step: Step,
    delta: Option<i64>,
}

const COLUMNS: &[Column<Shown>] = &[
    Column::new("TOPIC", |row| Cell::text(row.step.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.step.place.partition)),
    Column::new("NOW", |row| row.step.now.map_or(Cell::None, Cell::Count)),
    Column::new("NEW", |row| row.step.new.map_or(Cell::None, Cell::Count)),
    Column::new("DELTA", |row| row.delta.map_or(Cell::None, Cell::Count)),
    Column::new("RECORD TIME", |row| row.step.record_ms.map_or(Cell::None, |ms| Cell::text(rfc3339(ms)))),
    Column::new("NOTE", |row| Cell::text(row.step.note.clone())),
];

/// Shows the steps, and does them when that is wanted: only in a group without members, and only after what is needed to undo them is
/// on disk.
pub(super) async fn carry_out(
    context: &Context,
    group: &Group,
    steps: Vec<Step>,
    ask: Ask,
    then: Then,
) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let kept = plan::kept(&steps);
    let show = |executed| {
        let partitions = steps.iter().map(|step| Shown { delta: step.delta(), step: step.clone() }).collect();
        let outcome =
            Outcome { group: group.group.clone(), state: group.state.clone(), executed, partitions };
        context.printer.thing(&outcome, |printer| printer.table(COLUMNS, &outcome.partitions))
    };
    if !ask.execute {
        let mut text = "dry run, nothing changed (add --execute)".to_owned();
        if !group.is_empty() {
            text += &format!(". group must be empty: {}", has_members(group));
        }
        context.note(text);
        return show(false);
    }
    if !group.is_empty() {
        return Err(not_empty(group));
    }
    if kept.is_empty() {
        context.note("nothing to change");
        return show(false);
    }
    let change = format!("move group {} in {} partitions", group.group, kept.len());
    context.confirm(&change, &group.group, ask.yes || !context.profile.confirm)?;
    let file = undo::file(context, brokers, &group.group).await?;
    let mut stack = file.read()?;
    if let Then::Remember(what) = &then {
        // Kept before it is done: an undo of what was not done after all changes nothing.
        stack.push(Change { at_ms: now_ms(), what: what.clone(), offsets: kept });
        file.write(&stack)?;
    }
    let applied = offsets::apply(brokers, &group.group, &steps).await;
    applied.map_err(|error| error.during(format!("cannot move group {}", group.group)))?;
    show(true)?;
    match then {
        Then::Remember(_) => context.note(format!("undo: eddy group undo {} --execute", group.group)),
        Then::Forget => {
            stack.pop();
            file.write(&stack)?;
        }
    }
    Ok(())
}

fn has_members(group: &Group) -> String {
    match group.members.len() {
        1 => "it has 1 member".to_owned(),
        members => format!("it has {members} members"),
    }
}

pub(super) fn not_empty(group: &Group) -> CliError {
    let mut error =
        CliError::new(Exit::Failed, format!("group {} is not empty: {}", group.group, has_members(group)));
    for member in group.members.iter().take(5) {
        error = error.fact(format!("{} @{}", member.short_name(), member.host));
    }
    error.fix(
        format!("eddy group describe {}", group.group),
        "see all; stop them, and wait for their session timeout",
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::group::model::samples::{NOW_MS, billing};
    use crate::output::Printer;
    use crate::{Format, positions::Place};

    fn shown(
        partition: i32,
        now: Option<i64>,
        new: Option<i64>,
        record_ms: Option<i64>,
        note: &str,
    ) -> Shown {
        let place = Place { topic: "orders".to_owned(), partition };
        let step = Step { place, now, new, record_ms, note: note.to_owned() };
        Shown { delta: step.delta(), step }
    }

    #[test]
    fn a_plan_shows_where_from_and_where_to() {
        let rows = [
            shown(0, Some(306_100), Some(304_020), Some(NOW_MS), ""),
            shown(1, None, Some(0), None, "empty"),
            shown(2, Some(12), None, None, "it moved since"),
        ];
        expect![[r#"
            TOPIC   P      NOW      NEW   DELTA  RECORD TIME           NOTE
            orders  0  306,100  304,020  -2,080  2026-11-21T06:47:02Z
            orders  1        -        0       -  -                     empty
            orders  2       12        -       -  -                     it moved since
        "#]]
        .assert_eq(&Printer::plain(Format::Table, true).table(COLUMNS, &rows));
        expect![[r#"
            {"topic":"orders","partition":0,"now":306100,"new":304020,"record_ms":1795243622000,"note":"","delta":-2080}
            {"topic":"orders","partition":1,"now":null,"new":0,"record_ms":null,"note":"empty","delta":null}
            {"topic":"orders","partition":2,"now":12,"new":null,"record_ms":null,"note":"it moved since","delta":null}
        "#]].assert_eq(&Printer::plain(Format::Jsonl, true).render_rows(COLUMNS, &rows).unwrap());
    }

    #[test]
    fn a_group_with_members_is_not_moved() {
        expect![[r#"
            error: group billing is not empty: it has 3 members
              billing-1 @10.0.4.6
              billing-2 @10.0.4.7
              billing-3 @10.0.4.8
              fix: eddy group describe billing   see all; stop them, and wait for their session timeout
        "#]]
        .assert_eq(&not_empty(&billing()).to_string());
    }
}
