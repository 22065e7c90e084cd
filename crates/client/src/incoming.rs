//! Bytes from the socket, cut into answers.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::Ended;

/// Asked of the socket at once when no answer is begun.
const READ_BYTES: usize = 64 << 10;
const LENGTH_BYTES: usize = 4;
/// The correlation id, the least that an answer has.
const ANSWER_BYTES_MIN: usize = 4;

/// Collects answers. Its memory grows with what has arrived, at most to twice that, never by the length an answer announces.
#[derive(Debug)]
pub(crate) struct Incoming {
    bytes: BytesMut,
    answer_bytes_max: usize,
}

impl Incoming {
    pub(crate) fn new(answer_bytes_max: usize) -> Incoming {
        Incoming { bytes: BytesMut::new(), answer_bytes_max }
    }

    /// Where to read into; there is always room.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.bytes.reserve(READ_BYTES.max(self.bytes.len()));
        &mut self.bytes
    }

    /// The next whole answer without its length, `None` until more bytes come.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Ended> {
        let Some(length) = self.bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let refused = Ended::FrameLength { length, limit: self.answer_bytes_max };
        let bytes = usize::try_from(length).map_err(|_| refused.clone())?;
        if !(ANSWER_BYTES_MIN..=self.answer_bytes_max).contains(&bytes) {
            return Err(refused);
        }
        if self.bytes.len() - LENGTH_BYTES < bytes {
            return Ok(None);
        }
        self.bytes.advance(LENGTH_BYTES);
        Ok(Some(self.bytes.split_to(bytes).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_whole_however_they_arrive() {
        let sent = b"\0\0\0\x04abcd\0\0\0\x06efghij";
        for step in 1..sent.len() {
            let mut incoming = Incoming::new(64);
            let mut got = Vec::new();
            for piece in sent.chunks(step) {
                incoming.buffer().extend_from_slice(piece);
                while let Some(answer) = incoming.next().unwrap() {
                    got.push(answer);
                }
            }
            assert_eq!(got, [&b"abcd"[..], b"efghij"], "in steps of {step}");
        }
    }

    #[test]
    fn lengths_out_of_bounds_end_the_connection() {
        for length in [-1, 0, 3, 65, i32::MAX] {
            let mut incoming = Incoming::new(64);
            incoming.buffer().extend_from_slice(&length.to_be_bytes());
            assert!(matches!(incoming.next(), Err(Ended::FrameLength { .. })), "{length}");
        }
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut incoming = Incoming::new(1 << 30);
        incoming.buffer().extend_from_slice(&(1i32 << 30).to_be_bytes());
        assert!(incoming.next().unwrap().is_none());
        assert!(incoming.buffer().capacity() <= 4 * READ_BYTES);
    }
}
