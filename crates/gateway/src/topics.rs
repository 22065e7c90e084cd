//! Making topics on behalf of clients.

use std::sync::Arc;
use std::time::Duration;

use eddy_metadata::controller::{self, CreateTopicError, NewTopic};
use eddy_metadata::{Image, Record, Topic};
use eddy_quorum::ChangeError;
use eddy_types::{ErrorCode, TopicId};

use crate::call::Call;

/// Topics that the broker keeps for itself. None exists yet; their names are taken all the same.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// How long a request for metadata waits for all brokers to know the topic that it made.
const AUTO_CREATE_WAIT: Duration = Duration::from_secs(2);

/// Whether a name belongs to an internal topic.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// An id no other topic has.
///
/// # Errors
/// The operating system gives no random numbers.
pub(crate) fn new_topic_id() -> Result<TopicId, ErrorCode> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        tracing::error!(%error, "no random numbers for a topic id");
        ErrorCode::UnknownServerError
    })?;
    Ok(TopicId(id))
}

/// The topic a client asked for that does not exist, made with the defaults when client and broker allow it. It is usable when this
/// returns, so the client needs no second try.
pub(crate) async fn auto_create(
    call: &Call,
    name: &str,
    client_allows: bool,
) -> Result<Arc<Topic>, ErrorCode> {
    controller::check_topic_name(name).map_err(|error| error.code())?;
    if !client_allows || !call.image().broker_config().auto_create_topics_enable || is_internal(name) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let new = NewTopic::with_defaults(new_topic_id()?, name);
    let created = call.ctx.engine.quorum().change(|image| decide(image, &new)).await;
    match created {
        Ok(topic) => {
            call.until_known(AUTO_CREATE_WAIT).await;
            Ok(topic)
        }
        // Another client was faster.
        Err(ChangeError::Refused(CreateTopicError::Exists(_))) => {
            call.image().topic(name).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
        }
        // A name that nobody may have is as good as one that nobody has.
        Err(ChangeError::Refused(CreateTopicError::ReservedName(_))) => {
            Err(ErrorCode::UnknownTopicOrPartition)
        }
        Err(ChangeError::Refused(error)) => Err(error.code()),
        Err(ChangeError::Propose(error)) => {
            tracing::warn!(topic = name, %error, "cannot create a topic automatically");
            Err(ErrorCode::LeaderNotAvailable)
        }
    }
}

fn decide(image: &Image, new: &NewTopic) -> Result<(Vec<Record>, Arc<Topic>), CreateTopicError> {
    let (records, created) = controller::create_topic(image, new)?;
    Ok((records, created.topic))
}
