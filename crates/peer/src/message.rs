//! What the frames of a call connection hold.
//!
//! | kind | then |
//! |---|---|
//! | 0 keep-alive | nothing |
//! | 1 request | id `u64`, service `u8`, the request |
//! | 2 answer | id `u64`, status `u8`, the answer or the words of the failure |

use bytes::{Buf, Bytes};

use crate::frames::FrameWriter;
use crate::limits::FRAME_BYTES_MAX;

/// Bytes of a request or answer before its payload.
const HEADER: usize = 10;

/// Largest frame of a call connection.
pub(crate) const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + HEADER;

const KEEP_ALIVE: u8 = 0;
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;

/// How an answer is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Done = 0,
    NotServed = 1,
    Failed = 2,
    Busy = 3,
}

/// One frame of a call connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    KeepAlive,
    /// The service is a bare number: an unknown one is answered, not an error of the connection.
    Request {
        id: u64,
        service: u8,
        payload: Bytes,
    },
    Answer {
        id: u64,
        status: Status,
        payload: Bytes,
    },
}

/// A frame that is none of the messages.
#[derive(Debug, thiserror::Error)]
#[error("not a message of a call connection")]
pub(crate) struct NotAMessage;

impl From<NotAMessage> for std::io::Error {
    fn from(error: NotAMessage) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}

impl Message {
    pub(crate) fn read(mut frame: Bytes) -> Result<Message, NotAMessage> {
        let kind = frame.try_get_u8().map_err(|_| NotAMessage)?;
        if kind == KEEP_ALIVE {
            return if frame.is_empty() { Ok(Message::KeepAlive) } else { Err(NotAMessage) };
        }
        let id = frame.try_get_u64().map_err(|_| NotAMessage)?;
        let detail = frame.try_get_u8().map_err(|_| NotAMessage)?;
        match (kind, detail) {
            (REQUEST, service) => Ok(Message::Request { id, service, payload: frame }),
            (ANSWER, 0) => Ok(Message::Answer { id, status: Status::Done, payload: frame }),
            (ANSWER, 1) => Ok(Message::Answer { id, status: Status::NotServed, payload: frame }),
            (ANSWER, 2) => Ok(Message::Answer { id, status: Status::Failed, payload: frame }),
            (ANSWER, 3) => Ok(Message::Answer { id, status: Status::Busy, payload: frame }),
            _ => Err(NotAMessage),
        }
    }
}

pub(crate) fn put_keep_alive(out: &mut FrameWriter) {
    out.begin(1);
    out.put_small(&[KEEP_ALIVE]);
}

pub(crate) fn put_request(out: &mut FrameWriter, id: u64, service: u8, payload: &Bytes) {
    put(out, REQUEST, id, service, payload);
}

pub(crate) fn put_answer(out: &mut FrameWriter, id: u64, status: Status, payload: &Bytes) {
    put(out, ANSWER, id, status as u8, payload);
}

/// The payload is within `FRAME_BYTES_MAX`: both callers have checked it.
fn put(out: &mut FrameWriter, kind: u8, id: u64, detail: u8, payload: &Bytes) {
    out.begin((HEADER + payload.len()) as u32);
    out.put_small(&[kind]);
    out.put_small(&id.to_be_bytes());
    out.put_small(&[detail]);
    out.put(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_no_message_are_errors() {
        for bytes in [
            &b""[..],
            b"\x00x",
            b"\x01",
            b"\x01\0\0\0\0\0\0\0\x01",
            b"\x02\0\0\0\0\0\0\0\x01\x04",
            b"\x03\0\0\0\0\0\0\0\x01\x01",
        ] {
            assert!(Message::read(Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }
}
