use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use expect_test::expect;

use crate::support::{eddy, error_of, free_port, free_ports, get, kill, run, wait_until};

/// A local cluster in a directory of its own, stopped when it is dropped.
struct Cluster {
    dir: tempfile::TempDir,
    port: String,
    admin: u16,
}

impl Cluster {
    fn new() -> Self {
        Cluster { dir: tempfile::tempdir().unwrap(), port: free_port().to_string(), admin: free_port() }
    }

    /// With room for more nodes behind the ports of the first.
    fn with_room() -> Self {
        let port = free_ports(40);
        Cluster { dir: tempfile::tempdir().unwrap(), port: port.to_string(), admin: port + 10 }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn node(&self) -> PathBuf {
        self.path().join("eddy-data/node-1")
    }

    fn up(&self, more: &[&str]) -> (i32, String) {
        let admin = self.admin.to_string();
        let mut arguments = vec!["up", "--port", &self.port, "--admin-port", &admin, "--profile", "low"];
        arguments.extend(more);
        let (code, _, stderr) = run(self.path(), &arguments);
        (code, stderr)
    }

    fn down(&self) -> (i32, String) {
        let (code, _, stderr) = run(self.path(), &["down"]);
        (code, stderr)
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.node().join("eddy.pid")).ok()?.trim().parse().ok()
    }

    fn is_ready(&self) -> bool {
        get(self.admin, "/ready").is_some_and(|(status, _)| status == 200)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.down();
    }
}

