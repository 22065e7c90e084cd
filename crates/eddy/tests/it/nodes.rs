//! Nodes of one cluster, each a process of its own that is started, killed and started again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::kafka::Client;
use crate::support::{PATIENCE, eddy, error_of, free_port, get, kill, run, wait_until};

/// Clusters are many processes: one at a time, so that what is measured here is not the machine.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

/// Brokers of one cluster, by their `node.id`; those that run are killed when it is dropped.
pub(crate) struct Nodes {
    pub(crate) dir: tempfile::TempDir,
    nodes: Vec<Node>,
    /// Configuration file of all nodes; without one they have the same from flags.
    file: Option<String>,
    _one: MutexGuard<'static, ()>,
}

struct Node {
    kafka: u16,
    admin: u16,
    cluster: u16,
    child: Option<Child>,
}

impl Nodes {
    /// As many nodes, none of them started.
    pub(crate) fn new(count: usize) -> Nodes {
        let one = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        let node = |_| Node { kafka: free_port(), admin: free_port(), cluster: free_port(), child: None };
        Nodes {
            dir: tempfile::tempdir().unwrap(),
            nodes: (0..count).map(node).collect(),
            file: None,
            _one: one,
        }
    }

    /// Three nodes that serve.
    pub(crate) fn three() -> Nodes {
        let mut nodes = Nodes::new(3);
        for id in 1..=3 {
            nodes.spawn(id);
        }
        for id in 1..=3 {
            nodes.until_ready(id);
        }
        nodes
    }

    /// Nodes that are not started yet take their configuration from a file, but for what only a test sets.
    pub(crate) fn configured_by(&mut self, file: &str) {
        self.file = Some(file.to_owned());
    }

    fn node(&self, id: i32) -> &Node {
        &self.nodes[id as usize - 1]
    }

    pub(crate) fn kafka(&self, id: i32) -> u16 {
        self.node(id).kafka
    }

    /// The port of the listener for other brokers.
    pub(crate) fn internal(&self, id: i32) -> u16 {
        self.node(id).cluster
    }

    pub(crate) fn data(&self, id: i32) -> PathBuf {
        self.dir.path().join(format!("node-{id}"))
    }

    pub(crate) fn seeds(&self) -> String {
        let seed = |(index, node): (usize, &Node)| format!("{}@127.0.0.1:{}", index + 1, node.cluster);
        self.nodes.iter().enumerate().map(seed).collect::<Vec<_>>().join(",")
    }

