//! DeleteRecords on the leader.

use eddy_types::Offset;

/// Why records are not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// The offset is neither -1 nor at or below the high watermark (OFFSET_OUT_OF_RANGE).
    #[error("cannot delete before offset {before}, high watermark {high_watermark}")]
    OutOfRange {
        /// Offset asked for.
        before: Offset,
        /// The high watermark.
        high_watermark: Offset,
    },
}

/// Where DeleteRecords before `before` moves the log start, unless it is there already; -1 stands for the high watermark.
pub(super) fn new_log_start(before: Offset, high_watermark: Offset) -> Result<Offset, DeleteError> {
    let to = if before == Offset::NONE { high_watermark } else { before };
    if to < Offset::ZERO || to > high_watermark {
        return Err(DeleteError::OutOfRange { before, high_watermark });
    }
    Ok(to)
}
