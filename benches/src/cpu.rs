//! CPU time of processes, from `/proc`.

use std::time::Instant;

use anyhow::Context;

/// CPU time since it was started.
#[derive(Debug)]
pub(crate) struct Meter {
    began: Instant,
    brokers: Vec<(u32, f64)>,
    client: f64,
}

/// Mean number of cores in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Of all brokers together.
    pub(crate) broker: Option<f64>,
    pub(crate) client: f64,
    /// Seconds over which the mean was taken.
    pub(crate) seconds: f64,
}

impl Meter {
    pub(crate) fn start(brokers: &[u32]) -> anyhow::Result<Meter> {
        let since = |pid: &u32| Ok::<_, anyhow::Error>((*pid, cpu_seconds(&pid.to_string())?));
        let brokers = brokers.iter().map(since).collect::<anyhow::Result<_>>()?;
        Ok(Meter { brokers, client: cpu_seconds("self")?, began: Instant::now() })
    }

    pub(crate) fn stop(self) -> anyhow::Result<Cores> {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut broker = (!self.brokers.is_empty()).then_some(0.0);
        for (pid, before) in self.brokers {
            let used = (cpu_seconds(&pid.to_string())? - before) / seconds;
            broker = broker.map(|sum| sum + used);
        }
        Ok(Cores { broker, client: (cpu_seconds("self")? - self.client) / seconds, seconds })
    }
}

/// User and system time of a process and its threads.
fn cpu_seconds(process: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field, the name, may hold anything but ends with the last parenthesis; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').with_context(|| format!("{path} has no name"))?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| path)?;
    Ok(ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}
