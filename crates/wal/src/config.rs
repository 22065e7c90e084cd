//! Profiles: limits for machines of different size.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const MB: usize = 1_000_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A set of [`Limits`]. Profiles set limits, not sleeps: an idle log of any profile commits at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For small virtual machines and tests.
    Low,
    /// For machines with a few GiB of memory.
    Medium,
    /// For servers; the default above 4 GiB of memory.
    High,
    /// For servers that do nothing else.
    Ultra,
}

/// How much may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Record batches admitted and not yet durable.
    pub queue_depth: u32,
    /// Bytes of those batches: half of the memory, so that as much is left for what is durable and not yet flushed.
    pub queue_bytes_max: usize,
    /// Bytes of one group. A larger batch is a group of its own.
    pub group_bytes_max: usize,
    /// Age of the oldest entry that is not durable at which pressure begins.
    pub latency_budget: Duration,
    /// Bytes that the queue and the tail caches may hold together. Kept by the log; here it only gives `queue_bytes_max`.
    pub memory_bytes: usize,
}

impl Profile {
    /// All profiles, smallest first.
    pub const ALL: [Profile; 4] = [Profile::Low, Profile::Medium, Profile::High, Profile::Ultra];

    /// The limits of the profile.
    #[must_use]
    pub const fn limits(self) -> Limits {
        let (queue_depth, group_mb, latency_ms, memory_mb) = match self {
            Profile::Low => (2_500, 5, 20, 25),
            Profile::Medium => (10_000, 15, 10, 100),
            Profile::High => (50_000, 50, 100, 500),
            Profile::Ultra => (100_000, 100, 100, 1_000),
        };
        Limits {
            queue_depth,
            queue_bytes_max: memory_mb * MB / 2,
            group_bytes_max: group_mb * MB,
            latency_budget: Duration::from_millis(latency_ms),
            memory_bytes: memory_mb * MB,
        }
    }

    /// The profile for a machine with `total_bytes` of memory.
    #[must_use]
    pub const fn for_memory(total_bytes: u64) -> Profile {
        if total_bytes > 4 * GIB {
            Profile::High
        } else if total_bytes > GIB {
            Profile::Medium
        } else {
            Profile::Low
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Profile::Low => "low",
            Profile::Medium => "medium",
            Profile::High => "high",
            Profile::Ultra => "ultra",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Text that names no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a profile (low, medium, high, ultra): {0:?}")]
pub struct ParseProfileError(pub String);

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, ParseProfileError> {
        let named = Profile::ALL.into_iter().find(|profile| profile.name() == text);
        named.ok_or_else(|| ParseProfileError(text.to_owned()))
    }
}

/// What a log is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalConfig {
    /// Where the limits come from.
    pub profile: Profile,
    /// How much may wait for the disk.
    pub limits: Limits,
    /// Size to which each file is prepared, in bytes.
    pub file_bytes: u64,
    /// Bytes that all files together may take. Two files are always allowed: the log could not move on with one.
    pub total_bytes_max: u64,
}

impl WalConfig {
    /// The limits and sizes of a profile.
    #[must_use]
    pub const fn new(profile: Profile) -> WalConfig {
        let (file_mib, files) = match profile {
            Profile::Low => (64, 4),
            Profile::Medium => (64, 8),
            Profile::High => (64, 32),
            Profile::Ultra => (128, 32),
        };
        WalConfig {
            profile,
            limits: profile.limits(),
            file_bytes: file_mib * MIB,
            total_bytes_max: file_mib * MIB * files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_the_documented_limits() {
        let rows: Vec<_> = Profile::ALL
            .iter()
            .map(|profile| {
                let limits = profile.limits();
                let (group, memory) = (limits.group_bytes_max / MB, limits.memory_bytes / MB);
                (profile.to_string(), limits.queue_depth, group, limits.latency_budget.as_millis(), memory)
            })
            .collect();
        let row =
            |name: &str, depth, group, latency, memory| (name.to_owned(), depth, group, latency, memory);
        assert_eq!(
            rows,
            [
                row("low", 2_500, 5, 20, 25),
                row("medium", 10_000, 15, 10, 100),
                row("high", 50_000, 50, 100, 500),
                row("ultra", 100_000, 100, 100, 1_000),
            ]
        );
    }

    #[test]
    fn profiles_survive_their_names() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert!("High".parse::<Profile>().is_err());
    }

    #[test]
    fn memory_chooses_the_profile() {
        assert_eq!(Profile::for_memory(512 << 20), Profile::Low);
        assert_eq!(Profile::for_memory(4 * GIB), Profile::Medium);
        assert_eq!(Profile::for_memory(8 * GIB), Profile::High);
    }
}
