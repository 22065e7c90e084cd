//! `eddy topic analyze`: what the records of a topic are like, from a sample, and what would make them cheaper.

use std::collections::BTreeMap;

use eddy_batch::batches;
use serde::Serialize;

use crate::consume::fetch::{self, Event, Options, Target};
use crate::consume::range::{self, Range};
use crate::consume::records;
use crate::error::CliError;
use crate::positions::{Place, Wanted};
use crate::{Cell, Column, Context, Printer, Topic, moment, select};

mod sample;

use sample::{Sample, Sizes};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Names of the topics, globs too
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Which records to look at, such as -1000:end of each partition, or @-1h:end
    #[arg(short = 'O', long, value_name = "RANGE", default_value = "-10000:end", allow_hyphen_values = true)]
    offset: Range,
}

/// Share of a partition, of the mean, above which it is called out.
const SKEW: f64 = 2.0;
/// Fewer records a batch than this are few.
const FEW_RECORDS: f64 = 10.0;
/// A topic that gets fewer records a second gains nothing from larger batches.
const SLOW: f64 = 20.0;
/// What zstd must leave at most to be recommended.
const WORTHWHILE: f64 = 0.7;

/// What was found. Sizes in bytes.
#[derive(Debug, Serialize)]
struct Page {
    topic: String,
    partitions: usize,
    records: u64,
    batches: u64,
    bytes: u64,
    /// From the oldest to the newest record, in milliseconds.
    span_ms: i64,
    records_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    records_per_batch: Sizes,
    batch_bytes: Sizes,
    key_bytes: Sizes,
    value_bytes: Sizes,
    /// Batches by codec.
    codecs: BTreeMap<String, u64>,
    /// Bytes of keys, values and headers for each byte of a batch.
    compression_ratio: f64,
    /// What zstd makes of the sample, for each byte as it is now.
    zstd_share: Option<f64>,
    keyed: u64,
    keys: usize,
    tombstones: u64,
    with_headers: u64,
    transactional_batches: u64,
    busiest_partition: Option<i32>,
    busiest_share: Option<f64>,
    advice: Vec<String>,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let topics = select::topics(context.brokers().await?, &arguments.names).await?;
    let mut pages = Vec::new();
    for topic in &topics {
        let sample = take(context, topic, arguments.offset).await?;
        pages.push(page(topic, &sample));
    }
    if !context.printer.is_table() {
        return context.printer.rows(&[], &pages);
    }
    let texts: Vec<String> = pages.iter().map(|page| text(&context.printer, page)).collect();
    context.printer.write(&texts.join("\n"))
}

async fn take(context: &Context, topic: &Topic, range: Range) -> Result<Sample, CliError> {
    let brokers = context.brokers().await?;
    let place = |index| Place { topic: topic.name.clone(), partition: index };
    let places: Vec<Place> = topic.partitions.iter().map(|partition| place(partition.index)).collect();
    let range = Range { until: range.until.or(Some(range::Until::End)), ..range };
    let spans = range::resolve(brokers, &places, range, Wanted::Latest).await?;
    let target = |(place, span): (&Place, &range::Span)| Target {
        topic: topic.name.as_str().into(),
        topic_id: topic.id,
        partition: place.partition,
        from: span.from,
        until: span.until,
    };
    let targets = spans.iter().map(target).collect();
    let options = Options { committed: false, patience: context.global.timeout };
    let mut events = fetch::start(brokers.clone(), targets, options);
    let mut sample = Sample::default();
    while let Some(event) = events.recv().await {
        let Event::Chunk(mut chunk) = event? else { continue };
        // Batches are looked at whole, also those that only reach into the range.
        (chunk.from, chunk.until) = (0, None);
        for batch in batches(chunk.batches.clone()).map_while(Result::ok) {
            sample.batch(&batch);
        }
        let more = records(&chunk, |record| Ok(sample.record(&record)))?;
        if !more {
            context.note("the sample is full");
            break;
        }
    }
    Ok(sample)
}

