//! Zstandard with decompression contexts that are kept for the next batch.

use std::cell::RefCell;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use zstd::zstd_safe::{self, DCtx, InBuffer, OutBuffer, ResetDirective};

/// A context that grew beyond this is not kept. What level 3 writes needs 2 MiB.
const KEEP_BYTES_MAX: usize = 4 << 20;

thread_local! {
    static SPARE: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Reads the frames of a payload one after the other.
///
/// The window may be 128 MiB, as high levels ask for and as Kafka allows; its pages are touched only as far as output goes.
pub(super) struct ZstdReader {
    rest: Bytes,
    /// `None` only while it is dropped.
    context: Option<DCtx<'static>>,
    /// Whether the last frame ended where the input ends.
    complete: bool,
}

fn failed(code: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, zstd_safe::get_error_name(code))
}

impl ZstdReader {
    pub(super) fn new(rest: Bytes) -> io::Result<ZstdReader> {
        let mut context = match SPARE.take() {
            Some(context) => context,
            None => DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?,
        };
        context.reset(ResetDirective::SessionOnly).map_err(failed)?;
        Ok(ZstdReader { rest, context: Some(context), complete: false })
    }
}

impl Drop for ZstdReader {
    fn drop(&mut self) {
        if let Some(context) = self.context.take()
            && context.sizeof() <= KEEP_BYTES_MAX
        {
            SPARE.set(Some(context));
        }
    }
}

impl Read for ZstdReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(context) = self.context.as_mut() else { return Ok(0) };
        loop {
            if self.rest.is_empty() && self.complete {
                return Ok(0);
            }
            let mut input = InBuffer::around(&self.rest);
            let mut output = OutBuffer::around(&mut *into);
            let hint = context.decompress_stream(&mut output, &mut input).map_err(failed)?;
            let (written, consumed) = (output.pos(), input.pos());
            self.rest.advance(consumed);
            self.complete = hint == 0;
            if written > 0 {
                return Ok(written);
            }
            if consumed == 0 && !self.complete {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last frame is cut off"));
            }
        }
    }
}
