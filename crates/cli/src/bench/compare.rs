//! `eddy bench compare`: one load on several clusters in turn.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::options::{Load, Times, time, time_or_none};
use super::produce;
use super::report::Report;
use crate::error::CliError;
use crate::{Address, Cell, Column, Context, Global, Printer};

const HELP: &str = "\
The first cluster is compared with each other one. They take turns, in another order each round, so that whatever else the machine does
meets all of them. A first round does not count: a broker that has just started, on a Java machine above all, is slower than it will be.

A figure is better only when the rounds of both do not overlap: otherwise the difference may be chance, and more rounds may tell.
The report comes in every case; after Ctrl-C, or when a cluster fails, it covers the rounds until then.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    load: Load,
    /// A cluster; twice at least
    #[arg(long, value_name = "NAME=HOST:PORT,…", required = true)]
    at: Vec<Contender>,
    /// Processes of a cluster on this machine, for their CPU time
    #[arg(long, value_name = "NAME=PID,…")]
    pid: Vec<Processes>,
    /// Rounds that count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long to measure in a round
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    duration: Duration,
    /// How long to run before that
    #[arg(short, long, value_name = "TIME", default_value = "3s", value_parser = time_or_none)]
    warm_up: Duration,
}

/// A cluster by the name that the user gave it.
#[derive(Clone, Debug)]
struct Contender {
    name: String,
    brokers: Vec<Address>,
}

#[derive(Clone, Debug)]
struct Processes {
    name: String,
    pids: Vec<u32>,
}

fn named<T>(text: &str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<(String, Vec<T>), String> {
    let wanted = || format!("must be {wanted}: {text}");
    let (name, list) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wanted)?;
    let list = list.split(',').map(parse).collect::<Option<Vec<T>>>().ok_or_else(wanted)?;
    Ok((name.to_owned(), list))
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Contender, String> {
        let (name, brokers) =
            named(text, "NAME=HOST:PORT, such as ours=localhost:9092", |one| one.parse().ok())?;
        Ok(Contender { name, brokers })
    }
}

impl FromStr for Processes {
    type Err = String;

    fn from_str(text: &str) -> Result<Processes, String> {
        let (name, pids) = named(text, "NAME=PID, such as ours=4711", |one| one.parse().ok())?;
        Ok(Processes { name, pids })
    }
}

/// A cluster and its rounds.
struct Entrant {
    name: String,
    context: Context,
    pids: Vec<u32>,
    rounds: Vec<Report>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let Arguments { load, at, pid, rounds, duration, warm_up } = arguments;
    let mut entrants = entrants(context, at, pid)?;
    let mut ended = Ok(());
    'rounds: for round in 0..=rounds {
        for turn in 0..entrants.len() {
            let index = if round % 2 == 0 { turn } else { entrants.len() - 1 - turn };
            let Some(entrant) = entrants.get_mut(index) else { continue };
            let counts = if round == 0 { "warm-up".to_owned() } else { format!("round {round} of {rounds}") };
            context.note(format!("{counts}: {}", entrant.name));
            let times = Times {
                duration: Some(duration),
                warm_up: Some(warm_up),
                number: None,
                pid: entrant.pids.clone(),
                has_end: false,
            };
            let (report, outcome) = match produce::measure(&entrant.context, &load, &times, false).await {
                Ok(done) => done,
                Err(error) => {
                    ended = Err(error.during(format!("cannot measure {}", entrant.name)));
                    break 'rounds;
                }
            };
            let is_interrupted = outcome.is_interrupted;
            ended = report.check(outcome).map_err(|error| error.during(format!("{} failed", entrant.name)));
            if is_interrupted || ended.is_err() {
                break 'rounds;
            }
            if round > 0 {
                entrant.rounds.push(report);
            }
        }
    }
    let comparison = Comparison::of(&entrants);
    context.printer.thing(&comparison, |printer| comparison.text(printer))?;
    ended
}

