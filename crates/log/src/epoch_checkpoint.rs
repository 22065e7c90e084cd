//! Kafka's `leader-epoch-checkpoint` file: a version line, a count, and one line of epoch and start offset each.
//!
//! It is for Kafka's tools: the broker itself has the epochs in its own checkpoint, and in the batches.

use std::io;
use std::path::Path;

use eddy_disk::Disk;
use eddy_types::{LeaderEpoch, Offset};

/// Name of the file in a partition's directory.
pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

const VERSION: &str = "0";

/// Replaces the file of directory `dir`.
///
/// # Errors
/// Those of the disk; the old file is then still whole.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, epochs: &[(LeaderEpoch, Offset)]) -> io::Result<()> {
    eddy_disk::replace(disk, &dir.join(FILE_NAME), encode(epochs).as_bytes())
}

fn encode(epochs: &[(LeaderEpoch, Offset)]) -> String {
    let mut text = format!("{VERSION}\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        text.push_str(&format!("{epoch} {start}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_as_kafka_writes_it() {
        let epochs = [(LeaderEpoch(0), Offset(0)), (LeaderEpoch(3), Offset(17))];
        assert_eq!(encode(&epochs), "0\n2\n0 0\n3 17\n");
        assert_eq!(encode(&[]), "0\n0\n");
    }
}
