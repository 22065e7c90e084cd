//! Writes past the page cache: the kernel takes them only in whole blocks, from memory that begins at one.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use crate::{DIRECT_BLOCK, Durable, File};

/// Memory that begins at a multiple of [`DIRECT_BLOCK`], made when it is first needed and used again and again.
#[derive(Debug)]
pub struct AlignedBuffer {
    memory: Vec<u8>,
    bytes_max: usize,
}

impl AlignedBuffer {
    /// A buffer of `bytes_max` bytes, a multiple of [`DIRECT_BLOCK`].
    #[must_use]
    pub const fn new(bytes_max: usize) -> AlignedBuffer {
        AlignedBuffer { memory: Vec::new(), bytes_max }
    }

    /// The parts next to each other; `None` when they are too many or no whole blocks.
    pub fn fill(&mut self, parts: &[IoSlice<'_>]) -> Option<&[u8]> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > self.bytes_max || !bytes.is_multiple_of(DIRECT_BLOCK) {
            return None;
        }
        if self.memory.is_empty() {
            self.memory = vec![0; self.bytes_max + DIRECT_BLOCK];
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

/// As [`File::write_at`], but the whole blocks of `parts` leave no trace in the page cache where the disk offers that.
///
/// # Errors
/// Those of the disk. Some of the bytes may then be written.
pub fn write_past_cache(
    file: &dyn File,
    buffer: &mut AlignedBuffer,
    parts: &[IoSlice<'_>],
    position: u64,
) -> io::Result<()> {
    let mut rest: VecDeque<&[u8]> = parts.iter().map(|part| &**part).collect();
    let mut left: usize = parts.iter().map(|part| part.len()).sum();
    let mut at = position;
    let to_block = (position.next_multiple_of(DIRECT_BLOCK as u64) - position) as usize;
    let mut bytes = to_block.min(left);
    while left > 0 {
        let next = split(&mut rest, bytes);
        let written = buffer
            .fill(&next)
            .filter(|blocks| !blocks.is_empty())
            .and_then(|blocks| file.write_direct_at(blocks, at, Durable::AfterSync));
        written.unwrap_or_else(|| file.write_at(&next, at))?;
        at += bytes as u64;
        left -= bytes;
        bytes = match left.min(buffer.bytes_max) / DIRECT_BLOCK * DIRECT_BLOCK {
            0 => left,
            blocks => blocks,
        };
    }
    Ok(())
}

/// The first `bytes` of `parts`, which lose them.
fn split<'p>(parts: &mut VecDeque<&'p [u8]>, mut bytes: usize) -> Vec<IoSlice<'p>> {
    let mut taken = Vec::new();
    while bytes > 0
        && let Some(front) = parts.pop_front()
    {
        let (first, rest) = front.split_at(bytes.min(front.len()));
        bytes -= first.len();
        taken.push(IoSlice::new(first));
        if !rest.is_empty() {
            parts.push_front(rest);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 4 * DIRECT_BLOCK;

    #[test]
    fn parts_come_out_in_order_at_a_block() {
        let mut buffer = AlignedBuffer::new(BYTES_MAX);
        let (front, back) = (vec![1; 100], vec![2; DIRECT_BLOCK * 2 - 100]);
        let filled = buffer.fill(&[IoSlice::new(&front), IoSlice::new(&back)]).unwrap();
        assert_eq!(filled, [front, back].concat());
        assert!(filled.as_ptr().addr().is_multiple_of(DIRECT_BLOCK));
    }

    #[test]
    fn what_is_too_large_or_no_block_is_not_taken() {
        let mut buffer = AlignedBuffer::new(BYTES_MAX);
        assert!(buffer.fill(&[IoSlice::new(&[0; 100])]).is_none());
        assert!(buffer.fill(&[IoSlice::new(&vec![0; BYTES_MAX])]).is_some());
        assert!(buffer.fill(&[IoSlice::new(&vec![0; BYTES_MAX + DIRECT_BLOCK])]).is_none());
    }
}
