//! A broker that is started again and again with the same command line.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eddy_client::{ConnectError, Connection, ConnectionOptions, Topic};

use crate::support::{PATIENCE, free_port, get, kill, wait_until};

/// Between two attempts to connect to a broker that is starting.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(2);

pub(super) struct Server {
    child: Option<Child>,
    dir: tempfile::TempDir,
    arguments: Vec<String>,
    kafka: u16,
    admin: u16,
}

impl Server {
    /// A broker with these settings (`key=value`), not started yet.
    pub(super) fn new(settings: &[&str]) -> Server {
        let (kafka, admin) = (free_port(), free_port());
        let listeners =
            [format!("listeners.kafka=127.0.0.1:{kafka}"), format!("listeners.admin=127.0.0.1:{admin}")];
        let settings = settings.iter().map(|setting| (*setting).to_owned()).chain(listeners);
        Server {
            child: None,
            dir: tempfile::tempdir().unwrap(),
            arguments: settings.flat_map(|setting| ["--set".to_owned(), setting]).collect(),
            kafka,
            admin,
        }
    }

    /// A broker with these settings that serves.
    pub(super) async fn started(settings: &[&str]) -> (Server, Connection) {
        let mut server = Server::new(settings);
        let (connection, _) = server.start().await;
        (server, connection)
    }

    /// Starts it; gives a connection and the time from the start of the process to the first answer.
    pub(super) async fn start(&mut self) -> (Connection, Duration) {
        assert!(self.child.is_none(), "it runs already");
        let binary =
            std::env::var_os("EDDY_BIN").unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_eddy")));
        let began = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .current_dir(self.dir.path())
            .arg("serve")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
        loop {
            if let Ok(connection) = self.connect().await {
                return (connection, began.elapsed());
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the broker ended: {}", self.stderr());
            assert!(began.elapsed() < PATIENCE, "the broker does not answer: {}", self.stderr());
            tokio::time::sleep(ATTEMPT_INTERVAL).await;
        }
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let options = ConnectionOptions { request_timeout: PATIENCE, ..ConnectionOptions::default() };
        Connection::open(self.address(), options).await
    }

    /// A connection to the running broker.
    pub(super) async fn connect_with(&self, options: ConnectionOptions) -> Connection {
        Connection::open(self.address(), options).await.unwrap()
    }

    pub(super) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.kafka).into()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL, and waits for the end.
    pub(super) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and waits for an end without error.
    pub(super) fn stop(&mut self) {
        kill(self.pid(), "TERM");
        let mut child = self.child.take().unwrap();
        wait_until("the end of the broker", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", self.stderr());
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("eddy-data")
    }

    /// Directory of a partition.
    pub(super) fn partition_dir(&self, topic: &Topic, index: i32) -> PathBuf {
        self.data().join("partitions").join(format!("{}-{index}", topic.id))
    }

    pub(super) fn stderr(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// A sample of /metrics by its name; the sum where there are several.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let (_, body) = get(self.admin, "/metrics").expect("the broker serves its metrics");
        let samples: Vec<f64> = body
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(!samples.is_empty(), "no metric {name}");
        samples.iter().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
            if std::thread::panicking() {
                eprintln!("broker's stderr:\n{}", self.stderr());
            }
        }
    }
}

/// Bytes of all files below a directory; 0 when it is not there.
pub(super) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        // A file may be deleted between the list and this look.
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() })
    };
    entries.filter_map(size).sum()
}

/// Like `wait_until`, without holding up the runtime.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
