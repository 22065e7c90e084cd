//! What a run is reported as, however it ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use super::counts::{Counts, Percentiles, Tally};
use super::course::Outcome;
use super::failed;
use super::ledger::Verdict;
use super::options::{Acks, Load, Plan};
use crate::error::CliError;
use crate::{Cell, Column, Context, Printer};

/// What a run measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub bench: &'static str,
    pub topic: String,
    pub partitions: usize,
    /// The load in words.
    #[serde(skip)]
    pub title: String,
    #[serde(flatten)]
    pub written: Option<Written>,
    /// done, interrupted or failed.
    pub ended: &'static str,
    /// How long was measured.
    pub seconds: f64,
    /// Of the producer, or of the consumer that works alone.
    #[serde(flatten)]
    pub stage: Stage,
    /// From producer to consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<Stage>,
    /// Cores in use by this program.
    pub client_cores: Option<f64>,
    /// Cores in use by the brokers whose processes were named.
    pub broker_cores: Option<f64>,
    /// Requests that were refused, by code; of the whole run, as the next two.
    pub refused: BTreeMap<&'static str, u64>,
    /// Records that were sent and neither acknowledged nor refused.
    pub unanswered_records: u64,
    /// Records that were due and never sent: too many requests were under way, or this program was too slow.
    pub unsent_records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verdict>,
}

/// How records were written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    #[serde(flatten)]
    pub plan: Plan,
    /// Of a value; the mean of an input's lines.
    pub record_bytes: usize,
    pub codec: String,
    pub acks: Acks,
}

/// Figures of what was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stage {
    /// Requests, or fetches that brought something.
    pub requests: u64,
    pub records: u64,
    pub records_per_second: f64,
    /// In 10^6 bytes: of values that were written, of batches that were read.
    pub megabytes_per_second: f64,
    #[serde(flatten)]
    pub latency: Option<Percentiles>,
}

impl Stage {
    pub(super) fn new(counts: &Counts, seconds: f64) -> Stage {
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Stage {
            requests: counts.requests,
            records: counts.records,
            records_per_second: rate(counts.records),
            megabytes_per_second: rate(counts.bytes) / 1e6,
            latency: counts.percentiles(),
        }
    }
}

impl Written {
    pub(super) fn new(load: &Load, plan: Plan, record_bytes: usize) -> Written {
        let codec =
            load.codec.to_possible_value().map_or_else(String::new, |codec| codec.get_name().to_owned());
        Written { plan, record_bytes, codec, acks: load.acks }
    }

    pub(super) fn title(&self, printer: &Printer) -> String {
        let Plan { clients, rate, in_flight, batch_records } = self.plan;
        let pace = match rate {
            Some(rate) => format!("open loop {rate}/s"),
            None if in_flight == 1 => "closed loop".to_owned(),
            None => format!("pipelined, {in_flight} in flight"),
        };
        let acks = match self.acks {
            Acks::All => "all",
            Acks::Leader => "1",
            Acks::None => "0",
        };
        let plural = if clients == 1 { "" } else { "s" };
        let size = printer.bytes(self.record_bytes as u64);
        format!(
            "{pace} · {clients} producer{plural} · records of {size}, {batch_records} a request · {} · acks {acks}",
            self.codec
        )
    }
}

/// A line of the table.
struct Row {
    name: &'static str,
    stage: Stage,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("STAGE", |row| Cell::text(row.name)),
    Column::new("RECORDS", |row| count(row.stage.records)),
    Column::new("RECORDS/S", |row| Cell::Count(row.stage.records_per_second as i64)),
    Column::new("MB/S", |row| Cell::text(format!("{:.1}", row.stage.megabytes_per_second))),
    Column::new("P50 MS", |row| ms(row, |latency| latency.p50_ms)),
    Column::new("P90", |row| ms(row, |latency| latency.p90_ms)),
    Column::new("P99", |row| ms(row, |latency| latency.p99_ms)),
    Column::new("P99.9", |row| ms(row, |latency| latency.p999_ms)),
    Column::new("MAX", |row| ms(row, |latency| latency.max_ms)),
    Column::wide("MEAN", |row| ms(row, |latency| latency.mean_ms)),
    Column::wide("REQUESTS", |row| count(row.stage.requests)),
];

