//! Running the binary.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A command that starts in `dir`, with no variable of ours in its environment.
pub(crate) fn eddy(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddy"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EDDY_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs to the end; returns exit code, stdout and stderr.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    finish(eddy(dir).args(arguments))
}

/// Like [`run`]. A command that does not end, as a broker that should have refused to start, is killed.
pub(crate) fn finish(command: &mut Command) -> (i32, String, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    let output = end.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        kill(pid, "KILL");
        end.recv().unwrap()
    });
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The error at the end of stderr, without the log before it.
pub(crate) fn error_of(stderr: &str) -> &str {
    stderr.find("error[").map_or(stderr, |at| &stderr[at..])
}

/// The first of `count` ports in a row that nobody listens on: none that is given out twice, and none of those that the system takes for
/// outgoing connections (32,768 and above), which the brokers of other tests have by the hundred.
pub(crate) fn free_ports(count: u16) -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let origin = std::process::id().wrapping_mul(37);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let next = || {
        let offset = origin.wrapping_add(NEXT.fetch_add(count.into(), Ordering::Relaxed)) % u32::from(COUNT);
        FIRST + (offset as u16).min(COUNT - count)
    };
    let mut tries = (0..COUNT).map(|_| next());
    tries.find(|first| (*first..*first + count).all(is_free)).expect("no ports are free")
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// A broker in the foreground, killed when it is dropped.
pub(crate) struct Broker {
    pub(crate) child: Child,
    pub(crate) kafka: u16,
    pub(crate) admin: u16,
}

impl Broker {
    /// Starts `eddy serve` on free ports and waits until it is ready.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Broker {
        let (kafka, admin) = (free_port(), free_port());
        let log = fs::File::create(dir.join("stderr")).unwrap();
        let child = eddy(dir)
            .arg("serve")
            .args(arguments)
            .args(["--set", &format!("listeners.kafka=127.0.0.1:{kafka}")])
            .args(["--set", &format!("listeners.admin=127.0.0.1:{admin}")])
            .stderr(log)
            .spawn()
            .unwrap();
        let mut broker = Broker { child, kafka, admin };
        wait_until("ready", || {
            assert!(
                broker.child.try_wait().unwrap().is_none(),
                "{}",
                fs::read_to_string(dir.join("stderr")).unwrap()
            );
            get(admin, "/ready").is_some_and(|(status, _)| status == 200)
        });
        broker
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait_until("the end of the broker", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Status and body of a GET to a local port; `None` when nobody answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
