//! Named clusters of a user.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

pub(crate) mod command;

use crate::error::{CliError, Exit};
use crate::{Address, Host};

/// Name of the file in the user's directory of configuration.
const FILE: &str = "profiles.toml";
/// A longer file is not one of profiles.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One cluster, and how careful to be with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    /// Brokers to begin with, `HOST:PORT`.
    pub bootstrap: Vec<String>,
    /// Refuse commands that change something.
    pub read_only: bool,
    /// Have destructive commands confirmed by typing a name.
    pub confirm: bool,
}

/// The file of profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profiles {
    /// Name of the profile that is used when none is named.
    pub(crate) current: Option<String>,
    /// The one that was current before.
    pub(crate) previous: Option<String>,
    /// By name.
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the user's file; no file, no profiles.
    pub(crate) fn read(host: &Host) -> Result<Profiles, CliError> {
        let Some(path) = host.config_dir.as_ref().map(|dir| dir.join(FILE)) else {
            return Ok(Profiles::default());
        };
        let wrong = |reason: String| {
            CliError::new(
                Exit::Configuration,
                format!("cannot read {}: {}", path.display(), reason.trim_end()),
            )
        };
        let mut text = String::new();
        match (host.open)(&path) {
            Ok(file) => file
                .take(FILE_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Profiles::default()),
            Err(error) => return Err(wrong(error.to_string())),
        };
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    /// The profile to use: the one named, else the current one, else one without any setting.
    pub(crate) fn choose(mut self, name: Option<&str>) -> Result<Profile, CliError> {
        let Some(name) = name.map(str::to_owned).or(self.current) else { return Ok(Profile::default()) };
        self.profiles.remove(&name).ok_or_else(|| unknown(&name))
    }
}

impl Profiles {
    /// Writes the user's file.
    fn write(&self, host: &Host) -> Result<(), CliError> {
        let Some(path) = host.config_dir.as_ref().map(|dir| dir.join(FILE)) else {
            let nowhere = "there is no directory for profiles: neither XDG_CONFIG_HOME nor HOME is set";
            return Err(CliError::new(Exit::Failed, nowhere));
        };
        let failed = |reason: String| {
            CliError::new(Exit::Failed, format!("cannot write {}: {reason}", path.display()))
        };
        let text = toml::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        (host.replace)(&path, text.as_bytes()).map_err(|error| failed(error.to_string()))
    }
}

fn unknown(name: &str) -> CliError {
    CliError::not_found(format!("no such profile: {name}")).fix("eddy profile ls", "list the profiles")
}

impl Profile {
    /// The brokers to begin with; none when the profile names none.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, CliError> {
        self.bootstrap
            .iter()
            .map(|text| {
                text.parse().map_err(|reason| {
                    CliError::new(Exit::Configuration, format!("profile's bootstrap {reason}"))
                })
            })
            .collect()
    }
}
