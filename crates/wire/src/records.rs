//! Record batches on their way through: shared bytes that are never looked into here.

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

/// The value of a `records` field: a run of bytes in one or more shared segments.
///
/// A decoded one has at most one segment, a slice of its frame. Two are equal when their bytes are, however they are cut.
#[derive(Clone, Debug, Default)]
pub struct Records(SmallVec<[Bytes; 1]>);

impl Records {
    /// Bytes in all segments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// Adds a segment at the end; an empty one is dropped.
    pub fn push(&mut self, segment: Bytes) {
        if !segment.is_empty() {
            self.0.push(segment);
        }
    }

    /// The segments in order; none is empty.
    #[must_use]
    pub fn segments(&self) -> &[Bytes] {
        &self.0
    }

    /// All bytes in one piece; copies them when there is more than one segment.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.0.len() {
            0 | 1 => self.0.pop().unwrap_or_default(),
            _ => {
                let mut all = BytesMut::with_capacity(self.len());
                self.0.iter().for_each(|segment| all.extend_from_slice(segment));
                all.freeze()
            }
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        if bytes.is_empty() { Records::default() } else { Records(smallvec![bytes]) }
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(segments: I) -> Records {
        Records(segments.into_iter().filter(|segment| !segment.is_empty()).collect())
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.len() == other.len() && self.0.iter().flatten().eq(other.0.iter().flatten())
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::Records;
    use bytes::Bytes;

    #[test]
    fn equality_does_not_see_the_cuts() {
        let whole = Records::from(Bytes::from_static(b"abcd"));
        let cut: Records = [&b"ab"[..], b"", b"cd"].map(Bytes::copy_from_slice).into_iter().collect();
        assert_eq!(cut, whole);
        assert_eq!(cut.segments().len(), 2);
        assert_eq!(cut.into_bytes(), "abcd");
        assert_ne!(Records::default(), whole);
    }
}
