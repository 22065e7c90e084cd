//! From the leader to the follower.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_core::Diverging;
use eddy_types::{LeaderEpoch, Offset};

use super::{FrameError, Message, VERSION};

const DATA: u8 = 1;
const STATE: u8 = 2;
const DIVERGING: u8 = 3;
const OUT_OF_RANGE: u8 = 4;
const REFUSED: u8 = 5;
const PING: u8 = 6;
const CHARGED_DATA: u8 = 7;

/// Where the leader is, told with data and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Its high watermark.
    pub(crate) high_watermark: Offset,
    /// First offset of its log.
    pub(crate) log_start: Offset,
    /// End of its log: what the follower lacks shows in metrics.
    pub(crate) log_end: Offset,
}

/// Why the leader does not serve a follower. The follower waits for news of the metadata, or a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Refusal {
    /// It does not lead the partition.
    NotLeader = 1,
    /// It leads in a later epoch.
    FencedEpoch = 2,
    /// It has not heard of that epoch.
    UnknownEpoch = 3,
    /// The follower has registered again since.
    StaleBroker = 4,
    /// The follower is no replica of the partition.
    UnknownReplica = 5,
    /// The partition does not exist there, or cannot be read.
    Offline = 6,
    /// The stream follows as many partitions as it may.
    TooMany = 7,
}

impl Refusal {
    fn from_code(code: u8) -> Result<Refusal, FrameError> {
        Ok(match code {
            1 => Refusal::NotLeader,
            2 => Refusal::FencedEpoch,
            3 => Refusal::UnknownEpoch,
            4 => Refusal::StaleBroker,
            5 => Refusal::UnknownReplica,
            6 => Refusal::Offline,
            7 => Refusal::TooMany,
            _ => return Err(FrameError::Value),
        })
    }
}

/// A message of a leader. `slot` and `generation` are those of the follower's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromLeader {
    /// Whole batches behind what was sent before.
    Data {
        /// The partition on this stream.
        slot: u32,
        /// The request that is answered.
        generation: u32,
        /// Where the leader is.
        position: Position,
        /// Whether they count against what the follower has allowed.
        charged: bool,
        /// Whole batches.
        batches: Bytes,
    },
    /// Where the leader is.
    State {
        /// The partition on this stream.
        slot: u32,
        /// The request that is answered.
        generation: u32,
        /// Where the leader is.
        position: Position,
    },
    /// The follower's log leaves the leader's; nothing more comes for this request.
    Diverging {
        /// The partition on this stream.
        slot: u32,
        /// The request that is answered.
        generation: u32,
        /// Where.
        diverging: Diverging,
    },
    /// The leader's log does not reach the follower's; nothing more comes for this request.
    OutOfRange {
        /// The partition on this stream.
        slot: u32,
        /// The request that is answered.
        generation: u32,
        /// First offset of the leader's log.
        log_start: Offset,
        /// End of the leader's log.
        log_end: Offset,
    },
    /// The leader does not serve the follower; nothing more comes for this request.
    Refused {
        /// The partition on this stream.
        slot: u32,
        /// The request that is answered.
        generation: u32,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing but that the leader is there.
    Ping,
}

impl Message for FromLeader {
    fn take(frame: &mut Bytes) -> Result<FromLeader, FrameError> {
        let kind = frame.try_get_u8()?;
        if kind == PING {
            return Ok(FromLeader::Ping);
        }
        let (slot, generation) = (frame.try_get_u32()?, frame.try_get_u32()?);
        Ok(match kind {
            DATA | CHARGED_DATA => {
                let position = take_position(frame)?;
                let length = usize::try_from(frame.try_get_u32()?).map_err(|_| FrameError::Value)?;
                if length > frame.len() {
                    return Err(FrameError::Short);
                }
                let charged = kind == CHARGED_DATA;
                FromLeader::Data { slot, generation, position, charged, batches: frame.split_to(length) }
            }
            STATE => FromLeader::State { slot, generation, position: take_position(frame)? },
            DIVERGING => {
                let epoch = LeaderEpoch(frame.try_get_i32()?);
                let end_offset = Offset(frame.try_get_i64()?);
                FromLeader::Diverging { slot, generation, diverging: Diverging { epoch, end_offset } }
            }
            OUT_OF_RANGE => {
                let (log_start, log_end) = (Offset(frame.try_get_i64()?), Offset(frame.try_get_i64()?));
                FromLeader::OutOfRange { slot, generation, log_start, log_end }
            }
            REFUSED => {
                FromLeader::Refused { slot, generation, refusal: Refusal::from_code(frame.try_get_u8()?)? }
            }
            other => return Err(FrameError::Kind(other)),
        })
    }
}

