//! One node of a local cluster: its directory, its process, its ports.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::args::Assignment;
use crate::port_holder;

/// Written by a broker into its data directory while it runs.
pub(crate) const PID_FILE: &str = "eddy.pid";

/// A readiness check that takes longer counts as "not ready".
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a log's end that are looked at for a node's last words.
const LOG_TAIL: u64 = 16 << 10;

/// What is told about a node; kept in the cluster's directory, so that `up` can say where a running cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: u16,
    pub(crate) kafka_port: u16,
    pub(crate) admin_port: u16,
    /// Where the other nodes reach it; 0 when it is the only one.
    #[serde(default)]
    pub(crate) cluster_port: u16,
}

impl Node {
    pub(crate) fn dir(&self, cluster: &Path) -> PathBuf {
        cluster.join(format!("node-{}", self.id))
    }

    pub(crate) fn log(&self, cluster: &Path) -> PathBuf {
        self.dir(cluster).join("eddy.log")
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.kafka_port))
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port))
    }

    pub(crate) fn cluster(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.cluster_port))
    }

    /// The node's whole command line: an ordinary `eddy serve`, that can be stopped and started by anybody.
    pub(crate) fn command(&self, cluster: &Path, settings: &[Assignment]) -> io::Result<Vec<OsString>> {
        let mut words: Vec<OsString> =
            vec![std::env::current_exe()?.into(), "serve".into(), "--data-dir".into()];
        words.push(self.dir(cluster).into());
        let own = [
            format!("node.id={}", self.id),
            format!("listeners.kafka={}", self.kafka()),
            format!("listeners.admin={}", self.admin()),
        ];
        let cluster = (self.cluster_port > 0).then(|| format!("cluster.listen={}", self.cluster()));
        for setting in own.into_iter().chain(cluster).chain(settings.iter().map(ToString::to_string)) {
            words.extend(["--set".into(), setting.into()]);
        }
        Ok(words)
    }

    /// Starts the node's process in a process group of its own, so that Ctrl-C reaches only who started it. Its log goes to
    /// the end of [`Node::log`]; the command line is kept beside it.
    pub(crate) fn start(&self, cluster: &Path, settings: &[Assignment]) -> io::Result<Child> {
        let words = self.command(cluster, settings)?;
        fs::create_dir_all(self.dir(cluster))?;
        fs::write(self.dir(cluster).join("command"), shell_line(&words))?;
        let log = File::options().create(true).append(true).open(self.log(cluster))?;
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
    }

    /// Asks the node whether it serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.probe().unwrap_or(false)
    }

    fn probe(&self) -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&self.admin(), PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    }

    /// How long the node's log is now: what comes after is from the next start.
    pub(crate) fn log_end(&self, cluster: &Path) -> u64 {
        fs::metadata(self.log(cluster)).map_or(0, |metadata| metadata.len())
    }

    /// What the node wrote to its log from `start` on, the last of it.
    pub(crate) fn last_words(&self, cluster: &Path, start: u64) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(self.log(cluster))?;
            let end = log.metadata()?.len();
            log.seek(SeekFrom::Start(start.max(end.saturating_sub(LOG_TAIL))))?;
            let mut bytes = Vec::new();
            log.take(LOG_TAIL).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }
}

/// The broker on a data directory, when the pid file there names an eddy process that has the directory open. A number
/// that was given to another program since is not the broker.
pub(crate) fn running_in(dir: &Path) -> Option<Pid> {
    let dir = dir.canonicalize().ok()?;
    let number: u32 = fs::read_to_string(dir.join(PID_FILE)).ok()?.trim().parse().ok()?;
    let pid = Pid::from_raw(i32::try_from(number).ok()?)?;
    let program = fs::read_link(format!("/proc/{number}/exe")).ok()?;
    let is_eddy = program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("eddy"));
    (is_eddy && is_alive(pid) && port_holder::has_open_file_in(number, &dir)).then_some(pid)
}

/// Whether a process is there. One that ended but was not waited for counts as gone.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let zombie = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    test_kill_process(pid).is_ok() && !zombie
}

pub(crate) fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process(pid, signal) {
        // It ended by itself in the meantime.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The words as a line that a shell reads back.
fn shell_line(words: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    let quoted = words.iter().map(|word| {
        let word = word.to_string_lossy();
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    let mut line = quoted.collect::<Vec<_>>().join(" ");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node { id: 1, kafka_port: 9092, admin_port: 9644, cluster_port: 0 }
    }

    #[test]
    fn the_kept_command_line_is_read_back_by_a_shell() {
        let words = ["eddy", "a b", "it's", "", "x=$HOME"].map(OsString::from);
        assert_eq!(shell_line(&words), "eddy 'a b' 'it'\\''s' '' 'x=$HOME'\n");
        let script = format!("printf '%s|' {}", shell_line(&words));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "eddy|a b|it's||x=$HOME|");
    }

    #[test]
    fn a_pid_file_of_a_process_that_has_nothing_open_there_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join(PID_FILE);
        assert_eq!(running_in(dir.path()), None);
        fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(running_in(dir.path()), None, "nothing open");
        let open = File::open(&pid_file).unwrap();
        assert!(running_in(dir.path()).is_some());
        for junk in ["", "0", "-1", "x", "99999999999", "1"] {
            fs::write(&pid_file, junk).unwrap();
            assert_eq!(running_in(dir.path()), None, "{junk}");
        }
        drop(open);
    }

    #[test]
    fn the_last_words_begin_where_this_start_began() {
        let cluster = tempfile::tempdir().unwrap();
        fs::create_dir_all(node().dir(cluster.path())).unwrap();
        fs::write(node().log(cluster.path()), "before\n").unwrap();
        let start = node().log_end(cluster.path());
        let mut log = File::options().append(true).open(node().log(cluster.path())).unwrap();
        log.write_all(b"error[ED-1001]: busy\n").unwrap();
        assert_eq!(node().last_words(cluster.path(), start), "error[ED-1001]: busy\n");
    }
}
