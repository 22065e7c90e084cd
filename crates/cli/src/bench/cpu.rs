//! CPU time of this process and of brokers on the same machine.

use std::path::PathBuf;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::failed;
use crate::context::Host;
use crate::error::CliError;

const STAT_BYTES_MAX: u64 = 4096;

/// CPU time since it was started.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    brokers: Vec<(u32, f64)>,
    client: f64,
}

/// Mean number of cores in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    pub client: f64,
    /// Of all brokers together, when their processes were named.
    pub broker: Option<f64>,
}

impl Meter {
    pub(super) fn start(host: &Host, brokers: &[u32]) -> Result<Meter, CliError> {
        let since = |pid: &u32| Ok::<_, CliError>((*pid, seconds_of(host, *pid)?));
        let brokers = brokers.iter().map(since).collect::<Result<_, _>>()?;
        Ok(Meter { brokers, client: own_seconds(), began: Instant::now() })
    }

    pub(super) fn stop(self, host: &Host) -> Result<Cores, CliError> {
        let seconds = self.began.elapsed().as_secs_f64().max(1e-9);
        let mut broker = (!self.brokers.is_empty()).then_some(0.0);
        for (pid, before) in self.brokers {
            let used = (seconds_of(host, pid)? - before) / seconds;
            broker = broker.map(|sum| sum + used);
        }
        Ok(Cores { broker, client: (own_seconds() - self.client) / seconds })
    }
}

fn own_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// User and system time of a process and its threads.
fn seconds_of(host: &Host, pid: u32) -> Result<f64, CliError> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let stat = host.read(&path, STAT_BYTES_MAX).map_err(|error| failed(error.to_string()));
    let ticks = stat?.as_deref().and_then(ticks);
    let ticks =
        ticks.ok_or_else(|| CliError::not_found(format!("no such process on this machine: {pid}")))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The second field, the name, may hold anything but ends with the last parenthesis; user and system time are fields 14 and 15.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "17 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20 0 9";
        assert_eq!(ticks(stat), Some(168));
        assert_eq!(ticks("17 (eddy) S 1"), None);
    }
}
