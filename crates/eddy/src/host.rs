//! What the commands of a client get from this machine: the user's directory, files, and a runtime.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use eddy_cli::Host;

/// Runs a command of a client on a runtime of its own, which nothing needs before the command line is understood.
pub(crate) fn run(command: eddy_cli::Command) -> ExitCode {
    let host = Host { config_dir: config_dir(), state_dir: state_dir(), open, replace };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(eddy_cli::run(host, command));
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

/// `$XDG_CONFIG_HOME/eddy`, else `$HOME/.config/eddy`.
fn config_dir() -> Option<PathBuf> {
    user_dir("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/eddy`, else `$HOME/.local/state/eddy`.
fn state_dir() -> Option<PathBuf> {
    user_dir("XDG_STATE_HOME", ".local/state")
}

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
