//! `eddy up` and `eddy down`: a local cluster, one ordinary `eddy serve` process per node.
//!
//! `DIR/node-I` is the data directory of node I; `DIR/cluster.json` remembers the ports. Nothing else is kept: which
//! nodes run is read from their pid files and checked against the processes.

mod down;
mod node;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::args::{Assignment, DEFAULT_DIR, UpArgs};
use crate::codes::{self, Exit};
use crate::failure::{Failure, Problem, reason};
use crate::signals::StopSignals;
use node::{Node, running_in};

pub(crate) use down::down;
pub(crate) use node::PID_FILE;

/// A node that does not serve after this time is reported; it is left running, as it may be replaying a long log.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two readiness checks; start-up takes well under a second.
const READY_PAUSE: Duration = Duration::from_millis(15);

/// Pause between two looks at the node processes while the cluster runs.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Serialize, Deserialize)]
struct Cluster {
    #[serde(skip)]
    dir: PathBuf,
    nodes: Vec<Node>,
}

/// How `up` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A node failed and said why; nothing needs to be added.
    Ended(u8),
}

impl Outcome {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Ended(code) => ExitCode::from(code),
        }
    }
}

/// Starts the cluster and stays until it is stopped, or with `--detach` until it is healthy.
pub(crate) fn up(args: &UpArgs) -> Result<Outcome, Failure> {
    if args.nodes > 1 {
        let problem = Problem::new(
            &codes::NODES_NOT_YET,
            format!("more than one node is not there yet: --nodes {}", args.nodes),
        );
        return Err(problem.fix("eddy up", "start one node").into());
    }
    fs::create_dir_all(&args.dir).map_err(|error| unusable(&args.dir, &error))?;
    let dir = args.dir.canonicalize().map_err(|error| unusable(&args.dir, &error))?;
    if let Some(running) = Cluster::load(&dir).filter(Cluster::is_running) {
        return already_up(&running, args);
    }
    let cluster = Cluster::planned(dir, args);
    if args.fresh {
        cluster.delete_data().map_err(|error| unusable(&args.dir, &error))?;
    }
    cluster.save().map_err(|error| unusable(&args.dir, &error))?;
    cluster.run(args)
}

fn already_up(running: &Cluster, args: &UpArgs) -> Result<Outcome, Failure> {
    if args.fresh {
        let message = format!("the cluster in {} is running; its data cannot be deleted", args.dir.display());
        let problem = Problem::new(&codes::CLUSTER_RUNS, message);
        return Err(problem.fix(format!("eddy down{}", dir_flag(&args.dir)), "stop it first").into());
    }
    eprintln!("eddy {} · already running · data {}", env!("CARGO_PKG_VERSION"), args.dir.display());
    eprint!("{}", running.hints(&args.dir));
    Ok(Outcome::Done)
}

impl Cluster {
    fn planned(dir: PathBuf, args: &UpArgs) -> Self {
        let node = |index: u16| Node {
            id: index + 1,
            kafka_port: args.port + index,
            admin_port: args.admin_port + index,
        };
        Cluster { dir, nodes: (0..args.nodes).map(node).collect() }
    }

    /// The cluster that was last started in a directory.
    fn load(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(dir.join("cluster.json")).ok()?;
        let cluster: Cluster = serde_json::from_str(&text).ok()?;
        Some(Cluster { dir: dir.to_owned(), ..cluster })
    }

    fn save(&self) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(self.dir.join("cluster.json"), text)
    }

    fn is_running(&self) -> bool {
        self.nodes.iter().any(|node| running_in(&node.dir(&self.dir)).is_some())
    }

    /// Deletes the directories of the nodes and nothing else: `DIR` may hold what is not ours.
    fn delete_data(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let is_node =
                entry.file_name().to_str().and_then(|name| name.strip_prefix("node-")?.parse::<u16>().ok());
            if is_node.is_some() && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn run(&self, args: &UpArgs) -> Result<Outcome, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| internal("cannot start the runtime", &error))?;
        runtime.block_on(async {
            // Before the first child exists, so that Ctrl-C never leaves one behind.
            let mut signals =
                StopSignals::install().map_err(|error| internal("cannot take over signals", &error))?;
            let began = Instant::now();
            let mut children = Children { cluster: self, running: Vec::new() };
            children.start(&settings(args))?;
            let ready = tokio::select! {
                ready = children.ready() => ready?,
                _ = signals.next() => return children.stop().map(|()| Outcome::Done),
            };
            if ready != Outcome::Done {
                return Ok(ready);
            }
            self.announce(args, began.elapsed());
            if !args.detach {
                tokio::select! {
                    () = children.watch() => {}
                    _ = signals.next() => children.stop()?,
                }
            }
            Ok(Outcome::Done)
        })
    }

    fn announce(&self, args: &UpArgs, took: Duration) {
        let count = match self.nodes.len() {
            1 => "1 broker".to_owned(),
            many => format!("{many} brokers"),
        };
        eprintln!(
            "eddy {} · {count} ready in {:.2} s · data {} (kept; --fresh to start anew)",
            env!("CARGO_PKG_VERSION"),
            took.as_secs_f64(),
            args.dir.display()
        );
        eprint!("{}", self.hints(&args.dir));
        if !args.detach {
            eprintln!("  stop        Ctrl-C");
        }
    }

    /// Where the cluster is and what to type next.
    fn hints(&self, dir: &Path) -> String {
        let bootstrap: Vec<_> = self.nodes.iter().map(|node| node.kafka().to_string()).collect();
        let bootstrap = bootstrap.join(",");
        let mut lines = vec![format!("  bootstrap   {bootstrap}")];
        if let Some(first) = self.nodes.first() {
            let admin = first.admin();
            lines.push(format!("  admin       http://{admin}/        metrics http://{admin}/metrics"));
            lines.push(format!("  log         {}", first.log(dir).display()));
        }
        lines.push(format!("  try         echo hello | kcat -b {bootstrap} -P -t hello"));
        lines.push(format!("              kcat -b {bootstrap} -C -t hello -o beginning -e"));
        lines.push(format!("              eddy down{}", dir_flag(dir)));
        lines.join("\n") + "\n"
    }
}

