//! Names of files.

use std::path::{Path, PathBuf};

/// Number of a file. The upper half counts files; the lower half is random, so that no client can put bytes into a batch
/// that look like a group of the file which they will be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub(crate) u64);

impl Generation {
    /// That of the first file of a log.
    pub(crate) fn first() -> Generation {
        Generation(0).next()
    }

    pub(crate) fn next(self) -> Generation {
        Generation(((self.0 >> 32) + 1) << 32 | u64::from(random()))
    }

    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("wal-{:016x}", self.0))
    }

    pub(crate) fn of(path: &Path) -> Option<Generation> {
        let digits = path.file_name()?.to_str()?.strip_prefix("wal-")?;
        let canonical = digits.len() == 16 && !digits.bytes().any(|digit| digit.is_ascii_uppercase());
        canonical.then(|| u64::from_str_radix(digits, 16).ok().map(Generation))?
    }
}

/// A number that cannot be guessed from outside: the standard library seeds its hashers from the system.
fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_rise_and_survive_their_names() {
        let mut generation = Generation::first();
        for _ in 0..100 {
            let next = generation.next();
            assert!(next > generation);
            assert_eq!(Generation::of(&next.path(Path::new("/x"))), Some(next));
            generation = next;
        }
    }

    #[test]
    fn other_names_are_no_files_of_the_log() {
        for name in [
            "wal-",
            "wal-1",
            "wal-000000000000000g",
            "wal-000000000000000A",
            "wal-00000000000000000",
            ".lock",
        ] {
            assert_eq!(Generation::of(Path::new(name)), None, "{name}");
        }
    }
}