#[test]
fn up_detached_returns_when_healthy_and_says_what_to_type() {
    let cluster = Cluster::new();
    let (code, stderr) = cluster.up(&["--detach"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(cluster.is_ready());
    let first = stderr.lines().next().unwrap();
    assert!(first.contains("1 broker ready in ") && first.contains("data ./eddy-data"), "{first}");
    let text = stderr
        .replace(first, "FIRST")
        .replace(&cluster.port, "PORT")
        .replace(&cluster.admin.to_string(), "ADMIN");
    expect![[r#"
        FIRST
          bootstrap   127.0.0.1:PORT
          admin       http://127.0.0.1:ADMIN/        metrics http://127.0.0.1:ADMIN/metrics
          log         ./eddy-data/node-1/eddy.log
          try         echo hello | kcat -b 127.0.0.1:PORT -P -t hello
                      kcat -b 127.0.0.1:PORT -C -t hello -o beginning -e
                      eddy down
    "#]]
    .assert_eq(&text);
}

#[test]
fn up_again_says_it_runs_and_down_again_that_nothing_does() {
    let cluster = Cluster::new();
    assert_eq!(cluster.up(&["--detach"]).0, 0);
    let pid = cluster.pid().unwrap();
    let (code, stderr) = cluster.up(&["--detach"]);
    assert_eq!(code, 0);
    assert!(stderr.contains("already running"), "{stderr}");
    assert_eq!(cluster.pid(), Some(pid));

    assert_eq!(cluster.down(), (0, "stopped 1 node; data kept in ./eddy-data\n".to_owned()));
    assert!(!cluster.is_ready() && cluster.pid().is_none());
    assert_eq!(cluster.down(), (0, "nothing runs in ./eddy-data\n".to_owned()));
}

#[test]
fn a_node_is_killed_and_started_again_with_its_own_command_line() {
    let cluster = Cluster::new();
    assert_eq!(cluster.up(&["--detach"]).0, 0);
    let first = cluster.pid().unwrap();
    kill(first, "KILL");
    wait_until("the end of the node", || !cluster.is_ready());

    let command = cluster.node().join("command");
    let mut again = Command::new("sh").arg(&command).current_dir("/").stderr(Stdio::null()).spawn().unwrap();
    wait_until("the node", || cluster.is_ready());
    assert_ne!(cluster.pid(), Some(first));
    assert_eq!(cluster.down().0, 0);
    assert!(again.wait().unwrap().success());
}

#[test]
fn in_the_foreground_ctrl_c_stops_the_node_cleanly() {
    let cluster = Cluster::new();
    let mut up = eddy(cluster.path())
        .args(["up", "--port", &cluster.port, "--admin-port", &cluster.admin.to_string(), "--profile", "low"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the cluster", || cluster.is_ready());
    kill(up.id(), "INT");
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert!(!cluster.is_ready() && cluster.pid().is_none());
    let log = fs::read_to_string(cluster.node().join("eddy.log")).unwrap();
    assert!(log.trim_end().ends_with("stopped"), "{log}");
}

#[test]
fn a_node_that_cannot_start_passes_its_error_and_exit_code_on() {
    let cluster = Cluster::new();
    let (code, stderr) = cluster.up(&["--detach", "--set", "wal.proflie=low"]);
    assert_eq!(code, 78);
    assert!(error_of(&stderr).starts_with("error[ED-1101]: unknown key `wal.proflie`"), "{stderr}");
    assert!(stderr.ends_with("more: eddy explain ED-1101\n"), "{stderr}");

    let (code, stderr) = cluster.up(&["--detach", "--port", &cluster.admin.to_string()]);
    assert_eq!(code, 2, "clap refuses a flag that is given twice: {stderr}");
}

#[test]
fn fresh_deletes_data_but_never_under_a_running_cluster() {
    let cluster = Cluster::new();
    assert_eq!(cluster.up(&["--detach"]).0, 0);
    let marker = cluster.node().join("meta.json");
    let before = fs::read_to_string(&marker).unwrap();
    fs::write(cluster.path().join("eddy-data/mine"), "kept").unwrap();

    let (code, stderr) = cluster.up(&["--detach", "--fresh"]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1303]: the cluster in ./eddy-data is running; its data cannot be deleted
          fix: eddy down   stop it first
          more: eddy explain ED-1303
    "#]]
    .assert_eq(&stderr);
    assert_eq!(fs::read_to_string(&marker).unwrap(), before);

    assert_eq!(cluster.down().0, 0);
    assert_eq!(cluster.up(&["--detach", "--fresh"]).0, 0);
    assert_ne!(fs::read_to_string(&marker).unwrap(), before);
    assert_eq!(fs::read_to_string(cluster.path().join("eddy-data/mine")).unwrap(), "kept");
}

#[test]
fn a_number_of_nodes_without_a_clear_majority_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(dir.path(), &["up", "--nodes", "4"]);
    assert_eq!(code, 2);
    expect![[r#"
        error[ED-1301]: a local cluster has 1, 3 or 5 nodes, not 4
          4 nodes decide by majority, and tolerate no more failures than 3
          fix: eddy up --nodes 3   start three nodes: one may fail
          more: eddy explain ED-1301
    "#]]
    .assert_eq(&stderr);
    for nodes in ["0", "2", "7"] {
        assert_eq!(run(dir.path(), &["up", "--nodes", nodes]).0, 2, "{nodes}");
    }
    assert!(!dir.path().join("eddy-data").exists());
}

#[test]
fn a_cluster_is_not_started_with_another_number_of_nodes() {
    let cluster = Cluster::new();
    assert_eq!(cluster.up(&["--detach"]).0, 0);
    for running in [true, false] {
        let (code, stderr) = cluster.up(&["--detach", "--nodes", "3"]);
        assert_eq!(code, 1, "{running}");
        expect![[r#"
            error[ED-1305]: the cluster in ./eddy-data has 1 node, not 3
              nothing was changed
              fix: eddy up                       start the nodes that there are
                   eddy up --nodes 3 --dir DIR   make another cluster
              more: eddy explain ED-1305
        "#]]
        .assert_eq(&stderr);
        cluster.down();
    }
    assert!(!cluster.path().join("eddy-data/node-2").exists());
}

#[test]
fn down_leaves_a_process_alone_that_only_has_the_number_of_a_node() {
    let cluster = Cluster::new();
    fs::create_dir_all(cluster.node()).unwrap();
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(cluster.node().join("eddy.pid"), bystander.id().to_string()).unwrap();
    assert_eq!(cluster.down(), (0, "nothing runs in ./eddy-data\n".to_owned()));
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// Three nodes below a directory, on ports that are free in a row.
fn up_three(cluster: &Cluster, more: &[&str]) -> (i32, String) {
    let mut arguments = vec!["--nodes", "3", "--detach"];
    arguments.extend(more);
    cluster.up(&arguments)
}

#[test]
fn three_nodes_are_one_cluster_and_a_missing_one_is_started_again() {
    let cluster = Cluster::with_room();
    let ports = format!("--cluster-port={}", cluster.admin + 10);
    let (code, stderr) = up_three(&cluster, &[&ports]);
    assert_eq!(code, 0, "{stderr}");
    let first: u16 = cluster.port.parse().unwrap();
    let bootstrap: Vec<_> = (first..first + 3).map(|port| format!("127.0.0.1:{port}")).collect();
    assert!(stderr.contains("3 brokers ready in ") && stderr.contains(&bootstrap.join(",")), "{stderr}");
    let (code, stdout, _) = run(cluster.path(), &["cluster", "brokers", "-b", &bootstrap[2], "-o", "json"]);
    assert_eq!((code, stdout.matches("\"id\":").count()), (0, 3), "{stdout}");

    let pids = || -> Vec<_> {
        let pid =
            |node| fs::read_to_string(cluster.path().join(format!("eddy-data/node-{node}/eddy.pid"))).ok();
        (1..=3).map(pid).collect()
    };
    let before = pids();
    kill(before[1].as_ref().unwrap().trim().parse().unwrap(), "KILL");
    // As it was: nothing need be said again.
    let (code, _, stderr) = run(cluster.path(), &["up", "--detach"]);
    assert_eq!(code, 0, "{stderr}");
    let after = pids();
    assert!(before[0] == after[0] && before[1] != after[1] && before[2] == after[2], "{before:?} {after:?}");
    assert_eq!(cluster.down(), (0, "stopped 3 nodes; data kept in ./eddy-data\n".to_owned()));
}

#[test]
fn when_one_of_three_nodes_cannot_start_none_is_left() {
    let cluster = Cluster::with_room();
    let port: u16 = cluster.port.parse().unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let ports = format!("--cluster-port={}", cluster.admin + 10);
    let (code, stderr) = up_three(&cluster, &[&ports]);
    assert_eq!(code, 1);
    assert!(error_of(&stderr).starts_with("error[ED-1001]: cannot listen on 127.0.0.1:"), "{stderr}");
    assert_eq!(cluster.down().1, "nothing runs in ./eddy-data\n");
}
