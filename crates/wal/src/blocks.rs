//! Memory for groups that are written past the page cache: the kernel takes it only at whole blocks.

use std::io::IoSlice;

use eddy_disk::DIRECT_BLOCK;

/// Groups above this go through the page cache: copying them would cost more than it saves.
const BYTES_MAX: usize = 256 << 10;

/// A buffer that begins at a multiple of a block.
#[derive(Default)]
pub(crate) struct Blocks {
    /// Made when it is first needed.
    memory: Vec<u8>,
}

impl Blocks {
    /// The parts next to each other; `None` when they are too many or no whole blocks.
    pub(crate) fn fill(&mut self, parts: &[IoSlice<'_>]) -> Option<&[u8]> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > BYTES_MAX || !bytes.is_multiple_of(DIRECT_BLOCK) {
            return None;
        }
        if self.memory.is_empty() {
            self.memory = vec![0; BYTES_MAX + DIRECT_BLOCK];
        }
        let start = self.memory.as_ptr().align_offset(DIRECT_BLOCK);
        let block = self.memory.get_mut(start..start.checked_add(bytes)?)?;
        let mut rest = &mut *block;
        for part in parts {
            let (next, later) = rest.split_at_mut_checked(part.len())?;
            next.copy_from_slice(part);
            rest = later;
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_in_order_at_a_block() {
        let mut blocks = Blocks::default();
        let (front, back) = (vec![1; 100], vec![2; DIRECT_BLOCK * 2 - 100]);
        let filled = blocks.fill(&[IoSlice::new(&front), IoSlice::new(&back)]).unwrap();
        assert_eq!(filled, [front, back].concat());
        assert!(filled.as_ptr().addr().is_multiple_of(DIRECT_BLOCK));
    }

    #[test]
    fn what_is_too_large_or_no_block_is_not_taken() {
        let mut blocks = Blocks::default();
        assert!(blocks.fill(&[IoSlice::new(&[0; 100])]).is_none());
        assert!(blocks.fill(&[IoSlice::new(&vec![0; BYTES_MAX])]).is_some());
        assert!(blocks.fill(&[IoSlice::new(&vec![0; BYTES_MAX + DIRECT_BLOCK])]).is_none());
    }
}