fn page(topic: &Topic, sample: &Sample) -> Page {
    let span_ms = sample.span_ms();
    let per_second = |count: u64| (span_ms > 0).then(|| count as f64 * 1000.0 / span_ms as f64);
    let busiest = sample.busiest();
    let mut page = Page {
        topic: topic.name.clone(),
        partitions: topic.partitions.len(),
        records: sample.records(),
        batches: sample.batches(),
        bytes: sample.batch_bytes.total(),
        span_ms,
        records_per_second: per_second(sample.records()),
        bytes_per_second: per_second(sample.batch_bytes.total()),
        records_per_batch: sample.records_per_batch.sizes(),
        batch_bytes: sample.batch_bytes.sizes(),
        key_bytes: sample.key_bytes.sizes(),
        value_bytes: sample.value_bytes.sizes(),
        codecs: sample.codecs.clone(),
        compression_ratio: sample.compression_ratio(),
        zstd_share: sample.zstd_share(),
        keyed: sample.keyed(),
        keys: sample.keys(),
        tombstones: sample.tombstones,
        with_headers: sample.with_headers,
        transactional_batches: sample.transactional_batches,
        busiest_partition: busiest.map(|(partition, _)| partition),
        busiest_share: busiest.map(|(_, share)| share),
        advice: Vec::new(),
    };
    page.advice = advice(&page);
    page
}

fn advice(page: &Page) -> Vec<String> {
    let mut advice = Vec::new();
    let average = page.records_per_batch.average;
    if average < FEW_RECORDS && page.records_per_second.is_some_and(|rate| rate > SLOW) {
        advice.push(format!(
            "batches hold {average:.1} records on average: raise linger.ms and batch.size of the producers"
        ));
    }
    if let Some(share) = page.zstd_share.filter(|share| *share < WORTHWHILE) {
        let percent = share * 100.0;
        advice.push(format!(
            "with compression.type=zstd the producers would send {percent:.0}% of these bytes"
        ));
    }
    if let (Some(partition), Some(share)) = (page.busiest_partition, page.busiest_share)
        && page.partitions > 1
        && share * page.partitions as f64 > SKEW
    {
        advice.push(format!(
            "partition {partition} has {:.0}% of the records: a few keys are hot, or too few are used",
            share * 100.0
        ));
    }
    if page.keyed > 0 && page.keyed < page.records {
        let without = page.records - page.keyed;
        advice.push(format!("{without} records have no key: their order with the others is not kept, and compaction refuses them"));
    }
    advice
}

/// One line of the table of sizes.
struct Row {
    what: &'static str,
    sizes: Sizes,
    is_bytes: bool,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("SIZE OF", |row| Cell::text(row.what)),
    Column::new("AVERAGE", |row| row.cell(row.sizes.average as u64)),
    Column::new("P50", |row| row.cell(row.sizes.p50)),
    Column::new("P99", |row| row.cell(row.sizes.p99)),
    Column::new("MAX", |row| row.cell(row.sizes.max)),
];

impl Row {
    fn cell(&self, size: u64) -> Cell {
        if self.is_bytes { Cell::Bytes(size) } else { Cell::Count(i64::try_from(size).unwrap_or(i64::MAX)) }
    }
}

