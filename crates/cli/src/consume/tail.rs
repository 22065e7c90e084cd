//! `eddy tail`: the last records of topics, and what comes after them.

use std::collections::BTreeMap;

use super::range::{From, Range, Span, Until};
use super::sink::Sink;
use super::{Source, What};
use crate::Context;
use crate::error::CliError;
use crate::positions::Place;
use crate::record::Record;

/// By how much more is looked at when too few records pass the filters.
const WIDEN: i64 = 8;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Topics, globs too
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// So many of the last records, by time over all partitions
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    number: u32,
    /// Stop at the end as it is now
    #[arg(short = 'e', long)]
    until_end: bool,
    #[command(flatten)]
    what: What,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let source = Source::new(context, &arguments.topics, &arguments.what).await?;
    let mut sink = Sink::stdout(arguments.what.printer(context), arguments.what.format.as_ref());
    let (records, ends) = last(&source, arguments.number).await?;
    for record in &records {
        sink.record(record)?;
    }
    sink.flush()?;
    if !arguments.until_end {
        let from_there = |(place, from)| (place, Span { from, until: None });
        source
            .follow(ends.into_iter().map(from_there).collect(), |record| {
                match record {
                    Some(record) => sink.record(record)?,
                    None => sink.flush()?,
                }
                Ok(true)
            })
            .await?;
    }
    sink.end()
}

/// The last records by time that pass the filters, and where each partition ended when they were found.
async fn last(source: &Source, number: u32) -> Result<(Vec<Record>, BTreeMap<Place, i64>), CliError> {
    let all = source.spans(Range { from: From::Start(0), until: Some(Until::End) }).await?;
    let end = |span: &Span| span.until.unwrap_or(span.from);
    let ends = all.iter().map(|(place, span)| (place.clone(), end(span))).collect();
    let number = number as usize;
    let mut window = number as i64;
    loop {
        let before_end = |span: &Span| Span { from: span.from.max(end(span) - window), until: span.until };
        let spans: BTreeMap<Place, Span> =
            all.iter().map(|(place, span)| (place.clone(), before_end(span))).collect();
        let is_all = spans == all;
        let records = newest(source, spans, number).await?;
        if records.len() >= number || is_all {
            return Ok((records, ends));
        }
        window = window.saturating_mul(WIDEN);
    }
}

/// The newest records of spans, oldest first. Holds twice as many at most.
async fn newest(
    source: &Source,
    spans: BTreeMap<Place, Span>,
    number: usize,
) -> Result<Vec<Record>, CliError> {
    let mut records: Vec<Record> = Vec::new();
    source
        .follow(spans, |record| {
            records.extend(record.cloned());
            if records.len() > number * 2 {
                keep_newest(&mut records, number);
            }
            Ok(true)
        })
        .await?;
    keep_newest(&mut records, number);
    Ok(records)
}

fn keep_newest(records: &mut Vec<Record>, number: usize) {
    records.sort_by(|a, b| {
        let place = |record: &Record| (record.topic.clone(), record.partition, record.offset);
        // Within a partition the offset decides, so that its order is kept whatever producers say of the time.
        if (&a.topic, a.partition) == (&b.topic, b.partition) {
            a.offset.cmp(&b.offset)
        } else {
            (a.timestamp, place(a)).cmp(&(b.timestamp, place(b)))
        }
    });
    records.drain(..records.len().saturating_sub(number));
}
