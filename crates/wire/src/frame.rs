//! What surrounds a message: length prefix and header.

use bytes::Bytes;

use crate::writer::Segments;
use crate::{ApiKey, DecodeError, Encode, EncodeError, Reader, Str, Writer};

/// Header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Number of the API, known or not.
    pub api_key: i16,
    /// Version of the API, known or not.
    pub api_version: i16,
    /// To be sent back with the response.
    pub correlation_id: i32,
    /// The client's name for itself; `None` also when the API or its version is not known.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Reads the header at the start of a frame (after the length prefix).
    ///
    /// Of an unknown API or version only the fixed eight bytes are read, which are the same in all headers: what follows may
    /// have any form. That is enough to answer an ApiVersions request from the future and to name others in the log
    /// before closing the connection.
    ///
    /// # Errors
    /// When the frame has fewer than eight bytes, or the rest of a known header is malformed.
    pub fn decode(reader: &mut Reader) -> Result<RequestHeader, DecodeError> {
        let mut header = RequestHeader {
            api_key: reader.i16("RequestHeader.api_key")?,
            api_version: reader.i16("RequestHeader.api_version")?,
            correlation_id: reader.i32("RequestHeader.correlation_id")?,
            client_id: None,
        };
        let known = ApiKey::from_i16(header.api_key);
        if let Some(api) = known.filter(|api| api.valid_versions().contains(&header.api_version)) {
            // The client id keeps its two-byte length in flexible headers.
            header.client_id = reader.nullable_string(false, "RequestHeader.client_id")?;
            if api.request_header_version(header.api_version) >= 2 {
                reader.skip_tagged_fields("RequestHeader")?;
            }
        }
        Ok(header)
    }
}

/// A response ready to be sent, its length prefix included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes in order, for a vectored write; none is empty. Large record batches are segments of their own, shared
    /// with wherever they came from.
    pub segments: Segments,
}

impl Frame {
    /// Bytes to be sent, the length prefix included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum()
    }

    /// Never true: a frame has at least its length prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// Encodes a response with its length prefix and header. `body` must be the response of `api_key`.
///
/// # Errors
/// When `body` says what `version` cannot (see [`EncodeError`]), or the frame would exceed `i32::MAX` bytes.
pub fn encode_response<B: Encode>(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &B,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new();
    writer.put_i32(0);
    writer.put_i32(correlation_id);
    if api_key.response_header_version(version) >= 1 {
        writer.put_no_tagged_fields();
    }
    body.encode(&mut writer, version)?;
    writer.patch_length()?;
    Ok(Frame { segments: writer.finish() })
}
