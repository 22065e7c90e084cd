//! The codec against an independent one, against hostile bytes, and against bytes and tables known from elsewhere.

#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod allocation;
mod golden;
mod headers;
mod hostile;
mod round_trip;
mod stored;

use bytes::Bytes;
use eddy_wire::Writer;
use eddy_wire::testing::AnyMessage;

/// The message's bytes in one piece.
fn encode(message: &dyn AnyMessage, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(&mut writer, version).unwrap();
    let length = writer.len();
    let bytes = writer.finish().concat();
    assert_eq!(bytes.len(), length);
    bytes.into()
}