fn entrants(
    context: &Context,
    at: Vec<Contender>,
    mut pids: Vec<Processes>,
) -> Result<Vec<Entrant>, CliError> {
    if !context.global.bootstrap.is_empty() {
        return Err(CliError::usage("brokers of a comparison have names")
            .fix("--at ours=HOST:PORT --at theirs=HOST:PORT", "name the clusters in place of --bootstrap"));
    }
    if at.len() < 2 {
        return Err(CliError::usage("one cluster cannot be compared")
            .fix("--at ours=HOST:PORT --at theirs=HOST:PORT", "name another one")
            .fix("eddy bench produce", "measure one alone"));
    }
    let mut entrants: Vec<Entrant> = Vec::with_capacity(at.len());
    for Contender { name, brokers } in at {
        if entrants.iter().any(|known| known.name == name) {
            return Err(CliError::usage(format!("two clusters have the name {name}")));
        }
        let global = Global { bootstrap: brokers, ..context.global.clone() };
        let (own, others) = pids.into_iter().partition(|one| one.name == name);
        pids = others;
        let own = own.into_iter().flat_map(|one: Processes| one.pids).collect();
        let context = Context::new(context.host.clone(), global)?;
        entrants.push(Entrant { name, context, pids: own, rounds: Vec::new() });
    }
    match pids.first() {
        Some(unknown) => Err(CliError::usage(format!("no cluster has the name {}", unknown.name))),
        None => Ok(entrants),
    }
}

/// A figure of a round.
struct Figure {
    name: &'static str,
    more_is_better: bool,
    of: fn(&Report) -> Option<f64>,
}

const FIGURES: [Figure; 6] = [
    Figure { name: "records/s", more_is_better: true, of: |report| Some(report.stage.records_per_second) },
    Figure { name: "MB/s", more_is_better: true, of: |report| Some(report.stage.megabytes_per_second) },
    Figure {
        name: "p50 ms",
        more_is_better: false,
        of: |report| Some(report.stage.latency.as_ref()?.p50_ms),
    },
    Figure {
        name: "p99 ms",
        more_is_better: false,
        of: |report| Some(report.stage.latency.as_ref()?.p99_ms),
    },
    Figure {
        name: "max ms",
        more_is_better: false,
        of: |report| Some(report.stage.latency.as_ref()?.max_ms),
    },
    Figure {
        name: "broker µs/record",
        more_is_better: false,
        of: |report| {
            let rate = Some(report.stage.records_per_second).filter(|rate| *rate > 0.0)?;
            Some(report.broker_cores? * 1e6 / rate)
        },
    },
];

/// The first cluster beside another one.
#[derive(Debug, Serialize)]
struct Comparison {
    bench: &'static str,
    /// The load in words.
    load: String,
    rows: Vec<Row>,
}

/// A figure of both: every round, and the ratio of the medians with the least and the greatest that any two rounds have.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    figure: &'static str,
    name: String,
    other: String,
    rounds: Vec<f64>,
    other_rounds: Vec<f64>,
    ratio: f64,
    ratio_low: f64,
    ratio_high: f64,
    /// None when the rounds of both overlap.
    better: Option<String>,
}

impl Row {
    fn of(figure: &Figure, names: [&str; 2], rounds: Vec<f64>, other_rounds: Vec<f64>) -> Option<Row> {
        let ([low, middle, high], [other_low, other_middle, other_high]) =
            (spread(&rounds)?, spread(&other_rounds)?);
        if other_low <= 0.0 {
            return None;
        }
        let (ratio_low, ratio_high) = (low / other_high, high / other_low);
        let [name, other] = names.map(str::to_owned);
        let better = match (ratio_low > 1.0, ratio_high < 1.0) {
            (false, false) => None,
            (is_more, _) => Some(if is_more == figure.more_is_better { name.clone() } else { other.clone() }),
        };
        let ratio = middle / other_middle;
        let figure = figure.name;
        Some(Row { figure, name, other, rounds, other_rounds, ratio, ratio_low, ratio_high, better })
    }
}

