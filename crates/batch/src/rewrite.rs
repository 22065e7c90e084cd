//! Changing what a producer sent, where a topic demands it: another codec, the broker's time, a max timestamp
//! that is true. Each ends with a new CRC.

use bytes::{Bytes, BytesMut};

use crate::codec::{Decoder, Encoder};
use crate::header::{PREFIX_BYTES, rewrite_header};
use crate::{Batch, BatchError, BatchHeader, Compression, HEADER_BYTES};

const PIECE_BYTES: usize = 64 << 10;

/// The batch with another header, of which length and CRC are made to fit.
pub(crate) fn with_header(bytes: Bytes, header: &BatchHeader) -> Bytes {
    // In place when nobody else holds the request's bytes.
    let mut batch = BytesMut::from(bytes);
    rewrite_header(&mut batch, header);
    batch.freeze()
}

/// The batch with its records in another codec. The records themselves keep their bytes: they pass from one codec to the
/// other in pieces, so memory is that of the result, and the work ends once the result exceeds `bytes_max`.
pub(crate) fn recompress(
    batch: &Batch,
    header: BatchHeader,
    target: (Compression, Option<i32>),
    limit: u64,
    bytes_max: usize,
) -> Result<Bytes, BatchError> {
    let source = batch.header.attributes.compression()?;
    let mut decoder = Decoder::new(source, batch.payload(), limit)?;
    let mut encoder = Encoder::new(target.0, target.1, vec![0; HEADER_BYTES])?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = decoder.read(&mut piece)?;
        if count == 0 {
            break;
        }
        encoder.write(piece.get(..count).unwrap_or_default())?;
        check_size(encoder.written(), bytes_max)?;
    }
    let mut bytes = encoder.finish()?;
    check_size(bytes.len(), bytes_max)?;
    let attributes = header.attributes.with_compression(target.0);
    let batch_length = i32::try_from(bytes.len() - PREFIX_BYTES)
        .map_err(|_| BatchError::TooLarge { bytes: bytes.len(), max: bytes_max })?;
    rewrite_header(&mut bytes, &BatchHeader { attributes, batch_length, ..header });
    Ok(bytes.into())
}

fn check_size(bytes: usize, max: usize) -> Result<(), BatchError> {
    if bytes > max { Err(BatchError::TooLarge { bytes, max }) } else { Ok(()) }
}
