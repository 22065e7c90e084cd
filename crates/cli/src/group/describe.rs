//! `eddy group describe`.

use serde::Serialize;

use super::ask;
use super::model::{Group, Member, Progress};
use crate::error::CliError;
use crate::moment::{now_ms, rfc3339, span};
use crate::output::Printer;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Group to describe
    #[arg(value_name = "GROUP")]
    group: String,
    /// Only partitions that are behind
    #[arg(short, long)]
    lagging: bool,
}

/// A group with its sums.
#[derive(Debug, Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    group: &'a Group,
    lag: i64,
    lag_ms: Option<i64>,
}

pub(super) const PARTITIONS: &[Column<Progress>] = &[
    Column::new("TOPIC", |row| Cell::text(row.place.topic.clone())),
    Column::new("P", |row| Cell::count(row.place.partition)),
    Column::new("COMMITTED", |row| offset(row.committed)),
    Column::wide("START", |row| offset(row.start)),
    Column::new("END", |row| offset(row.end)),
    Column::new("LAG", |row| offset(row.lag)),
    Column::new("LAG TIME", |row| row.lag_ms.map_or(Cell::None, |ms| Cell::text(span(ms)))),
    Column::wide("WAITING SINCE", |row| row.waiting_since_ms.map_or(Cell::None, |ms| Cell::text(rfc3339(ms)))),
    Column::new("MEMBER", |row| row.member.as_ref().map_or(Cell::None, Cell::text)),
    Column::wide("HOST", |row| row.host.as_ref().map_or(Cell::None, Cell::text)),
];

const MEMBERS: &[Column<Member>] = &[
    Column::new("MEMBER", |row| Cell::text(row.member.clone())),
    Column::new("CLIENT", |row| Cell::text(row.client.clone())),
    Column::new("HOST", |row| Cell::text(row.host.clone())),
    Column::wide("INSTANCE", |row| row.instance.as_ref().map_or(Cell::None, Cell::text)),
    Column::wide("EPOCH", |row| row.epoch.map_or(Cell::None, Cell::count)),
    Column::new("PARTITIONS", |row| Cell::Count(row.partition_count() as i64)),
    Column::new("ASSIGNED", |row| assignment(&row.assigned)),
    Column::wide("TARGET", |row| row.target.as_ref().map_or(Cell::None, assignment)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let mut group = ask::describe(context.brokers().await?, &arguments.group, now_ms()).await?;
    let (lag, lag_ms) = (group.total_lag(), group.worst_lag_ms());
    if arguments.lagging {
        group.partitions.retain(|partition| partition.lag != Some(0));
    }
    let described = Described { group: &group, lag, lag_ms };
    context.printer.thing(&described, |printer| render(printer, &described))
}

fn render(printer: &Printer, described: &Described<'_>) -> String {
    let group = described.group;
    let mut out = format!("{}   {}", group.group, facts(group).join(" · "));
    match (described.lag, described.lag_ms) {
        (0, _) => out += " · all read",
        (lag, Some(ms)) => out += &format!(" · {} behind, {}", printer.count(lag), span(ms)),
        (lag, None) => out += &format!(" · {} behind", printer.count(lag)),
    }
    out.push('\n');
    if !group.partitions.is_empty() {
        out.push('\n');
        out += &printer.table(PARTITIONS, &group.partitions);
    }
    if !group.members.is_empty() {
        out.push('\n');
        out += &printer.table(MEMBERS, &group.members);
    }
    out
}

/// What is said of a group in its first line.
pub(super) fn facts(group: &Group) -> Vec<String> {
    let mut facts = vec![group.state.clone(), group.kind.name().to_owned()];
    facts.push(match group.members.len() {
        1 => "1 member".to_owned(),
        members => format!("{members} members"),
    });
    if !group.assignor.is_empty() {
        facts.push(group.assignor.clone());
    }
    facts.extend(group.epoch.map(|epoch| format!("epoch {epoch}")));
    facts.push(format!("coordinator {}", group.coordinator.id));
    facts
}

pub(super) fn offset(offset: Option<i64>) -> Cell {
    offset.map_or(Cell::None, Cell::Count)
}

fn assignment(assigned: &std::collections::BTreeMap<String, Vec<i32>>) -> Cell {
    Cell::list(assigned.iter().map(|(topic, partitions)| format!("{topic}:{}", ranges(partitions))))
}

/// `0-2,5` of partitions in order.
fn ranges(partitions: &[i32]) -> String {
    let mut out: Vec<(i32, i32)> = Vec::new();
    for &partition in partitions {
        match out.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(partition) => *last = partition,
            _ => out.push((partition, partition)),
        }
    }
    let one = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    out.into_iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::Format;
    use crate::group::model::samples;

    fn check(format: Format, human: bool, expected: &Expect) {
        let group = samples::billing();
        let described = Described { lag: group.total_lag(), lag_ms: group.worst_lag_ms(), group: &group };
        let printer = Printer::plain(format, human);
        let printed = printer.render_thing(&described, |printer| render(printer, &described)).unwrap();
        expected.assert_eq(&printed.replace('\t', "<TAB>"));
    }

    #[test]
    fn people_get_a_summary_partitions_and_members() {
        check(Format::Table, true, &expect![[r#""#]]);
    }

    #[test]
    fn wide_has_everything_and_pipes_get_plain_numbers() {
        check(Format::Wide, false, &expect![[r#""#]]);
    }

    #[test]
    fn machines_get_numbers_and_nulls() {
        check(Format::Json, true, &expect![[r#""#]]);
    }

    #[test]
    fn neighbours_are_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[i32::MAX]), "2147483647");
    }
}