fn count(number: u64) -> Cell {
    Cell::Count(i64::try_from(number).unwrap_or(i64::MAX))
}

fn ms(row: &Row, of: fn(&Percentiles) -> f64) -> Cell {
    row.stage.latency.as_ref().map_or(Cell::None, |latency| Cell::text(format!("{:.2}", of(latency))))
}

impl Report {
    /// A report without what only some benches have.
    pub(super) fn new(
        bench: &'static str,
        topic: String,
        partitions: usize,
        tally: &Tally,
        outcome: &Outcome,
    ) -> Report {
        let counts = tally.total();
        let ended = match outcome {
            Outcome { error: Some(_), .. } => "failed",
            Outcome { is_interrupted: true, .. } => "interrupted",
            _ => "done",
        };
        Report {
            bench,
            topic,
            partitions,
            title: String::new(),
            written: None,
            ended,
            seconds: outcome.seconds,
            stage: Stage::new(&counts, outcome.seconds),
            end_to_end: None,
            client_cores: outcome.cores.map(|cores| cores.client),
            broker_cores: outcome.cores.and_then(|cores| cores.broker),
            refused: counts.refused,
            unanswered_records: counts.sent.saturating_sub(counts.answered),
            unsent_records: counts.unsent,
            verified: None,
        }
    }

    /// Prints the report; an error when the run was not what was asked for.
    ///
    /// # Errors
    /// What ended the run early, refusals, or what was lost.
    pub(super) fn print(self, context: &Context, outcome: Outcome) -> Result<(), CliError> {
        context.printer.thing(&self, |printer| self.text(printer))?;
        self.check(outcome)
    }

    /// # Errors
    /// What ended the run early, refusals, or what was lost.
    pub(super) fn check(&self, outcome: Outcome) -> Result<(), CliError> {
        if let Some(error) = outcome.error {
            return Err(error.fact(format!("the report covers {:.1} s until then", self.seconds)));
        }
        let refused: u64 = self.refused.values().sum();
        if refused > 0 {
            return Err(failed(format!("requests were refused: {refused}")));
        }
        match &self.verified {
            Some(verdict) if !verdict.is_good() => Err(failed(format!(
                "records were lost, written twice or out of order: {}, {}, {}",
                verdict.lost, verdict.duplicates, verdict.out_of_order
            ))),
            _ => Ok(()),
        }
    }

    fn text(&self, printer: &Printer) -> String {
        let mut text = String::new();
        let until = match self.ended {
            "done" => String::new(),
            ended => format!(", {ended}"),
        };
        // Writing to a string does not fail.
        writeln!(
            text,
            "{} · topic {} with {} partitions · {:.1} s{until}",
            self.title, self.topic, self.partitions, self.seconds
        )
        .ok();
        let mut rows = vec![Row { name: self.bench_stage(), stage: self.stage.clone() }];
        rows.extend(self.end_to_end.clone().map(|stage| Row { name: "end to end", stage }));
        text.push_str(&printer.table(COLUMNS, &rows));
        self.notes(&mut text);
        text
    }

