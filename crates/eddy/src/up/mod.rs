//! `eddy up` and `eddy down`: a local cluster, one ordinary `eddy serve` process per node.
//!
//! `DIR/node-I` is the data directory of node I; `DIR/cluster.json` remembers the ports. Nothing else is kept: which
//! nodes run is read from their pid files and checked against the processes.

mod children;
mod down;
mod node;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::args::{Assignment, DEFAULT_DIR, UpArgs};
use crate::codes;
use crate::failure::{Failure, Problem, reason};
use crate::signals::StopSignals;
use children::Children;
use node::{Node, running_in};

pub(crate) use down::down;
pub(crate) use node::PID_FILE;

/// Numbers of nodes that make sense.
const NODES: [u16; 3] = [1, 3, 5];

/// Ports of node 1 of a new cluster.
const KAFKA_PORT: u16 = 9092;
const ADMIN_PORT: u16 = 9644;
const CLUSTER_PORT: u16 = 9344;

/// Replicas of a partition of a cluster of several nodes, and how many of them an acknowledgement with `acks=all` needs.
const REPLICAS: u16 = 3;
const REPLICAS_IN_SYNC: u16 = 2;

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
    if let Some(nodes) = args.nodes.filter(|nodes| !NODES.contains(nodes)) {
        return Err(refused(nodes).into());
    }
    fs::create_dir_all(&args.dir).map_err(|error| unusable(&args.dir, &error))?;
    let dir = args.dir.canonicalize().map_err(|error| unusable(&args.dir, &error))?;
    let last = Cluster::load(&dir);
    if let (Some(last), Some(nodes)) = (&last, args.nodes)
        && usize::from(nodes) != last.nodes.len()
        && (!args.fresh || last.is_running())
    {
        return Err(nodes_differ(last, nodes, args).into());
    }
    if let Some(running) = last.as_ref().filter(|last| last.is_running()) {
        if args.fresh || running.missing() == 0 {
            return already_up(running, args);
        }
        // Its nodes know each other's ports: those that are missing take their places.
        return running.run(args);
    }
    let cluster = Cluster::planned(dir, last.as_ref(), args);
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
    /// What is asked for; what is not said, as it was `last`.
    fn planned(dir: PathBuf, last: Option<&Cluster>, args: &UpArgs) -> Self {
        let first = last.and_then(|last| last.nodes.first());
        let count = args.nodes.or(last.and_then(|last| u16::try_from(last.nodes.len()).ok())).unwrap_or(1);
        let kafka = args.port.or(first.map(|node| node.kafka_port)).unwrap_or(KAFKA_PORT);
        let admin = args.admin_port.or(first.map(|node| node.admin_port)).unwrap_or(ADMIN_PORT);
        let last_cluster = first.map(|node| node.cluster_port).filter(|port| *port > 0);
        let cluster = args.cluster_port.or(last_cluster).unwrap_or(CLUSTER_PORT);
        let node = |index: u16| Node {
            id: index + 1,
            kafka_port: kafka + index,
            admin_port: admin + index,
            cluster_port: if count == 1 { 0 } else { cluster + index },
        };
        Cluster { dir, nodes: (0..count).map(node).collect() }
    }

    /// What every node is given: what makes them a cluster, the profile, and what the user adds.
    fn settings(&self, args: &UpArgs) -> Vec<Assignment> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if self.nodes.len() > 1 {
            let seeds = self.nodes.iter().map(|node| format!("{}@{}", node.id, node.cluster()));
            pairs.push(("cluster.seeds", seeds.collect::<Vec<_>>().join(",")));
            pairs.push(("default.replication.factor", REPLICAS.to_string()));
            pairs.push(("min.insync.replicas", REPLICAS_IN_SYNC.to_string()));
        }
        pairs.extend(args.profile.iter().map(|name| ("wal.profile", name.clone())));
        let own = pairs.into_iter().map(|(key, value)| Assignment { key: key.to_owned(), value });
        own.chain(args.set.iter().cloned()).collect()
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

    /// How many nodes do not run.
    fn missing(&self) -> usize {
        self.nodes.iter().filter(|node| running_in(&node.dir(&self.dir)).is_none()).count()
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
            children.start(&self.settings(args))?;
            let ready = tokio::select! {
                ready = children.ready() => ready?,
                _ = signals.next() => return children.stop().map(|()| Outcome::Done),
            };
            if ready != Outcome::Done {
                // Without the one that failed, the others would wait for ever, or be less than was asked for.
                children.give_up()?;
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
        let count = count_of(self.nodes.len(), "broker");
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
            lines.push(match self.nodes.len() {
                1 => format!("  log         {}", first.log(dir).display()),
                many => {
                    format!("  logs        {}", dir.join(format!("node-{{1..{many}}}/eddy.log")).display())
                }
            });
        }
        lines.push(format!("  try         echo hello | kcat -b {bootstrap} -P -t hello"));
        lines.push(format!("              kcat -b {bootstrap} -C -t hello -o beginning -e"));
        lines.push(format!("              eddy down{}", dir_flag(dir)));
        lines.join("\n") + "\n"
    }
}

/// How a command names a directory that is not the default.
fn dir_flag(dir: &Path) -> String {
    if dir == Path::new(DEFAULT_DIR) { String::new() } else { format!(" --dir {}", dir.display()) }
}

fn refused(nodes: u16) -> Problem {
    let message = format!("a local cluster has 1, 3 or 5 nodes, not {nodes}");
    let problem = Problem::new(&codes::NODES_REFUSED, message);
    let why = match nodes {
        0 => "no node would serve nobody".to_owned(),
        6.. => "more than five nodes on one machine only slow each other down".to_owned(),
        _ => format!("{nodes} nodes decide by majority, and tolerate no more failures than {}", nodes - 1),
    };
    problem.fact(why).fix("eddy up --nodes 3", "start three nodes: one may fail")
}

fn nodes_differ(last: &Cluster, nodes: u16, args: &UpArgs) -> Problem {
    let (dir, flag) = (args.dir.display(), dir_flag(&args.dir));
    let message = format!("the cluster in {dir} has {}, not {nodes}", count_of(last.nodes.len(), "node"));
    let problem = Problem::new(&codes::NODES_DIFFER, message).fact("nothing was changed");
    problem
        .fix(format!("eddy up{flag}"), "start the nodes that there are")
        .fix(format!("eddy up --nodes {nodes} --dir DIR"), "make another cluster")
}

fn count_of(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn unusable(dir: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot use the directory {}: {}", dir.display(), reason(error));
    Problem::new(&codes::DIRECTORY_UNUSABLE, message).fix("eddy up --dir DIR", "use another directory").into()
}

fn internal(what: &str, error: &io::Error) -> Failure {
    Problem::new(&codes::INTERNAL, format!("{what}: {}", reason(error))).into()
}
