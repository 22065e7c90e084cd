//! Options that the benches share, and what they come to.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::ledger::STAMP_BYTES;
use crate::error::CliError;
use crate::global::duration;
use crate::produce::Codec;

/// Longer than anybody waits for a report.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
const WARM_UP_DEFAULT: Duration = Duration::from_secs(3);
/// Records a second that this program could never send.
const RATE_MAX: f64 = 1e8;
/// One in a quarter of an hour.
const RATE_MIN: f64 = 1e-3;
/// Of requests under way of all clients, before they wait for answers.
const MEMORY_BYTES_MAX: usize = 2 << 30;
const IN_FLIGHT_DEFAULT: usize = 5;
/// Requests under way of a client at a rate: beyond, the broker is seconds behind.
const IN_FLIGHT_AT_RATE: usize = 4096;
const BATCH_BYTES_DEFAULT: usize = 16 << 10;

/// What is written, by whom and how.
#[derive(Debug, Args)]
pub(super) struct Load {
    /// Topic; created when it is missing, and left there
    #[arg(value_name = "TOPIC", default_value = "bench")]
    pub topic: String,
    /// Partitions of a topic that is created [default: 16]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub partitions: Option<i32>,
    /// Producers, each with a connection and partitions of its own
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// Open loop: records a second of all producers; latency counts from when each was due
    #[arg(short, long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Requests of a producer without an answer, at most; 1 is a closed loop [default: 5; with --rate 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub in_flight: Option<u16>,
    /// Bytes of a record's value
    #[arg(short = 's', long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=(64 << 20)))]
    pub record_size: u32,
    /// Bytes of the records of a request [default: 16384; one record with --rate or --in-flight 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=(64 << 20)))]
    pub batch_size: Option<u32>,
    /// How long the first record of a request waits for more at most, with --rate; without, they are always at hand
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time_or_none)]
    pub linger: Duration,
    /// Share of a record that compresses to nothing, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub compressibility: f64,
    /// Values are the lines of this file, in turn
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["record_size", "compressibility"])]
    pub input: Option<PathBuf>,
    /// Codec of batches
    #[arg(short = 'z', long, value_name = "CODEC", value_enum, default_value_t)]
    pub codec: Codec,
    /// Whose acknowledgement to wait for
    #[arg(long, value_name = "WHO", value_enum, default_value_t)]
    pub acks: Acks,
    /// Decides the bytes of the records
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// How long.
#[derive(Debug, Args)]
pub(super) struct Times {
    /// How long to measure [default: 10s; until done when there is an end]
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// How long to run before that [default: 3s; 0s when there is an end]
    #[arg(short, long, value_name = "TIME", value_parser = time_or_none)]
    pub warm_up: Option<Duration>,
    /// Stop after so many records, those of the warm-up included
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub number: Option<u64>,
    /// Processes of brokers on this machine, for their CPU time
    #[arg(long, value_name = "PID,…", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// The run has an end of its own.
    #[arg(skip)]
    pub has_end: bool,
}

/// Who confirms what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
pub(super) enum Acks {
    /// All replicas in sync
    #[default]
    #[value(alias = "-1")]
    #[serde(rename = "all")]
    All,
    /// The leader alone
    #[value(name = "1", alias = "leader")]
    #[serde(rename = "1")]
    Leader,
    /// Nobody: only the socket holds producers up
    #[value(name = "0", alias = "none")]
    #[serde(rename = "0")]
    None,
}

/// What the options of a load come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Plan {
    pub clients: u32,
    /// Records a second of all clients; none for as many as go.
    pub rate: Option<f64>,
    /// Requests of a client without an answer.
    pub in_flight: usize,
    /// Records of a request.
    pub batch_records: u32,
}

impl Load {
    /// Checks what no option can check alone. `value_bytes` is the mean of the input's lines; stamped values carry what verification
    /// needs.
    pub(super) fn plan(&self, value_bytes: usize, is_stamped: bool) -> Result<Plan, CliError> {
        if is_stamped && value_bytes < STAMP_BYTES {
            return Err(CliError::usage(format!(
                "records must have at least {STAMP_BYTES} bytes to be recognised: {value_bytes}"
            ))
            .fix(format!("--record-size {STAMP_BYTES}"), "write records of the least size"));
        }
        if self.rate.is_none() && !self.linger.is_zero() && self.in_flight == Some(1) {
            return Err(CliError::usage("nothing waits for --linger in a closed loop")
                .fix("--rate N", "send records at a rate"));
        }
        let is_one = self.rate.is_some() || self.in_flight == Some(1);
        let room = match self.batch_size {
            Some(bytes) => bytes as usize,
            None if is_one && self.linger.is_zero() => value_bytes,
            None => BATCH_BYTES_DEFAULT,
        };
        let full = (room / value_bytes.max(1)).clamp(1, 1 << 20);
        let batch_records = match self.rate {
            // So many are due, of one client, within the linger time.
            Some(rate) => {
                let waiting = rate / f64::from(self.clients) * self.linger.as_secs_f64();
                full.min(1 + waiting as usize)
            }
            None => full,
        };
        let request_bytes = (batch_records * value_bytes).max(1);
        let room = MEMORY_BYTES_MAX / request_bytes / self.clients as usize;
        let in_flight = match (self.in_flight, self.rate) {
            (Some(wanted), _) => usize::from(wanted),
            (None, Some(_)) => IN_FLIGHT_AT_RATE.min(room.max(1)),
            (None, None) => IN_FLIGHT_DEFAULT,
        };
        if in_flight > room {
            let gib = (in_flight * request_bytes).saturating_mul(self.clients as usize) >> 30;
            return Err(CliError::usage(format!(
                "requests under way may take {} GiB of memory: {gib} GiB",
                MEMORY_BYTES_MAX >> 30
            ))
            .fact("that is clients × requests in flight × bytes of a request"));
        }
        let batch_records = u32::try_from(batch_records).unwrap_or(u32::MAX);
        Ok(Plan { clients: self.clients, rate: self.rate, in_flight, batch_records })
    }
}