    fn bench_stage(&self) -> &'static str {
        if self.written.is_some() { "produce" } else { "fetch" }
    }

    fn notes(&self, text: &mut String) {
        if let Some(client) = self.client_cores {
            let broker = self.broker_cores.map(|broker| format!(", brokers {broker:.2}")).unwrap_or_default();
            writeln!(text, "cores: this program {client:.2}{broker}").ok();
        }
        for (code, count) in &self.refused {
            writeln!(text, "refused: {count} requests with {code}").ok();
        }
        if self.unanswered_records > 0 {
            writeln!(text, "unanswered: {} records", self.unanswered_records).ok();
        }
        if self.unsent_records > 0 {
            writeln!(text, "never sent: {} records that were due", self.unsent_records).ok();
        }
        if let Some(verdict) = &self.verified {
            writeln!(
                text,
                "verified: {} sent, {} acknowledged, {} read, {} lost, {} duplicates, {} out of order",
                verdict.sent,
                verdict.acknowledged,
                verdict.read,
                verdict.lost,
                verdict.duplicates,
                verdict.out_of_order
            )
            .ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;
    use crate::Format;
    use crate::bench::cpu::Cores;

    fn report(ended: &'static str) -> Report {
        let tally = Tally::default();
        tally.count(1, |counts| {
            counts.requests = 100;
            counts.records = 1600;
            counts.bytes = 1_638_400;
            counts.sent = 1700;
            counts.answered = 1650;
            for us in 1..=1000 {
                counts.latency(Duration::from_micros(us), 1);
            }
        });
        let error = (ended == "failed").then(|| failed("connection ended: closed by the broker"));
        let cores = Some(Cores { client: 0.5, broker: Some(0.25) });
        let outcome = Outcome { seconds: 2.0, cores, is_interrupted: ended == "interrupted", error };
        let mut report = Report::new("produce", "bench".to_owned(), 16, &tally, &outcome);
        let plan = Plan { clients: 4, rate: None, in_flight: 5, batch_records: 16 };
        let written = Written { plan, record_bytes: 1024, codec: "none".to_owned(), acks: Acks::All };
        report.title = written.title(&Printer::plain(Format::Table, true));
        report.written = Some(written);
        report
    }

    #[test]
    fn people_get_a_table_and_what_went_wrong() {
        expect![[r#"
            pipelined, 5 in flight · 4 producers · records of 1.0 KiB, 16 a request · none · acks all · topic bench with 16 partitions · 2.0 s, failed
            STAGE    RECORDS  RECORDS/S  MB/S  P50 MS  P90   P99   P99.9  MAX
            produce    1,600        800  0.8   0.50    0.90  0.99  1.00   1.00
            cores: this program 0.50, brokers 0.25
            unanswered: 50 records
        "#]]
        .assert_eq(&report("failed").text(&Printer::plain(Format::Table, true)));
    }

    #[test]
    fn machines_get_the_load_the_figures_and_how_it_ended() {
        let mut report = report("interrupted");
        report.verified = Some(Verdict { sent: 1700, acknowledged: 1650, read: 1650, ..Verdict::default() });
        let printed = Printer::plain(Format::Json, true).render_thing(&report, |_| String::new()).unwrap();
        expect![[r#"
            {
              "bench": "produce",
              "topic": "bench",
              "partitions": 16,
              "clients": 4,
              "rate": null,
              "in_flight": 5,
              "batch_records": 16,
              "record_bytes": 1024,
              "codec": "none",
              "acks": "all",
              "ended": "interrupted",
              "seconds": 2.0,
              "requests": 100,
              "records": 1600,
              "records_per_second": 800.0,
              "megabytes_per_second": 0.8192,
              "mean_ms": 0.5005,
              "p50_ms": 0.5,
              "p90_ms": 0.9,
              "p99_ms": 0.99,
              "p999_ms": 0.999,
              "max_ms": 1.0,
              "client_cores": 0.5,
              "broker_cores": 0.25,
              "refused": {},
              "unanswered_records": 50,
              "unsent_records": 0,
              "verified": {
                "sent": 1700,
                "acknowledged": 1650,
                "read": 1650,
                "lost": 0,
                "duplicates": 0,
                "out_of_order": 0
              }
            }
        "#]]
        .assert_eq(&printed);
    }

    #[test]
    fn a_run_in_which_nothing_was_measured_has_no_percentiles_and_no_infinite_rates() {
        let outcome = Outcome { seconds: 0.0, cores: None, is_interrupted: true, error: None };
        let report = Report::new("consume", "t".to_owned(), 1, &Tally::default(), &outcome);
        let printed = Printer::plain(Format::Jsonl, true).render_thing(&report, |_| String::new()).unwrap();
        assert!(printed.contains(r#""records_per_second":0.0"#) && !printed.contains("p50_ms"), "{printed}");
    }
}
