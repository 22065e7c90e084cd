//! `eddy down`: stops the nodes of a local cluster, by their pid files only.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::node::{is_alive, running_in, send};
use crate::args::DownArgs;
use crate::codes;
use crate::failure::{Failure, Problem};

/// A node that was asked to stop is killed after this time; nothing acknowledged is lost by it.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a killed process may take to go.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at a process.
const PAUSE: Duration = Duration::from_millis(20);

/// Stops every node that runs below the directory. Nothing running is no failure.
pub(crate) fn down(args: &DownArgs) -> Result<(), Failure> {
    let pids: Vec<_> = node_dirs(&args.dir).iter().filter_map(|dir| running_in(dir)).collect();
    if pids.is_empty() {
        eprintln!("nothing runs in {}", args.dir.display());
        return Ok(());
    }
    let count = pids.len();
    stop(pids)?;
    let nodes = if count == 1 { "node" } else { "nodes" };
    eprintln!("stopped {count} {nodes}; data kept in {}", args.dir.display());
    Ok(())
}

fn node_dirs(cluster: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(cluster).into_iter().flatten().flatten();
    let is_node = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("node-");
    entries.filter(is_node).map(|entry| entry.path()).collect()
}

/// Asks all processes to stop, waits, and kills those that do not.
pub(super) fn stop(mut pids: Vec<Pid>) -> Result<(), Failure> {
    for (signal, patience) in [(Signal::TERM, STOP_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
        for &pid in &pids {
            send(pid, signal).map_err(|error| not_stopped(pid, &error.to_string()))?;
        }
        let deadline = Instant::now() + patience;
        while !pids.is_empty() && Instant::now() < deadline {
            thread::sleep(PAUSE);
            pids.retain(|&pid| is_alive(pid));
        }
    }
    match pids.first() {
        None => Ok(()),
        Some(&pid) => Err(not_stopped(pid, "still there after it was killed")),
    }
}

fn not_stopped(pid: Pid, reason: &str) -> Failure {
    let number = pid.as_raw_nonzero();
    let problem = Problem::new(&codes::NODE_NOT_STOPPED, format!("cannot stop process {number}: {reason}"));
    problem.fix(format!("ps -p {number}"), "see what it is").into()
}
