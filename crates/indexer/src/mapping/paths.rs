//! The paths of a partition's JSON values: which are indexed as such, and how the strings of each are found as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::Whole;
use crate::fields::{EXACT_BYTES_MAX, hash_of};

/// Paths of one partition. A query without a field looks at all of them; what has another path is indexed as text without one.
pub(crate) const PATHS_MAX: usize = 1000;

/// One value in this many is looked at to see whether those of a path repeat: always the same values.
const SAMPLED: u64 = 64;

/// Values that are looked at before it is decided.
const SAMPLE: u32 = 2048;

/// Share of the values that are new, above which they do not repeat.
const NEW_SHARE: f64 = 0.75;

/// What a manifest keeps of the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownPaths {
    pub(crate) all: Arc<[Arc<str>]>,
    /// Those whose values hardly ever repeat.
    pub(crate) unique: Arc<[Arc<str>]>,
}

/// The paths as they are while records are mapped.
#[derive(Default)]
pub(crate) struct Paths {
    states: HashMap<Arc<str>, State>,
    unique: usize,
}

#[derive(Default)]
struct State {
    unique: bool,
    sample: Option<Box<Sample>>,
}

/// Counts distinct values by the bits that they set.
struct Sample {
    seen: u32,
    bits: [u64; 64],
}

impl Paths {
    pub(crate) fn new(known: &KnownPaths) -> Paths {
        let mut states: HashMap<Arc<str>, State> =
            known.all.iter().map(|path| (Arc::clone(path), State::default())).collect();
        for path in known.unique.iter() {
            states.entry(Arc::clone(path)).or_default().unique = true;
        }
        Paths { unique: known.unique.len(), states }
    }

    /// What a manifest has to keep, if it is more than it has: nothing is ever forgotten.
    pub(crate) fn beyond(&self, known: &KnownPaths) -> Option<KnownPaths> {
        if (self.states.len(), self.unique) == (known.all.len(), known.unique.len()) {
            return None;
        }
        let mut all: Vec<_> = self.states.keys().cloned().collect();
        all.sort();
        let unique = all.iter().filter(|path| self.states.get(*path).is_some_and(|state| state.unique));
        Some(KnownPaths { unique: unique.cloned().collect(), all: all.into() })
    }

    /// Whether a path is indexed as such; a new one is, as long as there are not too many.
    pub(super) fn admit(&mut self, path: &str) -> bool {
        if self.states.contains_key(path) {
            return true;
        }
        if self.states.len() >= PATHS_MAX {
            return false;
        }
        self.states.insert(path.into(), State::default());
        true
    }

    /// How a string of a path is found as a whole.
    pub(super) fn whole(&mut self, path: &str, text: &str) -> Whole {
        let hash = hash_of(text);
        let Some(state) = self.states.get_mut(path).filter(|_| text.len() <= EXACT_BYTES_MAX) else {
            return Whole::Hash(hash);
        };
        // The checksums of like strings are alike in their low bits.
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if !state.unique && mixed.is_multiple_of(SAMPLED) {
            state.unique = state.sample.get_or_insert_default().add(mixed / SAMPLED);
            if state.unique {
                state.sample = None;
                self.unique += 1;
            }
        }
        if state.unique { Whole::Hash(hash) } else { Whole::Exact }
    }
}

impl Default for Sample {
    fn default() -> Self {
        Sample { seen: 0, bits: [0; 64] }
    }
}

impl Sample {
    /// Adds a value; true when enough were seen and most were new.
    fn add(&mut self, hash: u64) -> bool {
        let bit = hash % (64 * self.bits.len() as u64);
        if let Some(word) = usize::try_from(bit / 64).ok().and_then(|word| self.bits.get_mut(word)) {
            *word |= 1 << (bit % 64);
        }
        self.seen += 1;
        if self.seen < SAMPLE {
            return false;
        }
        let size = 64.0 * self.bits.len() as f64;
        let set: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        // Linear counting: so many bits stay clear when so many distinct values were added.
        let distinct = -size * ((size - f64::from(set)).max(1.0) / size).ln();
        let is_unique = distinct > NEW_SHARE * f64::from(self.seen);
        *self = Sample::default();
        is_unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds values to one path; gives how many of them had a column of their own.
    fn exact(values: impl Iterator<Item = String>) -> usize {
        let mut paths = Paths::default();
        assert!(paths.admit("path"));
        values.filter(|value| paths.whole("path", value) == Whole::Exact).count()
    }

    #[test]
    fn strings_that_never_repeat_leave_the_columns_and_others_stay() {
        let unique = exact((0..400_000).map(|number| format!("trace {number:032x}")));
        assert!((100_000..180_000).contains(&unique), "{unique}");
        assert_eq!(exact((0..400_000).map(|number| format!("user {}", number % 50_000))), 400_000);
        assert_eq!(exact(std::iter::once("x".repeat(EXACT_BYTES_MAX + 1))), 0);
    }

    #[test]
    fn paths_are_bounded_and_survive_in_a_manifest() {
        let mut paths = Paths::default();
        let admitted = (0..2 * PATHS_MAX).filter(|number| paths.admit(&format!("p{number}"))).count();
        assert_eq!(admitted, PATHS_MAX);
        let known = paths.beyond(&KnownPaths::default()).unwrap();
        assert_eq!(known.all.len(), PATHS_MAX);
        let mut again = Paths::new(&known);
        assert!(again.admit("p0") && !again.admit("other"));
        assert!(again.beyond(&known).is_none());
    }
}
