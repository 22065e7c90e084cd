//! The marker file `meta.json`: whose the directory is.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use eddy_disk::Disk;
use eddy_types::{BrokerId, Clock, ClusterId, DirectoryId, Millis, SystemClock};
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::failure::{Problem, reason};

/// Name of the marker.
pub(super) const MARKER_FILE: &str = "meta.json";

/// Version of everything below the data directory. Raise it when an older version could not read what this one writes,
/// and [`MIN_READER`] with it.
const FORMAT: u32 = 1;

/// The oldest version that reads [`FORMAT`].
const MIN_READER: &str = "0.1.0";

/// The marker file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// `None` until a broker that joins a cluster knows which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) node_id: BrokerId,
    /// Zero only in markers of versions that had none.
    #[serde(default)]
    pub(crate) directory_id: DirectoryId,
    /// Version that made the directory.
    pub(crate) created_by: String,
    /// When, in RFC 3339.
    pub(crate) created_at: String,
    pub(crate) format: u32,
    /// The oldest version that can open the directory.
    pub(crate) min_reader: String,
}

impl Marker {
    /// The marker of a new directory, of no cluster yet.
    pub(super) fn new(node_id: BrokerId) -> io::Result<Marker> {
        Ok(Marker {
            cluster_id: None,
            node_id,
            directory_id: DirectoryId(random_id()?),
            created_by: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: rfc3339(SystemClock.now()),
            format: FORMAT,
            min_reader: MIN_READER.to_owned(),
        })
    }

    /// The same with an id of the directory, if it had none.
    pub(super) fn with_directory(mut self) -> io::Result<Marker> {
        if self.directory_id.is_zero() {
            self.directory_id = DirectoryId(random_id()?);
        }
        Ok(self)
    }

    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        eddy_disk::replace(disk, &dir.join(MARKER_FILE), text.as_bytes())
    }
}

/// The id of a cluster that is founded.
pub(crate) fn new_cluster_id() -> io::Result<ClusterId> {
    random_id().map(ClusterId)
}

/// The marker of a directory; `None` when it has none.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Marker>, Problem> {
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

/// A random UUID (version 4), as Kafka's own cluster ids are. The first bit is cleared so that no id begins with `-`, which a
/// command line would take for a flag.
fn random_id() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[0] &= 0x7f;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
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

fn unreadable(path: &Path, why: &str) -> Problem {
    let problem =
        Problem::new(&codes::MARKER_UNREADABLE, format!("cannot read the marker {}: {why}", path.display()));
    problem.fact("nothing was changed").fix("eddy serve --data-dir DIR", "use another directory")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ids: std::collections::BTreeSet<_> = (0..200).map(|_| random_id().unwrap()).collect();
        assert_eq!(ids.len(), 200);
        assert!(ids.iter().all(|id| !ClusterId(*id).to_string().starts_with('-')));
    }
}
