//! A broker and the commands that are run against it.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Broker, eddy, finish, get, wait_until};

/// A broker of its own; commands find it by `-b`.
pub(crate) struct Session {
    dir: TempDir,
    broker: Broker,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Session {
    pub(crate) fn start() -> Session {
        let dir = TempDir::new().unwrap();
        let broker = Broker::start(dir.path(), &[]);
        Session { dir, broker }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.broker.kafka)
    }

    /// A metric of the broker.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = get(self.broker.admin, "/metrics").unwrap();
        let line = page.lines().find(|line| line.split(['{', ' ']).next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    /// Kills the broker.
    pub(crate) fn kill(&mut self) {
        self.broker.child.kill().unwrap();
        self.broker.child.wait().unwrap();
    }

    /// Kills the broker and starts it again, on the same ports and data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        let (kafka, admin) = (self.broker.kafka, self.broker.admin);
        self.broker.child = eddy(self.dir.path())
            .arg("serve")
            .args(["--set", &format!("listeners.kafka=127.0.0.1:{kafka}")])
            .args(["--set", &format!("listeners.admin=127.0.0.1:{admin}")])
            .stderr(File::create(self.dir.path().join("stderr after the restart")).unwrap())
            .spawn()
            .unwrap();
        wait_until("ready again", || get(admin, "/ready").is_some_and(|(status, _)| status == 200));
    }

    /// A command to be started by the test itself.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = eddy(self.dir.path());
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path());
        command.args(arguments.split(' ')).args(["-b", &self.address()]);
        command
    }

    /// Runs a command without input; arguments are separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Done {
        self.run_with(&arguments.split(' ').collect::<Vec<_>>(), b"")
    }

    /// Runs a command with an input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        // A file, not a pipe: a command that ends without reading all of it is no trouble.
        let path = self.dir.path().join("input");
        File::create(&path).unwrap().write_all(input).unwrap();
        let mut command = eddy(self.dir.path());
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path());
        command.args(arguments).args(["-b", &self.address()]);
        command.stdin(Stdio::from(File::open(&path).unwrap()));
        let (code, stdout, stderr) = finish(&mut command);
        Done { code, stdout, stderr }
    }

    /// The stdout of a command that must go well.
    pub(crate) fn out(&self, arguments: &str) -> String {
        self.out_with(&arguments.split(' ').collect::<Vec<_>>(), b"")
    }

    /// The stdout of a command with an input that must go well.
    pub(crate) fn out_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let done = self.run_with(arguments, input);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done.stdout
    }
}
