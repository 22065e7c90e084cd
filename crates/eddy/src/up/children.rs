//! The processes of the nodes, from their start to their end.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::node::{Node, running_in};
use super::{Cluster, Outcome, dir_flag, down, internal};
use crate::args::Assignment;
use crate::codes::{self, Exit};
use crate::failure::{Failure, Problem};

/// A node that does not serve after this time is reported; it is left running, as it may be replaying a long log.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two readiness checks; start-up takes well under a second.
const READY_PAUSE: Duration = Duration::from_millis(15);

/// Pause between two looks at the node processes while the cluster runs.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// The node processes of this `up`.
pub(super) struct Children<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) running: Vec<Running<'a>>,
}

pub(super) struct Running<'a> {
    node: &'a Node,
    /// `None` for one that ran already.
    child: Option<Child>,
    /// Whether it has been seen to serve.
    ready: bool,
    /// Where in the node's log this start begins.
    log_start: u64,
}

impl Children<'_> {
    /// Starts the nodes that do not run.
    pub(super) fn start(&mut self, settings: &[Assignment]) -> Result<(), Failure> {
        for node in &self.cluster.nodes {
            let log_start = node.log_end(&self.cluster.dir);
            let child = match running_in(&node.dir(&self.cluster.dir)) {
                Some(_) => None,
                None => Some(
                    node.start(&self.cluster.dir, settings)
                        .map_err(|error| internal(&format!("cannot start node {}", node.id), &error))?,
                ),
            };
            self.running.push(Running { node, child, ready: false, log_start });
        }
        Ok(())
    }

    /// Waits until every node serves. A node that ends first has said why in its log: that is shown as it is.
    pub(super) async fn ready(&mut self) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            let mut waits_for = None;
            // All of them each time: one may wait for another that has ended.
            for running in &mut self.running {
                if let Some(Ok(Some(status))) = running.child.as_mut().map(Child::try_wait) {
                    eprint!("{}", running.node.last_words(&self.cluster.dir, running.log_start));
                    let code =
                        status.code().and_then(|code| u8::try_from(code).ok()).filter(|&code| code != 0);
                    return Ok(Outcome::Ended(code.unwrap_or(Exit::Failed as u8)));
                }
                if waits_for.is_none() && !running.is_ready() {
                    waits_for = Some(running.node);
                }
            }
            match waits_for {
                None => return Ok(Outcome::Done),
                Some(node) if Instant::now() > deadline => return Err(not_ready(self.cluster, node).into()),
                Some(_) => tokio::time::sleep(READY_PAUSE).await,
            }
        }
    }

    /// Says when a node's process ends and how to start it again; never returns. A node that somebody started again is
    /// found by its pid file.
    pub(super) async fn watch(&mut self) {
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

    /// Stops the nodes that this `up` has started, as one of them has failed.
    pub(super) fn give_up(&mut self) -> Result<(), Failure> {
        self.running.retain(|running| running.child.is_some());
        self.stop()
    }

    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        let pids = self.running.iter_mut().filter_map(|running| running.pid(&self.cluster.dir)).collect();
        down::stop(pids)
    }
}

impl Running<'_> {
    fn is_ready(&mut self) -> bool {
        self.ready = self.ready || self.node.is_ready();
        self.ready
    }

    /// The node's process: the one started here, or one that took its place.
    fn pid(&mut self, cluster: &Path) -> Option<Pid> {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(None))
        {
            return Pid::from_raw(i32::try_from(child.id()).ok()?);
        }
        running_in(&self.node.dir(cluster))
    }
}

fn not_ready(cluster: &Cluster, node: &Node) -> Problem {
    let message =
        format!("node {} is not ready after {} s; it is left running", node.id, READY_TIMEOUT.as_secs());
    Problem::new(&codes::NODE_NOT_READY, message)
        .fact(format!("log {}", node.log(&cluster.dir).display()))
        .fix(format!("curl http://{}/ready", node.admin()), "see what it is doing")
        .fix(format!("eddy down{}", dir_flag(&cluster.dir)), "stop it")
}
