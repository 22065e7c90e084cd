//! Reading up to a text, so many bytes, or all there is.

use std::io::{self, BufRead, Read};

/// A longer field is not data but a wrong format.
const FIELD_BYTES_MAX: usize = 64 << 20;

/// Why there is no record.
pub(super) enum Reason {
    Read(io::Error),
    Format(String),
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Reason {
        Reason::Read(error)
    }
}

impl Reason {
    pub(super) fn ends_early() -> Reason {
        Reason::Format("the input ends within it".to_owned())
    }
}

/// Bytes before a delimiter.
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    /// Whether the delimiter was there, and not the end of the input.
    pub(super) is_ended: bool,
}

/// Reads up to a delimiter and past it; none at the end of the input.
pub(super) fn until(source: &mut impl BufRead, delimiter: &[u8]) -> Result<Option<Found>, Reason> {
    let Some(last) = delimiter.last() else { return Err(Reason::ends_early()) };
    let mut bytes = Vec::new();
    loop {
        let room = (FIELD_BYTES_MAX + 1).saturating_sub(bytes.len());
        let read = source.by_ref().take(room as u64).read_until(*last, &mut bytes)?;
        if bytes.ends_with(delimiter) {
            bytes.truncate(bytes.len() - delimiter.len());
            return Ok(Some(Found { bytes, is_ended: true }));
        }
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes")));
        }
        if read == 0 {
            return Ok((!bytes.is_empty()).then_some(Found { bytes, is_ended: false }));
        }
    }
}

pub(super) fn exactly(source: &mut impl BufRead, count: usize) -> Result<Vec<u8>, Reason> {
    if count > FIELD_BYTES_MAX {
        return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes: {count}")));
    }
    let mut bytes = Vec::new();
    source.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    if bytes.len() == count { Ok(bytes) } else { Err(Reason::ends_early()) }
}

pub(super) fn to_end(source: &mut impl BufRead) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    source.by_ref().take(FIELD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FIELD_BYTES_MAX {
        return Err(Reason::Format(format!("longer than {FIELD_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