    /// The command line of a node.
    pub(crate) fn arguments(&self, id: i32) -> Vec<String> {
        let node = self.node(id);
        let settings = [
            format!("node.id={id}"),
            format!("data.dir={}", self.data(id).display()),
            format!("listeners.kafka=127.0.0.1:{}", node.kafka),
            format!("listeners.admin=127.0.0.1:{}", node.admin),
            format!("cluster.listen=127.0.0.1:{}", node.cluster),
            format!("cluster.seeds={}", self.seeds()),
            "wal.profile=low".to_owned(),
        ];
        let replicas = ["default.replication.factor=3".to_owned(), "min.insync.replicas=2".to_owned()];
        let mut arguments = vec!["serve".to_owned()];
        let mut set = |settings: &[String]| {
            arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]));
        };
        set(&settings);
        match &self.file {
            Some(file) => arguments.extend(["-c".to_owned(), file.clone()]),
            None => set(&replicas),
        }
        arguments
    }

    /// Starts a node and does not wait for it.
    pub(crate) fn spawn(&mut self, id: i32) {
        self.spawn_with(id, &[]);
    }

    /// Like [`Nodes::spawn`], with other settings than usual.
    pub(crate) fn spawn_with(&mut self, id: i32, settings: &[String]) {
        assert!(self.node(id).child.is_none(), "node {id} runs");
        let log = File::options().create(true).append(true).open(self.log_path(id)).unwrap();
        let child = eddy(self.dir.path())
            .args(self.arguments(id))
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.nodes[id as usize - 1].child = Some(child);
    }

    pub(crate) fn start(&mut self, id: i32) {
        self.spawn(id);
        self.until_ready(id);
    }

    /// Status and text of the readiness check, when somebody answers.
    pub(crate) fn readiness(&self, id: i32) -> Option<(u16, String)> {
        get(self.node(id).admin, "/ready")
    }

    pub(crate) fn until_ready(&mut self, id: i32) {
        let deadline = Instant::now() + PATIENCE;
        while self.readiness(id).is_none_or(|(status, _)| status != 200) {
            let ended = self.nodes[id as usize - 1].child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "node {id} ended: {}", self.log(id));
            assert!(Instant::now() < deadline, "node {id} is not ready: {:?}", self.readiness(id));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, id: i32) {
        let mut child = self.nodes[id as usize - 1].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and an end without error.
    pub(crate) fn stop(&mut self, id: i32) {
        let mut child = self.nodes[id as usize - 1].child.take().unwrap();
        kill(child.id(), "TERM");
        wait_until("the end of a node", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(0), "node {id}: {}", self.log(id));
    }

    /// Waits until a node ends by itself; gives its exit code and its last words.
    pub(crate) fn failure(&mut self, id: i32) -> (Option<i32>, String) {
        let mut child = self.nodes[id as usize - 1].child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        (child.wait().unwrap().code(), error_of(&self.log(id)).to_owned())
    }

    fn log_path(&self, id: i32) -> PathBuf {
        self.dir.path().join(format!("node-{id}.log"))
    }

    pub(crate) fn log(&self, id: i32) -> String {
        fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    /// A command of the client against these nodes; gives exit code, stdout, stderr.
    pub(crate) fn ask(&self, id: i32, words: &[&str]) -> (i32, String, String) {
        let broker = format!("127.0.0.1:{}", self.kafka(id));
        let mut words = words.to_vec();
        words.extend(["-b", &broker]);
        run(self.dir.path(), &words)
    }

    /// A topic of one partition with a replica on each node, made by way of one of them.
    pub(crate) fn create(&self, id: i32, topic: &str) {
        let (code, _, stderr) = self.ask(id, &["topic", "create", topic, "-p", "1", "-r", "3"]);
        assert_eq!(code, 0, "{stderr}");
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = i32> + '_ {
        (1..).zip(&self.nodes).filter(|(_, node)| node.child.is_some()).map(|(id, _)| id)
    }

    /// The leader of partition 0 and the number of in-sync replicas, as a running node tells them. A leader that does not run
    /// is none.
    pub(crate) fn leader(&self, topic: &str) -> Option<(i32, usize)> {
        let told = |id| Client::try_connect(self.kafka(id)).and_then(|mut client| client.leader(topic)).ok();
        let (leader, in_sync) = self.running().find_map(told).flatten()?;
        self.running().any(|id| id == leader).then_some((leader, in_sync))
    }

    /// Appends a record with acks=all, again and again until it is acknowledged: it may be there more than once.
    pub(crate) fn produce(&self, topic: &str, value: &str) {
        wait_until("an acknowledgement", || self.try_produce(topic, value).is_some());
    }

    /// One attempt.
    pub(crate) fn try_produce(&self, topic: &str, value: &str) -> Option<i64> {
        let (leader, _) = self.leader(topic)?;
        let mut client = Client::try_connect(self.kafka(leader)).ok()?;
        match client.try_produce(topic, value).ok()? {
            (0, offset) => Some(offset),
            (code, _) => {
                // Not the leader (any more), too few replicas, or in doubt: everything else is a mistake.
                assert!([3, 6, 7, 19, 20, 100].contains(&code), "{code}");
                None
            }
        }
    }

    pub(crate) fn until_in_sync(&self, topic: &str, count: usize) {
        wait_until("in-sync replicas", || self.leader(topic).is_some_and(|(_, in_sync)| in_sync == count));
    }

    /// Waits until a node is one of three voters of the metadata group, and nobody is about to become one.
    pub(crate) fn until_votes(&self, id: i32) {
        wait_until("three voters", || {
            let metrics = self.metrics(id);
            let members = |role: &str| {
                let mut series =
                    metrics.iter().filter(|(series, _)| series.starts_with("eddy_raft_members{"));
                series.find(|(series, _)| series.contains(role)).map(|(_, count)| *count)
            };
            members("\"voter\"") == Some(3.0) && members("\"learner\"") == Some(0.0)
        });
    }

    pub(crate) fn read_all(&self, topic: &str) -> Vec<String> {
        wait_until("a leader", || self.leader(topic).is_some());
        let (leader, _) = self.leader(topic).unwrap();
        Client::connect(self.kafka(leader)).read_all(topic)
    }

    /// The samples of a running node, by name and labels.
    pub(crate) fn metrics(&self, id: i32) -> BTreeMap<String, f64> {
        let (_, body) = get(self.node(id).admin, "/metrics").expect("the node serves its metrics");
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        samples.filter_map(sample).collect()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for (id, node) in (1..).zip(&mut self.nodes) {
            if let Some(mut child) = node.child.take() {
                child.kill().ok();
                child.wait().ok();
            }
            if std::thread::panicking() {
                let log = fs::read_to_string(self.dir.path().join(format!("node-{id}.log")));
                eprintln!("== node {id}\n{}", log.unwrap_or_default());
            }
        }
    }
}
