//! Topics as clients name them: by name, or by id in newer versions.

use std::sync::Arc;

use eddy_metadata::{Image, Topic};
use eddy_types::{ErrorCode, TopicId};

/// The topic a request means: by id when it carries ids, else by name.
///
/// # Errors
/// UNKNOWN_TOPIC_ID or UNKNOWN_TOPIC_OR_PARTITION.
pub(crate) fn topic(image: &Image, by_id: bool, id: TopicId, name: &str) -> Result<Arc<Topic>, ErrorCode> {
    let (found, missing) = if by_id {
        (image.topic_by_id(id), ErrorCode::UnknownTopicId)
    } else {
        (image.topic(name), ErrorCode::UnknownTopicOrPartition)
    };
    found.cloned().ok_or(missing)
}
