//! What the group APIs share: text and bytes between wire and machines, and answers that come later.

use std::sync::Arc;

use bytes::Bytes;
use eddy_coordinator::{Asked, Unavailable};
use eddy_types::{ErrorCode, TopicId};
use eddy_wire::Str;

use crate::call::Call;

/// A text of the machines, which outlives the request's frame.
pub(crate) type Text = Arc<str>;

/// Copies a text out of its frame.
pub(crate) fn text(from: &Str) -> Text {
    Text::from(from.as_str())
}

/// As [`text`]; `None` for null.
pub(crate) fn optional(from: Option<&Str>) -> Option<Text> {
    from.map(text)
}

/// A text on its way out.
pub(crate) fn wire(from: &Text) -> Str {
    Str::from(&**from)
}

/// Copies bytes out of their frame.
pub(crate) fn blob(from: &Bytes) -> Arc<[u8]> {
    Arc::from(&**from)
}

/// Bytes on their way out.
pub(crate) fn wire_bytes(from: &Arc<[u8]>) -> Bytes {
    Bytes::from_owner(Arc::clone(from))
}

/// Waits for what a group's machine answers, or says why it could not be asked.
pub(crate) async fn answer<R>(asked: Result<Asked<R>, Unavailable>) -> Result<R, ErrorCode> {
    match asked {
        Ok(asked) => asked.answer().await.map_err(Unavailable::code),
        Err(unavailable) => Err(unavailable.code()),
    }
}

/// What a topic's name stands for at the moment; zero when it stands for nothing.
pub(crate) fn topic_id(call: &Call, name: &str) -> TopicId {
    call.image().topic(name).map_or(TopicId::ZERO, |topic| topic.id)
}

/// Authorized operations of a group that were not asked for.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// Bits of the operations a group knows, all allowed without an authorizer: read, delete, describe, describe configs, alter configs
///
pub(crate) const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

/// The operations as an answer has them.
pub(crate) fn operations(asked_for: bool) -> i32 {
    if asked_for { GROUP_OPERATIONS } else { NOT_ASKED }
}
