//! What the commands of a client get from this machine: the user's directory, files, and a runtime.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::CommandFactory;
use eddy_cli::Host;

use crate::args::Cli;
use crate::codes;

/// Threads of commands that mostly wait for answers.
const THREADS: usize = 2;

/// Runs a command of a client.
pub(crate) fn run(command: eddy_cli::Command) -> ExitCode {
    let threads =
        if command.is_load() { available_parallelism().map_or(THREADS, usize::from) } else { THREADS };
    on_runtime(threads, async |host| eddy_cli::run(host, command).await)
}

/// Runs a command about the configuration that the cluster keeps.
pub(crate) fn run_config(command: eddy_cli::ConfigCommand) -> ExitCode {
    on_runtime(THREADS, async |host| eddy_cli::run_config(host, command).await)
}

/// A runtime of its own, which nothing needs before the command line is understood.
fn on_runtime(threads: usize, run: impl AsyncFnOnce(Host) -> ExitCode) -> ExitCode {
    let host = Host {
        config_dir: user_dir("XDG_CONFIG_HOME", ".config"),
        state_dir: user_dir("XDG_STATE_HOME", ".local/state"),
        codes: codes::own,
        command_line: Cli::command,
        open,
        replace,
    };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(run(host));
            // A thread may still wait for a line of stdin that nobody needs any more.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The directory of this program in one of the user's, which a variable names or stands at its usual place.
fn user_dir(name: &str, in_home: &str) -> Option<PathBuf> {
    let dir = |name| env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    dir(name).or_else(|| Some(dir("HOME")?.join(in_home))).map(|dir| dir.join("eddy"))
}

fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(File::open(path)?))
}

/// Writes beside the file and renames, so that no reader finds half a file.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes)?;
    fs::rename(&beside, path)
}
