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

/// The groups that a request wants described, asked in its order: their answers come later.
pub(crate) struct Describing<R>(Vec<(Str, Asking<R>)>);

type Asking<R> = Result<Asked<Described<R>>, Unavailable>;

/// What a machine says of a group, or that it has none of that name and kind.
type Described<R> = Result<R, ErrorCode>;

impl<R> Describing<R> {
    /// Nothing asked yet, and room for `groups`.
    pub(crate) fn with_capacity(groups: usize) -> Describing<R> {
        Describing(Vec::with_capacity(groups))
    }

    /// Adds a group that was put before its machine.
    pub(crate) fn add(&mut self, name: &Str, asked: Asking<R>) {
        // A copy: the name would otherwise hold the frame.
        self.0.push((Str::from(name.as_str()), asked));
    }

    /// The groups with what is said of them.
    pub(crate) async fn answers(self) -> Vec<(Str, Described<R>)> {
        let mut described = Vec::with_capacity(self.0.len());
        for (name, asked) in self.0 {
            described.push((name, answer(asked).await.and_then(|described| described)));
        }
        described
    }
}

/// What a topic's name stands for at the moment; zero when it stands for nothing.
pub(crate) fn topic_id(call: &Call, name: &str) -> TopicId {
    call.image().topic(name).map_or(TopicId::ZERO, |topic| topic.id)
}

/// Address of a client as Java prints it, which is how Kafka shows it.
pub(crate) fn client_host(call: &Call) -> Text {
    format!("/{}", call.connection.peer.ip()).into()
}

/// The text of a random UUID (version 4).
///
/// # Errors
/// The operating system gives no random numbers.
pub(crate) fn random_uuid() -> Result<String, ErrorCode> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "no random numbers for a member id");
        ErrorCode::UnknownServerError
    })?;
    Ok(uuid(random))
}

fn uuid(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    parts.join("-")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_random_ones_in_form() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_ne!(random_uuid(), random_uuid());
    }
}
