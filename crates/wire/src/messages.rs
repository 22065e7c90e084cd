//! The messages, one module per API: `messages::fetch` holds `FetchRequest`, `FetchResponse` and their parts.
//!
//! Written by the build script from `schemas/message`. Where a request and its response have a struct of the same name, it
//! is prefixed: `describe_topic_partitions::{RequestCursor, ResponseCursor}`. A field's doc line says in which versions it is on the
//! wire; in others it is its default after decoding.

#![allow(unused_variables, reason = "not every struct differs between versions")]
#![allow(clippy::all, reason = "generated code is judged by its generator")]

/// What the generated modules use.
mod generated {
    pub(super) use bytes::Bytes;
    pub(super) use eddy_types::TopicId;

    pub(super) use crate::writer::TaggedFields;
    pub(super) use crate::{Decode, DecodeError, Encode, EncodeError, Reader, Records, Str, Uuid, Writer};
}

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