fn take_position(frame: &mut Bytes) -> Result<Position, FrameError> {
    Ok(Position {
        high_watermark: Offset(frame.try_get_i64()?),
        log_start: Offset(frame.try_get_i64()?),
        log_end: Offset(frame.try_get_i64()?),
    })
}

/// A frame that is being made: heads of our own and the log's bytes between them, shared, not copied.
#[derive(Debug, Default)]
pub(crate) struct DownFrame {
    head: BytesMut,
    parts: Vec<Bytes>,
    bytes: usize,
}

impl DownFrame {
    /// Adds data; `None` when it is more than a message can hold.
    pub(crate) fn data(
        &mut self,
        slot: u32,
        generation: u32,
        position: Position,
        charged: bool,
        batches: Vec<Bytes>,
    ) -> Option<()> {
        let length: usize = batches.iter().map(Bytes::len).sum();
        let length_on_wire = u32::try_from(length).ok()?;
        self.begin(if charged { CHARGED_DATA } else { DATA }, slot, generation);
        self.position(position);
        self.head.put_u32(length_on_wire);
        self.end_head();
        self.bytes += length;
        self.parts.extend(batches);
        Some(())
    }

    /// Adds a message without data.
    pub(crate) fn put(&mut self, message: &FromLeader) {
        match message {
            FromLeader::Data { slot, generation, position, charged, batches } => {
                // A frame's worth of bytes is below the limit of a message.
                let _ = self.data(*slot, *generation, *position, *charged, vec![batches.clone()]);
            }
            FromLeader::State { slot, generation, position } => {
                self.begin(STATE, *slot, *generation);
                self.position(*position);
            }
            FromLeader::Diverging { slot, generation, diverging } => {
                self.begin(DIVERGING, *slot, *generation);
                self.head.put_i32(diverging.epoch.0);
                self.head.put_i64(diverging.end_offset.0);
            }
            FromLeader::OutOfRange { slot, generation, log_start, log_end } => {
                self.begin(OUT_OF_RANGE, *slot, *generation);
                self.head.put_i64(log_start.0);
                self.head.put_i64(log_end.0);
            }
            FromLeader::Refused { slot, generation, refusal } => {
                self.begin(REFUSED, *slot, *generation);
                self.head.put_u8(*refusal as u8);
            }
            FromLeader::Ping => {
                self.version();
                self.head.put_u8(PING);
            }
        }
    }

    fn version(&mut self) {
        if self.parts.is_empty() && self.head.is_empty() {
            self.head.put_u8(VERSION);
        }
    }

    fn begin(&mut self, kind: u8, slot: u32, generation: u32) {
        self.version();
        self.head.put_u8(kind);
        self.head.put_u32(slot);
        self.head.put_u32(generation);
    }

    fn position(&mut self, position: Position) {
        self.head.put_i64(position.high_watermark.0);
        self.head.put_i64(position.log_start.0);
        self.head.put_i64(position.log_end.0);
    }

    fn end_head(&mut self) {
        if !self.head.is_empty() {
            self.bytes += self.head.len();
            self.parts.push(self.head.split().freeze());
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes + self.head.len()
    }

    /// The parts of the frame, in order; the next one is empty.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.end_head();
        self.bytes = 0;
        std::mem::take(&mut self.parts)
    }
}
