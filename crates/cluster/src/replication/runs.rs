//! Data in pieces: each waits for its own room in the write-ahead log, so that the first is on its way to the disk while the
//! next is looked at, and a follower that catches up does not ask for the whole queue at once.

use bytes::Bytes;

/// Batches of one piece.
const BATCHES_MAX: u32 = 256;

/// A piece is closed when it holds this many bytes.
const BYTES: usize = 256 << 10;

/// Bytes before a batch's length, and with it.
const HEAD: usize = 12;

/// A piece of data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Batches in it.
    pub(super) batches: u32,
    /// Whole batches, one after the other; only the last piece may end within one, which is found when it is appended.
    pub(super) bytes: Bytes,
}

/// The pieces of data, in order.
pub(super) struct Runs(pub(super) Bytes);

impl Iterator for Runs {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let (mut batches, mut end) = (0, 0);
        while batches < BATCHES_MAX && end < BYTES && end < self.0.len() {
            batches += 1;
            match batch_end(&self.0, end) {
                Some(next) => end = next,
                None => end = self.0.len(),
            }
        }
        (batches > 0).then(|| Run { batches, bytes: self.0.split_to(end) })
    }
}

/// Where the batch that begins at `start` ends, when it is whole.
fn batch_end(bytes: &[u8], start: usize) -> Option<usize> {
    let head = bytes.get(start..)?.first_chunk::<HEAD>()?;
    let [.., a, b, c, d] = *head;
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).ok()?;
    let end = start.checked_add(HEAD)?.checked_add(length)?;
    (end <= bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(body: usize) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.extend(i32::try_from(body).unwrap().to_be_bytes());
        bytes.extend(vec![1; body]);
        bytes
    }

    fn runs(bytes: Vec<u8>) -> Vec<Run> {
        Runs(bytes.into()).collect()
    }

    proptest! {
        #[test]
        fn pieces_are_whole_batches_and_nothing_is_lost(bodies in prop::collection::vec(0usize..2000, 0..600)) {
            let all: Vec<u8> = bodies.iter().flat_map(|body| batch(*body)).collect();
            let runs = runs(all.clone());
            prop_assert_eq!(runs.iter().map(|run| run.batches as usize).sum::<usize>(), bodies.len());
            prop_assert!(runs.iter().all(|run| run.batches <= BATCHES_MAX && run.bytes.len() < BYTES + 2012));
            prop_assert_eq!(runs.iter().flat_map(|run| run.bytes.to_vec()).collect::<Vec<u8>>(), all);
        }

        #[test]
        fn any_bytes_come_out_as_they_went_in(noise in prop::collection::vec(any::<u8>(), 0..500)) {
            let runs = runs(noise.clone());
            prop_assert_eq!(runs.iter().flat_map(|run| run.bytes.to_vec()).collect::<Vec<u8>>(), noise);
        }
    }

    #[test]
    fn a_batch_above_the_limit_is_a_piece_of_its_own() {
        let all = [batch(10), batch(BYTES * 2), batch(10)].concat();
        let sizes: Vec<u32> = runs(all).iter().map(|run| run.batches).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