/// The node processes of this `up`.
struct Children<'a> {
    cluster: &'a Cluster,
    running: Vec<Running<'a>>,
}

struct Running<'a> {
    node: &'a Node,
    child: Child,
    /// Where in the node's log this start begins.
    log_start: u64,
}

impl Children<'_> {
    fn start(&mut self, settings: &[Assignment]) -> Result<(), Failure> {
        for node in &self.cluster.nodes {
            let log_start = node.log_end(&self.cluster.dir);
            let child = node
                .start(&self.cluster.dir, settings)
                .map_err(|error| internal(&format!("cannot start node {}", node.id), &error))?;
            self.running.push(Running { node, child, log_start });
        }
        Ok(())
    }

    /// Waits until every node serves. A node that ends first has said why in its log: that is shown as it is.
    async fn ready(&mut self) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + READY_TIMEOUT;
        for running in &mut self.running {
            loop {
                if let Ok(Some(status)) = running.child.try_wait() {
                    eprint!("{}", running.node.last_words(&self.cluster.dir, running.log_start));
                    let code =
                        status.code().and_then(|code| u8::try_from(code).ok()).filter(|&code| code != 0);
                    return Ok(Outcome::Ended(code.unwrap_or(Exit::Failed as u8)));
                }
                if running.node.is_ready() {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(not_ready(self.cluster, running.node).into());
                }
                tokio::time::sleep(READY_PAUSE).await;
            }
        }
        Ok(Outcome::Done)
    }

    /// Says when a node's process ends and how to start it again; never returns. A node that somebody started again is
    /// found by its pid file.
    async fn watch(&mut self) {
        let mut seen: Vec<bool> = self.running.iter().map(|_| true).collect();
        loop {
            tokio::time::sleep(WATCH_PAUSE).await;
            for (running, seen) in self.running.iter_mut().zip(&mut seen) {
                let there = running.pid(&self.cluster.dir).is_some();
                if *seen && !there {
                    let dir = running.node.dir(&self.cluster.dir);
                    eprintln!(
                        "node {} ended; its log is {}",
                        running.node.id,
                        dir.join("eddy.log").display()
                    );
                    eprintln!("  start it again: sh {}", dir.join("command").display());
                }
                if !*seen && there {
                    eprintln!("node {} runs again", running.node.id);
                }
                *seen = there;
            }
        }
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let pids = self.running.iter_mut().filter_map(|running| running.pid(&self.cluster.dir)).collect();
        down::stop(pids)
    }
}

impl Running<'_> {
    /// The node's process: the one started here, or one that took its place.
    fn pid(&mut self, cluster: &Path) -> Option<Pid> {
        match self.child.try_wait() {
            Ok(None) => Pid::from_raw(i32::try_from(self.child.id()).ok()?),
            _ => running_in(&self.node.dir(cluster)),
        }
    }
}

/// What every node is given: `--profile` is short for a key.
fn settings(args: &UpArgs) -> Vec<Assignment> {
    let profile =
        args.profile.iter().map(|name| Assignment { key: "wal.profile".to_owned(), value: name.clone() });
    profile.chain(args.set.iter().cloned()).collect()
}

/// How a command names a directory that is not the default.
fn dir_flag(dir: &Path) -> String {
    if dir == Path::new(DEFAULT_DIR) { String::new() } else { format!(" --dir {}", dir.display()) }
}

fn unusable(dir: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot use the directory {}: {}", dir.display(), reason(error));
    Problem::new(&codes::DIRECTORY_UNUSABLE, message).fix("eddy up --dir DIR", "use another directory").into()
}

fn internal(what: &str, error: &io::Error) -> Failure {
    Problem::new(&codes::INTERNAL, format!("{what}: {}", reason(error))).into()
}

fn not_ready(cluster: &Cluster, node: &Node) -> Problem {
    let message =
        format!("node {} is not ready after {} s; it is left running", node.id, READY_TIMEOUT.as_secs());
    Problem::new(&codes::NODE_NOT_READY, message)
        .fact(format!("log {}", node.log(&cluster.dir).display()))
        .fix(format!("curl http://{}/ready", node.admin()), "see what it is doing")
        .fix(format!("eddy down{}", dir_flag(&cluster.dir)), "stop it")
}
