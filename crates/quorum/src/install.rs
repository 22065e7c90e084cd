//! Pieces of a snapshot become one.

use crate::message::Piece;
use crate::snapshot::Meta;
use crate::types::MemberId;

/// Largest snapshot that is taken, in bytes: far above any image, far below any machine's memory.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// A snapshot on its way from the leader.
pub(crate) struct Receiving {
    vote: openraft::Vote<MemberId>,
    meta: Meta,
    bytes: Vec<u8>,
}

/// What a piece made of it.
pub(crate) enum Taken {
    /// More is to come.
    Part,
    Whole(Vec<u8>),
    /// It does not continue what is there.
    Gap,
}

/// Takes a piece. One that begins a snapshot replaces what was there: a new leader, or one that began again.
pub(crate) fn take(slot: &mut Option<Receiving>, piece: &Piece, bytes: &[u8]) -> Taken {
    if piece.offset == 0 {
        *slot = Some(Receiving { vote: piece.vote, meta: piece.meta.clone(), bytes: Vec::new() });
    }
    let Some(receiving) = slot.as_mut() else { return Taken::Gap };
    let continues = receiving.vote == piece.vote
        && receiving.meta == piece.meta
        && u64::try_from(receiving.bytes.len()) == Ok(piece.offset)
        && receiving.bytes.len() + bytes.len() <= SNAPSHOT_BYTES_MAX;
    if !continues {
        *slot = None;
        return Taken::Gap;
    }
    receiving.bytes.extend_from_slice(bytes);
    if !piece.last {
        return Taken::Part;
    }
    slot.take().map_or(Taken::Gap, |whole| Taken::Whole(whole.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(snapshot: &str, offset: u64, last: bool) -> Piece {
        let meta = Meta { snapshot_id: snapshot.to_owned(), ..Meta::default() };
        Piece { vote: openraft::Vote::new_committed(1, 1), meta, offset, last }
    }

    #[test]
    fn pieces_in_order_are_whole() {
        let mut slot = None;
        assert!(matches!(take(&mut slot, &piece("a", 0, false), b"ab"), Taken::Part));
        assert!(
            matches!(take(&mut slot, &piece("a", 2, true), b"c"), Taken::Whole(bytes) if bytes == b"abc")
        );
        assert!(slot.is_none());
    }

    #[test]
    fn a_piece_that_does_not_follow_ends_the_snapshot() {
        for next in [piece("a", 3, true), piece("a", 1, true), piece("b", 2, true)] {
            let mut slot = None;
            assert!(matches!(take(&mut slot, &next, b"c"), Taken::Gap));
            assert!(matches!(take(&mut slot, &piece("a", 0, false), b"ab"), Taken::Part));
            assert!(matches!(take(&mut slot, &next, b"c"), Taken::Gap));
            assert!(slot.is_none());
        }
    }

    #[test]
    fn a_snapshot_that_begins_again_replaces_the_unfinished_one() {
        let mut slot = None;
        assert!(matches!(take(&mut slot, &piece("a", 0, false), b"ab"), Taken::Part));
        assert!(matches!(take(&mut slot, &piece("b", 0, true), b"x"), Taken::Whole(bytes) if bytes == b"x"));
    }
}
