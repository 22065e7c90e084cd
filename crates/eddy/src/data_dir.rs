//! Whose data a directory holds: the lock, the marker file and the pid file.
//!
//! The lock is taken first and held until the process ends; the marker is checked before anything else is opened, and
//! written only once the listeners are bound, so that a start that fails leaves no trace.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use eddy_disk::Disk;
use eddy_disk::lock::{DirLock, LockError};
use eddy_types::{BrokerId, Clock, ClusterId, Millis, SystemClock};
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::failure::{Problem, reason};
use crate::port_holder;
use crate::up::PID_FILE;

/// Name of the marker.
const MARKER_FILE: &str = "meta.json";

/// Kafka's marker: its directories are often named by a configuration that was made for it.
const KAFKA_MARKER_FILE: &str = "meta.properties";

/// Version of everything below the data directory. Raise it when an older version could not read what this one writes,
/// and [`MIN_READER`] with it.
const FORMAT: u32 = 1;

/// The oldest version that reads [`FORMAT`].
const MIN_READER: &str = "0.1.0";

/// The marker file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) cluster_id: ClusterId,
    pub(crate) node_id: BrokerId,
    /// Version that made the directory.
    pub(crate) created_by: String,
    /// When, in RFC 3339.
    pub(crate) created_at: String,
    pub(crate) format: u32,
    /// The oldest version that can open the directory.
    pub(crate) min_reader: String,
}

/// A data directory that this process alone uses.
pub(crate) struct DataDir {
    path: PathBuf,
    marker: Marker,
    is_new: bool,
    has_pid_file: bool,
    _lock: DirLock,
}

impl DataDir {
    /// Takes the directory, which is made when missing, and checks that it is this node's.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, node_id: BrokerId) -> Result<Self, Problem> {
        if path.join(KAFKA_MARKER_FILE).exists() && !path.join(MARKER_FILE).exists() {
            return Err(kafkas(path));
        }
        disk.create_dir_all(path).map_err(|error| unusable(path, &error))?;
        // A directory that a power cut takes away takes along what was acknowledged in it.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(|error| unusable(path, &error))?;
        let lock = DirLock::acquire(path).map_err(|error| match error {
            LockError::Held { pid, .. } => in_use(path, pid),
            LockError::Io { source, .. } => unusable(path, &source),
        })?;
        let found = read_marker(disk, path)?;
        let is_new = found.is_none();
        let marker = match found {
            Some(marker) => {
                check(path, &marker, node_id)?;
                marker
            }
            None => new_marker(node_id).map_err(|error| unusable(path, &error))?,
        };
        Ok(DataDir { path: path.to_owned(), marker, is_new, has_pid_file: false, _lock: lock })
    }

    /// Makes the directory this broker's for good, when it is new, and says which process uses it.
    pub(crate) fn claim(&mut self, disk: &dyn Disk) -> Result<(), Problem> {
        let write = || -> io::Result<()> {
            if self.is_new {
                let mut text = serde_json::to_string_pretty(&self.marker)?;
                text.push('\n');
                eddy_disk::replace(disk, &self.path.join(MARKER_FILE), text.as_bytes())?;
            }
            fs::write(self.path.join(PID_FILE), format!("{}\n", std::process::id()))
        };
        write().map_err(|error| unusable(&self.path, &error))?;
        self.has_pid_file = true;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn marker(&self) -> &Marker {
        &self.marker
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.has_pid_file {
            // Before the lock goes: the next process's file must not be removed.
            fs::remove_file(self.path.join(PID_FILE)).ok();
        }
    }
}

