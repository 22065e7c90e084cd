//! Whose data a directory holds: the lock, the marker file and the pid file.
//!
//! The lock is taken first and held until the process ends; the marker is checked before anything else is opened, and
//! written only once the listeners are bound, so that a start that fails leaves no trace. The cluster is written when it is
//! known: a broker that joins one learns it from the others.

mod marker;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eddy_disk::Disk;
use eddy_disk::lock::{DirLock, LockError};
use eddy_types::{BrokerId, ClusterId};

use crate::codes;
use crate::failure::{Problem, reason};
use crate::port_holder;
use crate::up::PID_FILE;
use marker::MARKER_FILE;

pub(crate) use marker::{Marker, new_cluster_id};

/// Kafka's marker: its directories are often named by a configuration that was made for it.
const KAFKA_MARKER_FILE: &str = "meta.properties";

/// Time for the kernel to take a killed process apart: until then it has its lock, and a command line no more.
const DYING_MAX: Duration = Duration::from_secs(5);
const DYING_PAUSE: Duration = Duration::from_millis(10);

/// A data directory that this process alone uses.
pub(crate) struct DataDir {
    path: PathBuf,
    marker: Marker,
    /// Whether the marker is not on disk as it is here.
    is_changed: bool,
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
        let lock = lock(path).map_err(|error| match error {
            LockError::Held { pid, .. } => in_use(path, pid),
            LockError::Io { source, .. } => unusable(path, &source),
        })?;
        let found = marker::read(disk, path)?;
        let before = found.clone();
        let marker = match found {
            Some(marker) => {
                check(path, &marker, node_id)?;
                marker.with_directory().map_err(|error| unusable(path, &error))?
            }
            None => Marker::new(node_id).map_err(|error| unusable(path, &error))?,
        };
        let is_changed = before.as_ref() != Some(&marker);
        Ok(DataDir { path: path.to_owned(), marker, is_changed, has_pid_file: false, _lock: lock })
    }

    /// Makes the directory this broker's for good, when it is new, and says which process uses it.
    pub(crate) fn claim(&mut self, disk: &dyn Disk) -> Result<(), Problem> {
        let write = || -> io::Result<()> {
            if self.is_changed {
                self.marker.write(disk, &self.path)?;
            }
            fs::write(self.path.join(PID_FILE), format!("{}\n", std::process::id()))
        };
        write().map_err(|error| unusable(&self.path, &error))?;
        self.has_pid_file = true;
        self.is_changed = false;
        Ok(())
    }

    /// Says which cluster the metadata in the directory is of, which is the directory's from then on.
    pub(crate) fn belongs_to(&mut self, disk: &dyn Disk, cluster: ClusterId) -> Result<(), Problem> {
        match self.marker.cluster_id {
            Some(known) if known == cluster => Ok(()),
            Some(known) => Err(other_cluster(&self.path, &self.marker, known, cluster)),
            None => {
                self.marker.cluster_id = Some(cluster);
                self.marker.write(disk, &self.path).map_err(|error| unusable(&self.path, &error))
            }
        }
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

/// Locks the directory; whoever is killed and started again at once waits for his own end.
fn lock(dir: &Path) -> Result<DirLock, LockError> {
    let deadline = Instant::now() + DYING_MAX;
    loop {
        match DirLock::acquire(dir) {
            Err(LockError::Held { pid: Some(pid), .. })
                if port_holder::command(pid).is_none() && Instant::now() < deadline =>
            {
                std::thread::sleep(DYING_PAUSE);
            }
            done => return done,
        }
    }
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

fn other_cluster(dir: &Path, marker: &Marker, known: ClusterId, metadata: ClusterId) -> Problem {
    let message = format!("the data directory {} holds the metadata of another cluster", dir.display());
    Problem::new(&codes::OTHER_CLUSTER, message)
        .fact(format!("marker {known}, metadata {metadata}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_process_that_is_gone_all_but_its_files_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::acquire(dir.path()).unwrap();
        // No process has the largest number.
        std::fs::write(dir.path().join(eddy_disk::lock::LOCK_FILE), format!("{}\n", u32::MAX)).unwrap();
        let end = std::thread::spawn(move || {
            std::thread::sleep(DYING_PAUSE * 5);
            drop(held);
        });
        assert!(lock(dir.path()).is_ok());
        end.join().unwrap();
    }

    #[test]
    fn a_directory_of_kafka_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("meta.properties"), "node.id=1\n").unwrap();
        let problem =
            DataDir::open(eddy_disk::RealDisk::shared().as_ref(), dir.path(), BrokerId(1)).err().unwrap();
        assert_eq!(problem.code().number, 1016);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
