//! One record, read only as far as validation needs: numbers, lengths, and whether there is a key.

use crate::Malformed;
use crate::input::{Input, ReadError};

/// What validation wants to know of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    /// Relative to the batch's base timestamp.
    pub(crate) timestamp_delta: i64,
    /// Relative to the batch's base offset.
    pub(crate) offset_delta: i32,
    /// Whether the key is not null.
    pub(crate) has_key: bool,
}

/// Reads one record. Each length is held against the end of the record before anything is passed over, so a length that
/// lies cannot make the walk run away.
#[inline(always)]
pub(crate) fn next_record(input: &mut impl Input) -> Result<RecordHead, ReadError> {
    let length = input.varint()?;
    let length = u64::try_from(length).map_err(|_| Malformed::NegativeLength)?;
    let end = input.position() + length;

    let _attributes = input.byte()?;
    let timestamp_delta = input.varlong()?;
    let offset_delta = input.varint()?;
    let has_key = skip_field(input, end)?;
    skip_field(input, end)?;

    let headers = input.varint()?;
    if headers < 0 {
        return Err(Malformed::NegativeLength.into());
    }
    for _ in 0..headers {
        if input.position() >= end {
            return Err(Malformed::Length.into());
        }
        if !skip_field(input, end)? {
            return Err(Malformed::NegativeLength.into());
        }
        skip_field(input, end)?;
    }
    if input.position() != end {
        return Err(Malformed::Length.into());
    }
    Ok(RecordHead { timestamp_delta, offset_delta, has_key })
}

/// Passes over a field with its length before it; false when it is null.
#[inline(always)]
fn skip_field(input: &mut impl Input, end: u64) -> Result<bool, ReadError> {
    let length = input.varint()?;
    if length < -1 {
        return Err(Malformed::NegativeLength.into());
    }
    let Ok(length) = u64::try_from(length) else { return Ok(false) };
    if input.position().saturating_add(length) > end {
        return Err(Malformed::Length.into());
    }
    input.skip(length)?;
    Ok(true)
}
