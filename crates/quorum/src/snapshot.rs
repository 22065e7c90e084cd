//! The snapshot file: one line of JSON about the snapshot, then the image's bytes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use eddy_disk::Disk;
use openraft::SnapshotMeta;
use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::types::{MemberId, Voter};

pub(crate) type Meta = SnapshotMeta<MemberId, Voter>;

/// Version of the file; raised when an older broker would misread it.
const VERSION: u32 = 1;

/// A snapshot as it is stored.
pub(crate) struct Stored {
    pub(crate) meta: Meta,
    pub(crate) image: Arc<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    /// FNV-1a of the image's bytes: damage must not pass for another state of the cluster.
    checksum: u64,
    meta: Meta,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Replaces the snapshot on disk; durable when it returns.
pub(crate) fn write(disk: &dyn Disk, path: &Path, meta: &Meta, image: &[u8]) -> io::Result<()> {
    let head = Head { version: VERSION, checksum: checksum(image), meta: meta.clone() };
    let mut contents = serde_json::to_vec(&head).map_err(io::Error::other)?;
    contents.push(b'\n');
    contents.extend_from_slice(image);
    eddy_disk::replace(disk, path, &contents)
}

/// Reads the snapshot on disk, `None` when there is none.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Stored>, LoadError> {
    let contents = match eddy_disk::read(disk, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        contents => contents?,
    };
    let damaged = |what: &str| LoadError::Damaged(what.to_owned());
    let end =
        contents.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("no end of the first line"))?;
    let (head, image) = contents.split_at(end);
    let image = image.get(1..).unwrap_or_default();
    let malformed = |error: serde_json::Error| LoadError::Damaged(error.to_string());
    let Version { version } = serde_json::from_slice(head).map_err(malformed)?;
    if version > VERSION {
        return Err(LoadError::NewerVersion { version, supported: VERSION });
    }
    let head: Head = serde_json::from_slice(head).map_err(malformed)?;
    if head.checksum != checksum(image) {
        return Err(damaged("checksum does not match"));
    }
    Ok(Some(Stored { meta: head.meta, image: Arc::new(image.to_vec()) }))
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
