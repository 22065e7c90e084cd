//! What a command works with.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::brokers::Brokers;
use crate::error::CliError;
use crate::explain::OwnCode;
use crate::output::Printer;
use crate::profile::{Profile, Profiles};
use crate::{Address, Format, Global};

/// What the binary lends the commands: the environment and files are its own.
#[derive(Clone, Debug)]
pub struct Host {
    /// The user's directory of configuration for this program; need not exist.
    pub config_dir: Option<PathBuf>,
    /// The user's directory of what this program remembers; need not exist.
    pub state_dir: Option<PathBuf>,
    /// The binary's own error codes, ascending.
    pub codes: fn() -> Vec<OwnCode>,
    /// The whole command line, the binary's own commands included.
    pub command_line: fn() -> clap::Command,
    /// Opens a file to read.
    pub open: fn(&Path) -> io::Result<Box<dyn Read + Send>>,
    /// Writes a file whole, with its directory; the old one stays until the new one is complete.
    pub replace: fn(&Path, &[u8]) -> io::Result<()>,
}

impl Host {
    /// A small file whole; `None` when it does not exist.
    pub(crate) fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<String>> {
        let file = match (self.open)(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        let read = file.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
        if read as u64 > bytes_max {
            return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
        }
        Ok(Some(text))
    }
}

/// What a command works with: its options, its profile, where it prints, and the brokers once it needs them.
#[derive(Debug)]
pub(crate) struct Context {
    /// Options that all commands share.
    pub global: Global,
    /// What the binary lends.
    pub host: Host,
    /// The profile in use.
    pub profile: Profile,
    /// Where results go.
    pub printer: Printer,
    brokers: OnceCell<Arc<Brokers>>,
}

impl Context {
    pub(crate) fn new(host: Host, global: Global) -> Result<Context, CliError> {
        let profile = match (&global.profile, global.bootstrap.is_empty()) {
            // A command that names its brokers works whatever the file says.
            (None, false) => Profile::default(),
            (name, _) => Profiles::read(&host)?.choose(name.as_deref())?,
        };
        let printer = Printer::stdout(global.output.unwrap_or(Format::Table), global.color);
        Ok(Context { global, host, profile, printer, brokers: OnceCell::new() })
    }

    /// Brokers to begin with: the option's, the profile's, or the default.
    ///
    /// # Errors
    /// An address of the profile that is none.
    pub(crate) fn bootstrap(&self) -> Result<Vec<Address>, CliError> {
        if !self.global.bootstrap.is_empty() {
            return Ok(self.global.bootstrap.clone());
        }
        let addresses = self.profile.addresses()?;
        Ok(if addresses.is_empty() {
            vec![Address { host: "localhost".to_owned(), port: 9092 }]
        } else {
            addresses
        })
    }

    /// The brokers; connects at the first call.
    ///
    /// # Errors
    /// No broker could be reached.
    pub(crate) async fn brokers(&self) -> Result<&Arc<Brokers>, CliError> {
        let connect = async || {
            let global = &self.global;
            Brokers::connect(self.bootstrap()?, global.timeout, global.verbose).await.map(Arc::new)
        };
        self.brokers.get_or_try_init(connect).await
    }

    /// Refuses when the profile is for reading only. Every command that changes something calls it first.
    ///
    /// # Errors
    /// The profile says `read_only`.
    pub(crate) fn changes(&self) -> Result<(), CliError> {
        if !self.profile.read_only {
            return Ok(());
        }
        Err(CliError::usage("the profile is for reading only")
            .fix("eddy … --profile NAME", "use another profile"))
    }

    /// Says something on stderr that is no error, unless `--quiet`.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        if !self.global.quiet {
            eprintln!("{text}");
        }
    }
}
