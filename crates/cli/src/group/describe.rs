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
    Column::wide("WAITING SINCE", |row| {
        row.waiting_since_ms.map_or(Cell::None, |ms| Cell::text(rfc3339(ms)))
    }),
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
        check(
            Format::Table,
            true,
            &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · 41,232 behind, 6m12s

            TOPIC    P  COMMITTED      END     LAG  LAG TIME  MEMBER
            orders   0    306,112  306,112       0  0 ms      billing-1-5f9c
            orders   1    264,650  305,870  41,220  6m12s     billing-2-5f9c
            orders   2    301,000  301,000       0  0 ms      billing-3-5f9c
            orders   3          -        0       -  -         billing-3-5f9c
            returns  0          7       19      12  6m12s     -

            MEMBER          CLIENT     HOST      PARTITIONS  ASSIGNED
            billing-1-5f9c  billing-1  10.0.4.6           1  orders:0
            billing-2-5f9c  billing-2  10.0.4.7           1  orders:1
            billing-3-5f9c  billing-3  10.0.4.8           2  orders:2-3
        "#]],
        );
    }

    #[test]
    fn wide_has_everything_and_pipes_get_plain_numbers() {
        check(
            Format::Wide,
            false,
            &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · 41232 behind, 6m12s

            TOPIC<TAB>P<TAB>COMMITTED<TAB>START<TAB>END<TAB>LAG<TAB>LAG TIME<TAB>WAITING SINCE<TAB>MEMBER<TAB>HOST
            orders<TAB>0<TAB>306112<TAB>0<TAB>306112<TAB>0<TAB>0 ms<TAB>-<TAB>billing-1-5f9c<TAB>10.0.4.6
            orders<TAB>1<TAB>264650<TAB>0<TAB>305870<TAB>41220<TAB>6m12s<TAB>2026-11-21T06:40:50Z<TAB>billing-2-5f9c<TAB>10.0.4.7
            orders<TAB>2<TAB>301000<TAB>0<TAB>301000<TAB>0<TAB>0 ms<TAB>-<TAB>billing-3-5f9c<TAB>10.0.4.8
            orders<TAB>3<TAB>-<TAB>0<TAB>0<TAB>-<TAB>-<TAB>-<TAB>billing-3-5f9c<TAB>10.0.4.8
            returns<TAB>0<TAB>7<TAB>0<TAB>19<TAB>12<TAB>6m12s<TAB>2026-11-21T06:40:50Z<TAB>-<TAB>-

            MEMBER<TAB>CLIENT<TAB>HOST<TAB>INSTANCE<TAB>EPOCH<TAB>PARTITIONS<TAB>ASSIGNED<TAB>TARGET
            billing-1-5f9c<TAB>billing-1<TAB>10.0.4.6<TAB>-<TAB>-<TAB>1<TAB>orders:0<TAB>-
            billing-2-5f9c<TAB>billing-2<TAB>10.0.4.7<TAB>-<TAB>-<TAB>1<TAB>orders:1<TAB>-
            billing-3-5f9c<TAB>billing-3<TAB>10.0.4.8<TAB>-<TAB>-<TAB>2<TAB>orders:2-3<TAB>-
        "#]],
        );
    }

    #[test]
    fn machines_get_numbers_and_nulls() {
        check(
            Format::Json,
            true,
            &expect![[r#"
            {
              "group": "billing",
              "kind": "classic",
              "state": "Stable",
              "assignor": "range",
              "epoch": null,
              "coordinator": {
                "id": 2,
                "address": "10.0.4.2:9092"
              },
              "members": [
                {
                  "member": "billing-1-5f9c",
                  "instance": null,
                  "client": "billing-1",
                  "host": "10.0.4.6",
                  "epoch": null,
                  "assigned": {
                    "orders": [
                      0
                    ]
                  },
                  "target": null
                },
                {
                  "member": "billing-2-5f9c",
                  "instance": null,
                  "client": "billing-2",
                  "host": "10.0.4.7",
                  "epoch": null,
                  "assigned": {
                    "orders": [
                      1
                    ]
                  },
                  "target": null
                },
                {
                  "member": "billing-3-5f9c",
                  "instance": null,
                  "client": "billing-3",
                  "host": "10.0.4.8",
                  "epoch": null,
                  "assigned": {
                    "orders": [
                      2,
                      3
                    ]
                  },
                  "target": null
                }
              ],
              "partitions": [
                {
                  "topic": "orders",
                  "partition": 0,
                  "committed": 306112,
                  "start": 0,
                  "end": 306112,
                  "last_stable": null,
                  "waiting_since_ms": null,
                  "lag_ms": 0,
                  "lag": 0,
                  "member": "billing-1-5f9c",
                  "host": "10.0.4.6"
                },
                {
                  "topic": "orders",
                  "partition": 1,
                  "committed": 264650,
                  "start": 0,
                  "end": 305870,
                  "last_stable": null,
                  "waiting_since_ms": 1795243250000,
                  "lag_ms": 372000,
                  "lag": 41220,
                  "member": "billing-2-5f9c",
                  "host": "10.0.4.7"
                },
                {
                  "topic": "orders",
                  "partition": 2,
                  "committed": 301000,
                  "start": 0,
                  "end": 301000,
                  "last_stable": null,
                  "waiting_since_ms": null,
                  "lag_ms": 0,
                  "lag": 0,
                  "member": "billing-3-5f9c",
                  "host": "10.0.4.8"
                },
                {
                  "topic": "orders",
                  "partition": 3,
                  "committed": null,
                  "start": 0,
                  "end": 0,
                  "last_stable": null,
                  "waiting_since_ms": null,
                  "lag_ms": null,
                  "lag": null,
                  "member": "billing-3-5f9c",
                  "host": "10.0.4.8"
                },
                {
                  "topic": "returns",
                  "partition": 0,
                  "committed": 7,
                  "start": 0,
                  "end": 19,
                  "last_stable": null,
                  "waiting_since_ms": 1795243250000,
                  "lag_ms": 372000,
                  "lag": 12,
                  "member": null,
                  "host": null
                }
              ],
              "lag": 41232,
              "lag_ms": 372000
            }
        "#]],
        );
    }

    #[test]
    fn neighbours_are_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[i32::MAX]), "2147483647");
    }
}
