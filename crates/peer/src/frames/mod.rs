//! Frames on a socket: `u32` length, then that many bytes.

mod read;
mod write;

pub(crate) use read::FrameReader;
pub(crate) use write::FrameWriter;
