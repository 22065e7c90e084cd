//! The calls of `Service::Liveness`: heartbeats to the controller, and questions how far a broker has applied the metadata.
//!
//! A request is a version byte, a kind byte and fixed big-endian numbers; so is an answer. What follows behind them is ignored,
//! so that a newer broker may say more.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use eddy_types::BrokerId;

const VERSION: u8 = 1;
const HEARTBEAT: u8 = 1;
const APPLIED: u8 = 2;

/// Why bytes are no message of this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// Another form.
    #[error("liveness message of version {0}, this broker reads {VERSION}")]
    Version(u8),
    /// It ends too early.
    #[error("liveness message ends too early")]
    Short,
    /// No such message.
    #[error("unknown liveness message {0}")]
    Kind(u8),
}

impl From<TryGetError> for WireError {
    fn from(_: TryGetError) -> WireError {
        WireError::Short
    }
}

/// What a broker asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The sender lives.
    Heartbeat {
        /// Run of the sender's process.
        incarnation: u64,
        /// Version of the metadata that it has applied.
        applied: u64,
    },
    /// Answer when this version of the metadata is applied, or the time is over.
    Applied {
        /// The version.
        version: u64,
        /// How long the sender waits.
        within: Duration,
    },
}

/// What it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The controller has noted it: the session begins anew.
    Alive,
    /// The receiver is not the controller, or not sure of it; perhaps it knows who is.
    NotController(Option<BrokerId>),
    /// The metadata does not have this run of the sender, or has it fenced: it has to register.
    Unregistered,
    /// The metadata has no such broker: it was taken out of the cluster.
    Removed,
    /// Version of the metadata that the receiver has applied.
    Applied(u64),
}

impl Request {
    pub(crate) fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(18);
        out.put_u8(VERSION);
        match self {
            Request::Heartbeat { incarnation, applied } => {
                out.put_u8(HEARTBEAT);
                out.put_u64(incarnation);
                out.put_u64(applied);
            }
            Request::Applied { version, within } => {
                out.put_u8(APPLIED);
                out.put_u64(version);
                out.put_u32(u32::try_from(within.as_millis()).unwrap_or(u32::MAX));
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Request, WireError> {
        match kind(&mut bytes)? {
            HEARTBEAT => {
                Ok(Request::Heartbeat { incarnation: bytes.try_get_u64()?, applied: bytes.try_get_u64()? })
            }
            APPLIED => Ok(Request::Applied {
                version: bytes.try_get_u64()?,
                within: Duration::from_millis(bytes.try_get_u32()?.into()),
            }),
            other => Err(WireError::Kind(other)),
        }
    }
}

const ALIVE: u8 = 1;
const NOT_CONTROLLER: u8 = 2;
const UNREGISTERED: u8 = 3;
const APPLIED_UPTO: u8 = 4;
const REMOVED: u8 = 5;

impl Answer {
    pub(crate) fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(10);
        out.put_u8(VERSION);
        match self {
            Answer::Alive => out.put_u8(ALIVE),
            Answer::NotController(leader) => {
                out.put_u8(NOT_CONTROLLER);
                out.put_i32(leader.unwrap_or(BrokerId::NONE).0);
            }
            Answer::Unregistered => out.put_u8(UNREGISTERED),
            Answer::Removed => out.put_u8(REMOVED),
            Answer::Applied(version) => {
                out.put_u8(APPLIED_UPTO);
                out.put_u64(version);
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Answer, WireError> {
        match kind(&mut bytes)? {
            ALIVE => Ok(Answer::Alive),
            NOT_CONTROLLER => {
                let leader = BrokerId(bytes.try_get_i32()?);
                Ok(Answer::NotController((leader != BrokerId::NONE).then_some(leader)))
            }
            UNREGISTERED => Ok(Answer::Unregistered),
            REMOVED => Ok(Answer::Removed),
            APPLIED_UPTO => Ok(Answer::Applied(bytes.try_get_u64()?)),
            other => Err(WireError::Kind(other)),
        }
    }
}

fn kind(bytes: &mut Bytes) -> Result<u8, WireError> {
    match bytes.try_get_u8()? {
        VERSION => Ok(bytes.try_get_u8()?),
        other => Err(WireError::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            any::<(u64, u64)>()
                .prop_map(|(incarnation, applied)| Request::Heartbeat { incarnation, applied }),
            any::<(u64, u32)>().prop_map(|(version, millis)| Request::Applied {
                version,
                within: Duration::from_millis(millis.into())
            }),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Alive),
            Just(Answer::NotController(None)),
            (0..i32::MAX).prop_map(|id| Answer::NotController(Some(BrokerId(id)))),
            Just(Answer::Unregistered),
            Just(Answer::Removed),
            any::<u64>().prop_map(Answer::Applied),
        ]
    }

    proptest! {
        #[test]
        fn requests_survive_the_wire(request in request()) {
            prop_assert_eq!(Request::decode(request.encode()), Ok(request));
        }

        #[test]
        fn answers_survive_the_wire(answer in answer()) {
            prop_assert_eq!(Answer::decode(answer.encode()), Ok(answer));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Request::decode(noise.clone().into());
            let _ = Answer::decode(noise.into());
        }
    }
}
