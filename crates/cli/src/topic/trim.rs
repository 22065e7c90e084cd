//! `eddy topic trim`: deletes the oldest records (DeleteRecords).

use std::collections::BTreeMap;

use eddy_types::Offset;
use serde::Serialize;

use crate::error::CliError;
use crate::moment::{Moment, now_ms};
use crate::positions::{Place, Wanted, positions};
use crate::{Brokers, Cell, Column, Context, To, select};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Arguments {
    /// Name of the topic
    #[arg(value_name = "NAME")]
    name: String,
    /// Delete the records below this offset, or older than a time such as @-7d or @2026-11-21
    #[arg(long, value_name = "OFFSET|@TIME", group = "what")]
    before: Option<Before>,
    /// Keep so many records of each partition
    #[arg(long, value_name = "N", group = "what", value_parser = clap::value_parser!(i64).range(0..))]
    keep: Option<i64>,
    /// Only these partitions
    #[arg(short, long, value_name = "P,…", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would be deleted
    #[arg(long)]
    dry_run: bool,
}

/// Where a trim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Offset(i64),
    Time(Moment),
}

impl std::str::FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Before, String> {
        if let Some(time) = text.strip_prefix('@') {
            return time.parse().map(Before::Time);
        }
        match text.parse() {
            Ok(offset) if offset >= 0 => Ok(Before::Offset(offset)),
            _ => Err(format!("must be an offset or @TIME, such as 1200 or @-7d: {text}")),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// First offset before and after.
    start: i64,
    new_start: i64,
    end: i64,
    records: i64,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.topic.clone())),
    Column::new("P", |row| Cell::count(row.partition)),
    Column::new("START", |row| Cell::Count(row.start)),
    Column::new("NEW START", |row| Cell::Count(row.new_start)),
    Column::new("END", |row| Cell::Count(row.end)),
    Column::new("DELETED", |row| Cell::Count(row.records)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let topic = select::topic(brokers, &arguments.name).await?;
    for partition in &arguments.partitions {
        if !topic.partitions.iter().any(|one| one.index == *partition) {
            return Err(CliError::not_found(format!("no such partition: {}-{partition}", topic.name)));
        }
    }
    let is_asked = |index: i32| arguments.partitions.is_empty() || arguments.partitions.contains(&index);
    let places: Vec<Place> = topic
        .partitions
        .iter()
        .filter(|partition| is_asked(partition.index))
        .map(|partition| Place { topic: topic.name.clone(), partition: partition.index })
        .collect();
    let mut rows = plan(brokers, &places, arguments).await?;
    if arguments.dry_run || rows.is_empty() {
        context.printer.rows(COLUMNS, &rows)?;
        context.note(if rows.is_empty() { "nothing to delete" } else { "dry run, nothing deleted" });
        return Ok(());
    }
    let records: i64 = rows.iter().map(|row| row.records).sum();
    let what = format!("delete {records} records of {} partitions of topic {}", rows.len(), topic.name);
    context.confirm(&what, &topic.name, arguments.yes)?;
    for row in &mut rows {
        let partition = topic.partition(row.partition);
        let before = Offset(row.new_start);
        let delete =
            async |connection: &eddy_client::Connection| connection.delete_records(&partition, before).await;
        row.new_start = brokers.retry(To::Leader(&partition), delete).await?.0;
        row.records = row.new_start - row.start;
    }
    context.printer.rows(COLUMNS, &rows)
}

/// What each partition loses; partitions that lose nothing are left out.
async fn plan(brokers: &Brokers, places: &[Place], arguments: &Arguments) -> Result<Vec<Row>, CliError> {
    let starts = positions(brokers, places, Wanted::Earliest).await?;
    let ends = positions(brokers, places, Wanted::Latest).await?;
    let times = match arguments.before {
        Some(Before::Time(moment)) => {
            positions(brokers, places, Wanted::Time(moment.millis(now_ms()))).await?
        }
        _ => BTreeMap::new(),
    };
    let mut rows = Vec::new();
    for place in places {
        let known = |found: &BTreeMap<Place, Option<i64>>| found.get(place).copied().flatten();
        let (Some(start), Some(end)) = (known(&starts), known(&ends)) else {
            return Err(CliError::new(
                crate::Exit::Failed,
                format!("no leader answers for partition {place}"),
            ));
        };
        let wanted = match (arguments.before, arguments.keep) {
            (Some(Before::Offset(offset)), _) => offset,
            // No record is as new: all are older.
            (Some(Before::Time(_)), _) => known(&times).unwrap_or(end),
            (None, Some(keep)) => end - keep,
            (None, None) => start,
        };
        rows.extend(row(place, start, wanted, end));
    }
    Ok(rows)
}

fn row(place: &Place, start: i64, wanted: i64, end: i64) -> Option<Row> {
    let new_start = wanted.clamp(start, end.max(start));
    let row = Row {
        topic: place.topic.clone(),
        partition: place.partition,
        start,
        new_start,
        end,
        records: new_start - start,
    };
    (row.records > 0).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trim_stays_within_the_partition() {
        let place = Place { topic: "t".to_owned(), partition: 0 };
        let trimmed = |wanted| row(&place, 10, wanted, 30).map(|row| (row.new_start, row.records));
        assert_eq!(trimmed(20), Some((20, 10)));
        assert_eq!(trimmed(99), Some((30, 20)));
        assert_eq!((trimmed(10), trimmed(-5)), (None, None));
    }

    #[test]
    fn the_end_is_an_offset_or_a_time() {
        assert_eq!("120".parse(), Ok(Before::Offset(120)));
        assert!(matches!("@-7d".parse(), Ok(Before::Time(_))));
        assert!("-1".parse::<Before>().is_err() && "@soon".parse::<Before>().is_err());
    }
}