/// Least, median and greatest.
fn spread(values: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied();
    let half = sorted.len() / 2;
    let median =
        if sorted.len() % 2 == 1 { at(half)? } else { (at(half.checked_sub(1)?)? + at(half)?) / 2.0 };
    Some([*sorted.first()?, median, *sorted.last()?])
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("FIGURE", |row| Cell::text(row.figure)),
    Column::new("CLUSTER", |row| Cell::text(&row.name)),
    Column::new("MEDIAN", |row| median(&row.rounds)),
    Column::new("BESIDE", |row| Cell::text(&row.other)),
    Column::new("MEDIAN", |row| median(&row.other_rounds)),
    Column::new("RATIO", |row| Cell::text(format!("{:.2}", row.ratio))),
    Column::new("LOWEST", |row| Cell::text(format!("{:.2}", row.ratio_low))),
    Column::new("HIGHEST", |row| Cell::text(format!("{:.2}", row.ratio_high))),
    Column::new("BETTER", |row| row.better.as_ref().map_or(Cell::None, Cell::text)),
];

fn median(values: &[f64]) -> Cell {
    match spread(values) {
        Some([_, median, _]) if median >= 1000.0 => Cell::Count(median as i64),
        Some([_, median, _]) => Cell::text(format!("{median:.2}")),
        None => Cell::None,
    }
}

impl Comparison {
    fn of(entrants: &[Entrant]) -> Comparison {
        let column = |entrant: &Entrant, figure: &Figure| -> Vec<f64> {
            entrant.rounds.iter().filter_map(figure.of).collect()
        };
        let mut rows = Vec::new();
        if let Some((first, others)) = entrants.split_first() {
            for other in others {
                for figure in &FIGURES {
                    let names = [first.name.as_str(), other.name.as_str()];
                    rows.extend(Row::of(figure, names, column(first, figure), column(other, figure)));
                }
            }
        }
        let measured = entrants.iter().find_map(|entrant| entrant.rounds.first());
        let load = measured.map(|report| report.title.clone()).unwrap_or_default();
        Comparison { bench: "compare", load, rows }
    }

    fn text(&self, printer: &Printer) -> String {
        if self.rows.is_empty() {
            return "no round was whole\n".to_owned();
        }
        format!("{}\n{}", self.load, printer.table(COLUMNS, &self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(more_is_better: bool, ours: &[f64], theirs: &[f64]) -> Option<Row> {
        let figure = Figure { name: "f", more_is_better, of: |_| None };
        Row::of(&figure, ["ours", "theirs"], ours.to_vec(), theirs.to_vec())
    }

    fn better(more_is_better: bool, ours: &[f64], theirs: &[f64]) -> Option<String> {
        row(more_is_better, ours, theirs).unwrap().better
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_any_two_rounds() {
        let row = row(true, &[10.0, 30.0, 20.0], &[10.0, 5.0, 8.0, 6.0]).unwrap();
        assert_eq!((row.ratio, row.ratio_low, row.ratio_high), (20.0 / 7.0, 1.0, 6.0));
    }

    #[test]
    fn nobody_is_better_when_the_rounds_overlap() {
        assert_eq!(better(true, &[10.0, 12.0], &[11.0, 9.0]), None);
        assert_eq!(better(true, &[12.0, 13.0], &[11.0, 9.0]).as_deref(), Some("ours"));
        assert_eq!(better(false, &[12.0, 13.0], &[11.0, 9.0]).as_deref(), Some("theirs"));
        assert_eq!(better(true, &[1.0], &[2.0]).as_deref(), Some("theirs"));
        assert_eq!(better(false, &[1.0], &[2.0]).as_deref(), Some("ours"));
    }

    #[test]
    fn without_rounds_there_is_nothing_to_compare() {
        assert_eq!(row(true, &[], &[1.0]), None);
        assert_eq!(row(true, &[1.0], &[]), None);
        assert_eq!(row(true, &[1.0], &[0.0]), None);
    }

    #[test]
    fn clusters_and_processes_have_names() {
        let ours: Contender = "ours=localhost:9092,other:9093".parse().unwrap();
        assert_eq!((ours.name.as_str(), ours.brokers.len()), ("ours", 2));
        assert_eq!("ours=1,2".parse::<Processes>().unwrap().pids, [1, 2]);
        for wrong in ["localhost:9092", "=localhost:9092", "ours=", "ours=a:b"] {
            assert!(wrong.parse::<Contender>().is_err(), "{wrong}");
        }
        assert!("ours=x".parse::<Processes>().is_err());
    }
}
