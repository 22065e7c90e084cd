//! Logs to stderr: for people on a terminal, one plain line per event elsewhere, JSON when asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use eddy_gateway::{LogLevel, Loggers, ROOT};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In colours, for people.
    Pretty,
    /// One plain line per event.
    Compact,
    /// One JSON object per event.
    Json,
}

impl Form {
    /// The form that `log.format` means here.
    pub(crate) fn of(log_format: &str) -> Form {
        match log_format {
            "json" => Form::Json,
            _ if io::stderr().is_terminal() => Form::Pretty,
            _ => Form::Compact,
        }
    }
}

/// The consensus library calls each of its steps `info`, and brokers that do not answer, votes that crossed and its own stop
/// errors; what of it concerns an operator, our own code says. It is silent unless a level is set for it.
const SILENT: &str = "openraft";

/// Targets that log lines carry: our crates, and the consensus library.
const TARGETS: &[&str] = &[
    "eddy",
    "eddy_admin",
    "eddy_client",
    "eddy_cluster",
    "eddy_coordinator",
    "eddy_indexer",
    "eddy_core",
    "eddy_disk",
    "eddy_engine",
    "eddy_gateway",
    "eddy_log",
    "eddy_metadata",
    "eddy_peer",
    "eddy_quorum",
    "eddy_wal",
    "openraft",
];

/// Starts logging for the life of the process. `filter` names the least level, in general or per target; what it says of a
/// target goes before [`SILENT`]. The levels can be changed through what is returned.
pub(crate) fn start(form: Form, filter: &str) -> Result<Arc<dyn Loggers>, String> {
    let levels = Levels::parse(filter);
    let first = EnvFilter::try_new(format!("{SILENT}=off,{filter}")).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt().with_env_filter(first).with_writer(io::stderr);
    macro_rules! started {
        ($builder:expr) => {{
            let builder = $builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(|error| error.to_string())?;
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())) as Reload
        }};
    }
    let reload = match form {
        Form::Pretty => started!(builder.with_target(false).with_ansi(true)),
        Form::Compact => started!(builder.with_ansi(false).compact()),
        Form::Json => started!(builder.json().flatten_event(true)),
    };
    Ok(Arc::new(ProcessLoggers { levels: Mutex::new(levels), reload }))
}

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The loggers of this process.
struct ProcessLoggers {
    levels: Mutex<Levels>,
    reload: Reload,
}

impl fmt::Debug for ProcessLoggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLoggers").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Loggers for ProcessLoggers {
    fn levels(&self) -> Vec<(String, LogLevel)> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    fn set(&self, changes: &[(String, Option<LogLevel>)]) -> Result<(), String> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let next = levels.with(changes);
        let filter = EnvFilter::try_new(next.to_string()).map_err(|error| error.to_string())?;
        (self.reload)(filter)?;
        *levels = next;
        for (logger, level) in changes {
            tracing::info!(logger, level = level.map(LogLevel::name), "log level changed");
        }
        Ok(())
    }
}

/// A filter, taken apart.
#[derive(Clone, Debug)]
struct Levels {
    root: LogLevel,
    /// By target.
    own: BTreeMap<String, LogLevel>,
    /// Items that are neither, such as those about spans.
    rest: Vec<String>,
}

impl Levels {
    fn parse(filter: &str) -> Levels {
        let mut levels = Levels { root: LogLevel::Error, own: BTreeMap::new(), rest: Vec::new() };
        for item in filter.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let level = |name: &str| LogLevel::of_name(&name.to_ascii_uppercase());
            match item.split_once('=') {
                None if level(item).is_some() => levels.root = level(item).unwrap_or(levels.root),
                Some((target, name)) if !target.contains('[') => match level(name) {
                    Some(level) => drop(levels.own.insert(target.to_owned(), level)),
                    None => levels.rest.push(item.to_owned()),
                },
                _ => levels.rest.push(item.to_owned()),
            }
        }
        levels
    }

    fn all(&self) -> Vec<(String, LogLevel)> {
        let names = TARGETS.iter().copied().chain(self.own.keys().map(String::as_str));
        let mut all: BTreeMap<String, LogLevel> =
            names.map(|name| (name.to_owned(), self.level(name))).collect();
        all.insert(ROOT.to_owned(), self.root);
        all.into_iter().collect()
    }

    /// The level of a target. That of the silent one is as near to silence as a level can be.
    fn level(&self, name: &str) -> LogLevel {
        let usual = if name == SILENT { LogLevel::Error } else { self.root };
        self.own.get(name).copied().unwrap_or(usual)
    }

    fn with(&self, changes: &[(String, Option<LogLevel>)]) -> Levels {
        let mut next = self.clone();
        for (name, level) in changes {
            match level {
                Some(level) if name == ROOT => next.root = *level,
                Some(level) => drop(next.own.insert(name.clone(), *level)),
                None => drop(next.own.remove(name)),
            }
        }
        next
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        if !self.own.contains_key(SILENT) {
            write!(f, ",{SILENT}=off")?;
        }
        for (target, level) in &self.own {
            write!(f, ",{target}={level}")?;
        }
        self.rest.iter().try_for_each(|item| write!(f, ",{item}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_taken_apart_and_put_together() {
        let levels = Levels::parse("info, eddy_wal=debug,eddy[span]=trace,hyper=off");
        assert_eq!(levels.to_string(), "INFO,openraft=off,eddy_wal=DEBUG,eddy[span]=trace,hyper=off");
        EnvFilter::try_new(levels.to_string()).unwrap();
        let level = |levels: &Levels, name: &str| {
            levels.all().into_iter().find(|(logger, _)| logger == name).map(|(_, level)| level)
        };
        assert_eq!(level(&levels, ROOT), Some(LogLevel::Info));
        assert_eq!(level(&levels, "eddy_wal"), Some(LogLevel::Debug));
        assert_eq!(level(&levels, "eddy_engine"), Some(LogLevel::Info));
        assert_eq!(level(&levels, "nobody"), None);
        let set = |name: &str, level| (name.to_owned(), level);
        let next = levels.with(&[
            set(ROOT, Some(LogLevel::Warn)),
            set("eddy_wal", None),
            set("eddy_log", Some(LogLevel::Trace)),
        ]);
        assert_eq!(level(&next, "eddy_wal"), Some(LogLevel::Warn));
        assert_eq!(level(&next, "eddy_log"), Some(LogLevel::Trace));
        assert_eq!(level(&next, "openraft"), Some(LogLevel::Error));
        let loud = next.with(&[set("openraft", Some(LogLevel::Info))]);
        assert!(loud.to_string().contains(",openraft=INFO") && !loud.to_string().contains("off,"), "{loud}");
    }

    #[test]
    fn every_crate_that_logs_is_a_target() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for entry in std::fs::read_dir(crates).unwrap() {
            let path = entry.unwrap().path();
            let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap();
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
            let target = name.trim_matches('"').replace('-', "_");
            let logs = manifest.contains("tracing.workspace") && target != "eddy_cli" && target != "xtask";
            assert!(!logs || TARGETS.contains(&target.as_str()), "{target}");
        }
    }
}
