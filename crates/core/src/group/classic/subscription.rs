//! The topics in a consumer's subscription, the one thing that a classic group reads of its members' bytes.

use std::collections::BTreeSet;

use super::members::Members;
use crate::group::record::Str;

/// What members with the protocol type "consumer" say is a `ConsumerProtocolSubscription`.
pub(in crate::group) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The topics that any member subscribes to; `None` when some member's bytes are not a subscription.
pub(super) fn subscribed_topics(members: &Members, protocol: &str) -> Option<BTreeSet<Str>> {
    let mut topics = BTreeSet::new();
    for member in members.iter() {
        topics.extend(topics_of(&member.metadata(protocol))?);
    }
    Some(topics)
}

/// Every version begins as version 0 does: version (int16), topics (int32 count of int16-counted strings). What
/// follows is not looked at.
fn topics_of(subscription: &[u8]) -> Option<Vec<Str>> {
    let (version, rest) = subscription.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    // The count is the client's word: memory grows with the names themselves.
    let mut topics = Vec::new();
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, tail) = tail.split_at_checked(length)?;
        topics.push(std::str::from_utf8(name).ok()?.into());
        rest = tail;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_of_any_version_and_the_rest_is_left_alone() {
        let mut bytes = vec![0, 3, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c'];
        assert_eq!(topics_of(&bytes), Some(vec!["a".into(), "bc".into()]));
        bytes.extend([0xff; 9]);
        assert_eq!(topics_of(&bytes), Some(vec!["a".into(), "bc".into()]));
    }

    #[test]
    fn bytes_that_are_no_subscription_have_no_topics() {
        let endless = [0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, b'a'];
        for bytes in [
            &[][..],
            &[0],
            &[0, 0, 0, 0],
            &[0xff, 0xff, 0, 0, 0, 0],
            &[0, 0, 0xff, 0xff, 0xff, 0xff],
            &endless,
        ] {
            assert_eq!(topics_of(bytes), None, "{bytes:?}");
        }
        assert_eq!(topics_of(&[0, 0, 0, 0, 0, 1, 0, 1, 0xff]), None);
        assert_eq!(topics_of(&[0, 0, 0, 0, 0, 0]), Some(vec![]));
    }
}
