//! Which partition a record goes to: what Java's producer does, so that keys written here and there meet.

/// Partitions of one topic.
#[derive(Debug)]
pub(super) struct Partitioner {
    /// How many the topic has; keys are spread over all of them.
    count: usize,
    /// Those with a leader, for records without a key.
    led: Vec<usize>,
    /// Place among them.
    turn: usize,
}

impl Partitioner {
    /// `seed` decides with which partition records without a key begin.
    pub(super) fn new(count: usize, led: Vec<usize>, seed: usize) -> Partitioner {
        Partitioner { count: count.max(1), turn: seed, led }
    }

    /// The partition of a key (KIP-480 leaves keyed records as they were).
    pub(super) fn of_key(&self, key: &[u8]) -> usize {
        (murmur2(key) & 0x7fff_ffff) as usize % self.count
    }

    /// The partition of records without a key: the same until [`turn`](Self::turn), so that batches get full.
    pub(super) fn of_nothing(&self) -> usize {
        match self.led.len() {
            0 => self.turn % self.count,
            led => self.led.get(self.turn % led).copied().unwrap_or_default(),
        }
    }

    /// A batch of records without keys is full: the next one goes elsewhere.
    pub(super) fn turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

/// MurmurHash2, 32 bits, with the seed that Kafka uses.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let mut k = word.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_java() {
        // Values of the test of Kafka's own Utils.murmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_keys_go_round_partitions_with_leaders() {
        let mut partitioner = Partitioner::new(4, vec![1, 3], 0);
        let mut turns = Vec::new();
        for _ in 0..3 {
            turns.push(partitioner.of_nothing());
            partitioner.turn();
        }
        assert_eq!(turns, [1, 3, 1]);
        assert_eq!(Partitioner::new(4, Vec::new(), 6).of_nothing(), 2);
    }
}