fn read_marker(disk: &dyn Disk, dir: &Path) -> Result<Option<Marker>, Problem> {
    let path = dir.join(MARKER_FILE);
    let bytes = match eddy_disk::read(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&path, &reason(&error))),
    };
    // A newer version may have changed every field but these two.
    #[derive(Deserialize)]
    struct Header {
        format: u32,
        min_reader: String,
    }
    let header: Header =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, &error.to_string()))?;
    if header.format > FORMAT {
        let message = format!("the data directory {} was written by a newer version of eddy", dir.display());
        let fact = format!(
            "format {} needs eddy {} or newer; this is eddy {}, which reads format {FORMAT}",
            header.format,
            header.min_reader,
            env!("CARGO_PKG_VERSION")
        );
        let problem = Problem::new(&codes::NEWER_VERSION, message).fact(fact).fact("nothing was changed");
        return Err(problem.fix("eddy serve --data-dir DIR", "use another directory"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(&path, &error.to_string()))
}

fn check(dir: &Path, found: &Marker, node_id: BrokerId) -> Result<(), Problem> {
    if found.node_id == node_id {
        return Ok(());
    }
    let message = format!(
        "the data directory {} belongs to node {}, not to node {node_id}",
        dir.display(),
        found.node_id
    );
    Err(Problem::new(&codes::WRONG_NODE, message)
        .fact(format!("made by eddy {} at {}; nothing was changed", found.created_by, found.created_at))
        .fix(format!("eddy serve --set node.id={}", found.node_id), "run as the node of the directory")
        .fix("eddy serve --data-dir DIR", format!("use the directory of node {node_id}")))
}

fn kafkas(dir: &Path) -> Problem {
    let message = format!("the data directory {} holds data of Kafka", dir.display());
    Problem::new(&codes::KAFKA_DIRECTORY, message)
        .fact(format!("{KAFKA_MARKER_FILE} is there; nothing was changed"))
        .fix("eddy serve --data-dir DIR", "use a directory of its own")
}

fn new_marker(node_id: BrokerId) -> io::Result<Marker> {
    Ok(Marker {
        cluster_id: random_cluster_id()?,
        node_id,
        created_by: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: rfc3339(SystemClock.now()),
        format: FORMAT,
        min_reader: MIN_READER.to_owned(),
    })
}

/// A random UUID (version 4), as Kafka's own cluster ids are. The first bit is cleared so that no id begins with `-`, which a
/// command line would take for a flag.
fn random_cluster_id() -> io::Result<ClusterId> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[0] &= 0x7f;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(ClusterId(bytes))
}

/// Seconds since the epoch as a date in UTC, by the usual count of days from a year that begins in March.
fn rfc3339(now: Millis) -> String {
    let seconds = now.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let mut text = String::new();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").ok();
    text
}

/// The problem of a directory whose metadata is another cluster's than its marker says.
pub(crate) fn other_cluster(dir: &Path, marker: &Marker, metadata: ClusterId) -> Problem {
    let message = format!("the data directory {} holds the metadata of another cluster", dir.display());
    Problem::new(&codes::OTHER_CLUSTER, message)
        .fact(format!("marker {}, metadata {metadata}", marker.cluster_id))
        .fact(format!("made by eddy {} at {}", marker.created_by, marker.created_at))
        .fix("eddy serve --data-dir DIR", "use another directory")
}

fn in_use(dir: &Path, pid: Option<u32>) -> Problem {
    let problem = Problem::new(
        &codes::DIRECTORY_IN_USE,
        format!("the data directory {} is used by another process", dir.display()),
    );
    let problem = match pid {
        Some(pid) => {
            let command = port_holder::command(pid).unwrap_or_else(|| "name unknown".to_owned());
            problem
                .fact(format!("held by pid {pid} ({command})"))
                .fix(format!("kill {pid}"), "stop the other process")
        }
        None => problem.fact("its process cannot be seen from here"),
    };
    problem.fix("eddy serve --data-dir DIR", "use another directory")
}

fn unusable(dir: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot use the data directory {}: {}", dir.display(), reason(error));
    Problem::new(&codes::DIRECTORY_UNUSABLE, message)
        .fix("eddy serve --data-dir DIR", "use another directory")
}

fn unreadable(path: &Path, why: &str) -> Problem {
    let problem =
        Problem::new(&codes::MARKER_UNREADABLE, format!("cannot read the marker {}: {why}", path.display()));
    problem.fact("nothing was changed").fix("eddy serve --data-dir DIR", "use another directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_kafka_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("meta.properties"), "node.id=1\n").unwrap();
        let problem =
            DataDir::open(eddy_disk::RealDisk::shared().as_ref(), dir.path(), BrokerId(1)).err().unwrap();
        assert_eq!(problem.code().number, 1016);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_243_622, "2026-11-21T06:47:02Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Millis(seconds * 1000)), date);
        }
    }

    #[test]
    fn cluster_ids_differ_and_never_look_like_a_flag() {
        let ids: std::collections::BTreeSet<_> = (0..200).map(|_| random_cluster_id().unwrap()).collect();
        assert_eq!(ids.len(), 200);
        assert!(ids.iter().all(|id| !id.to_string().starts_with('-')));
    }
}