fn text(printer: &Printer, page: &Page) -> String {
    let count = |number: u64| printer.count(i64::try_from(number).unwrap_or(i64::MAX));
    let name = printer.styled(anstyle::Style::new().bold(), &page.topic);
    if page.records == 0 {
        return format!("{name}   no records in the sample\n");
    }
    let mut lines = vec![format!(
        "{name}   sample of {} records in {} batches, {}, over {}",
        count(page.records),
        count(page.batches),
        with_unit(printer, page.bytes),
        moment::span(page.span_ms)
    )];
    let row = |what, sizes, is_bytes| Row { what, sizes, is_bytes };
    let rows = [
        row("batch, records", page.records_per_batch, false),
        row("batch", page.batch_bytes, true),
        row("key", page.key_bytes, true),
        row("value", page.value_bytes, true),
    ];
    lines.push(printer.table(COLUMNS, &rows).trim_end().to_owned());
    if let (Some(records), Some(bytes)) = (page.records_per_second, page.bytes_per_second) {
        lines.push(format!("rate         {records:.1} records/s, {}/s", with_unit(printer, bytes as u64)));
    }
    let codecs: Vec<String> =
        page.codecs.iter().map(|(codec, batches)| format!("{codec} {}", count(*batches))).collect();
    lines.push(format!(
        "codecs       {}; each byte sent carries {:.1} bytes of data",
        codecs.join(", "),
        page.compression_ratio
    ));
    lines.push(format!(
        "keys         {} records with one, {} different; {} tombstones; {} with headers",
        count(page.keyed),
        count(page.keys as u64),
        count(page.tombstones),
        count(page.with_headers)
    ));
    if let (Some(partition), Some(share)) = (page.busiest_partition, page.busiest_share) {
        lines.push(format!("busiest      partition {partition} with {:.0}% of the records", share * 100.0));
    }
    lines.extend(page.advice.iter().map(|advice| format!("! {advice}")));
    lines.join("\n") + "\n"
}

fn with_unit(printer: &Printer, bytes: u64) -> String {
    let unit = if printer.is_human() { "" } else { " bytes" };
    format!("{}{unit}", printer.bytes(bytes))
}

#[cfg(test)]
mod tests {
    use eddy_batch::{Batch, BatchBuilder};
    use eddy_types::{Millis, TopicId};
    use expect_test::expect;

    use super::*;
    use crate::Format;
    use crate::record::Record;

    #[test]
    fn a_sample_is_summed_up_with_advice() {
        let mut sample = Sample::default();
        for number in 0..100i64 {
            let mut batch = BatchBuilder::default();
            for half in 0..2 {
                let record = Record {
                    partition: i32::from(number > 80),
                    timestamp: number * 10,
                    key: (half == 0).then(|| format!("key {}", number % 5).into()),
                    value: Some("some value that repeats ".repeat(20).into()),
                    ..Record::sample()
                };
                batch.append(Millis(record.timestamp), record.key.as_deref(), record.value.as_deref());
                sample.record(&record);
            }
            sample.batch(&Batch::parse(&batch.build().unwrap()).unwrap());
        }
        let partition = |index| crate::Partition {
            index,
            leader: eddy_types::BrokerId(1),
            leader_epoch: 0,
            replicas: Vec::new(),
            isr: Vec::new(),
            offline: Vec::new(),
        };
        let topic = Topic {
            name: "orders".to_owned(),
            id: TopicId::ZERO,
            is_internal: false,
            error: 0,
            partitions: (0..3).map(partition).collect(),
        };
        let page = page(&topic, &sample);
        expect![[r#"
            orders   sample of 200 records in 100 batches, 102 KiB, over 990 ms
            SIZE OF         AVERAGE      P50      P99      MAX
            batch, records        2        2        2        2
            batch           1.0 KiB  1.0 KiB  1.0 KiB  1.0 KiB
            key                 5 B      5 B      5 B      5 B
            value             480 B    480 B    480 B    480 B
            rate         202.0 records/s, 103 KiB/s
            codecs       uncompressed 100; each byte sent carries 0.9 bytes of data
            keys         100 records with one, 5 different; 0 tombstones; 0 with headers
            busiest      partition 0 with 81% of the records
            ! batches hold 2.0 records on average: raise linger.ms and batch.size of the producers
            ! with compression.type=zstd the producers would send 12% of these bytes
            ! partition 0 has 81% of the records: a few keys are hot, or too few are used
            ! 100 records have no key: their order with the others is not kept, and compaction refuses them
        "#]]
        .assert_eq(&text(&Printer::plain(Format::Table, true), &page));
    }
}