impl Times {
    pub(super) fn warm_up(&self) -> Duration {
        let default = if self.has_end() { Duration::ZERO } else { WARM_UP_DEFAULT };
        self.warm_up.unwrap_or(default)
    }

    /// None: until all is done.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.duration.or(if self.has_end() { None } else { Some(DURATION_DEFAULT) })
    }

    fn has_end(&self) -> bool {
        self.has_end || self.number.is_some()
    }
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time > DURATION_MAX { Err(format!("must be at most 168h: {text}")) } else { Ok(time) }
}

pub(super) fn time_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0ms") { Ok(Duration::ZERO) } else { time(text) }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (RATE_MIN..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err(format!("must be records a second, from 0.001 to 100000000: {text}")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("must be from 0 to 1: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        times: Times,
    }

    fn parse(text: &str) -> Result<Line, clap::Error> {
        Line::try_parse_from(std::iter::once("bench").chain(text.split_whitespace()))
    }

    fn plan(text: &str) -> Result<(usize, u32), String> {
        let line = parse(text).map_err(|error| error.to_string())?;
        let plan = line.load.plan(line.load.record_size as usize, false);
        plan.map(|plan| (plan.in_flight, plan.batch_records)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_loop_is_pipelined_closed_or_open() {
        assert_eq!(plan(""), Ok((5, 16)));
        assert_eq!(plan("--in-flight 1 --clients 128 -s 256"), Ok((1, 1)));
        assert_eq!(plan("--in-flight 1 -s 256 --batch-size 1024"), Ok((1, 4)));
        assert_eq!(plan("--rate 5000"), Ok((4096, 1)));
        assert_eq!(plan("--in-flight 2 --batch-size 1"), Ok((2, 1)));
    }

    #[test]
    fn a_batch_at_a_rate_holds_what_is_due_within_its_linger_time() {
        assert_eq!(plan("--rate 4000 -c 4 --linger 5ms"), Ok((4096, 6)));
        assert_eq!(plan("--rate 4000 -c 4 --linger 50ms"), Ok((4096, 16)));
        assert_eq!(plan("--rate 4000 -c 4 --linger 5ms --batch-size 2048"), Ok((4096, 2)));
        assert_eq!(plan("--rate 10 -c 4 --linger 5ms"), Ok((4096, 1)));
        assert!(plan("--in-flight 1 --linger 5ms").is_err());
    }

    #[test]
    fn the_memory_of_requests_under_way_is_bounded() {
        assert_eq!(plan("--rate 10 -s 1048576 -c 16"), Ok((128, 1)));
        assert!(plan("--in-flight 4096 -s 1048576").is_err());
        assert!(plan("-c 10000 -s 67108864").is_err());
    }

    #[test]
    fn values_that_must_be_recognised_have_room_for_it() {
        let load = parse("-s 20").unwrap().load;
        assert!(load.plan(20, true).is_err());
        assert!(load.plan(20, false).is_ok() && load.plan(STAMP_BYTES, true).is_ok());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "--duration 0s",
            "--duration 10",
            "--duration 169h",
            "--warm-up -1s",
            "--rate 0",
            "--rate -1",
            "--rate NaN",
            "--rate inf",
            "--rate 1e9",
            "-s 0",
            "-s 67108865",
            "--batch-size 0",
            "-c 0",
            "-c 10001",
            "-p 0",
            "--in-flight 0",
            "--in-flight 4097",
            "--compressibility 1.1",
            "--compressibility x",
            "--acks 2",
            "-n 0",
            "--codec brotli",
            "--input f -s 1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_of_records_takes_the_time_it_takes() {
        let times = |text| parse(text).map(|line| (line.times.warm_up(), line.times.duration())).unwrap();
        assert_eq!(times(""), (WARM_UP_DEFAULT, Some(DURATION_DEFAULT)));
        assert_eq!(times("-n 5"), (Duration::ZERO, None));
        let given = (Duration::from_secs(1), Some(Duration::from_secs(2)));
        assert_eq!(times("-n 5 -w 1s -d 2s"), given);
        assert_eq!(times("-w 0s").0, Duration::ZERO);
    }
}
