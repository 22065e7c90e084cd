//! What a shard's owner asks of its consumer groups.

use eddy_types::{ErrorCode, Millis};

use super::request::{ConsumerGroupError, ConsumerHeartbeat};
use crate::group::effects::{Effects, Reply, ReplyToken};
use crate::group::shard::GroupShard;

impl GroupShard {
    /// A member of a consumer group joins, lives or leaves. The answer is [`Reply::ConsumerHeartbeat`].
    pub fn consumer_heartbeat(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: ConsumerHeartbeat,
        out: &mut Effects,
    ) {
        let _ = now;
        let error = ConsumerGroupError::GroupNotFound { group: request.group, reason: "there is no such group" };
        out.reply(token, Reply::ConsumerHeartbeat(Err(error)));
    }

    /// Shows a consumer group. The answer is [`Reply::DescribeConsumer`]: GROUP_ID_NOT_FOUND for a group that does not
    /// exist or is of the other type.
    pub fn describe_consumer_group(&mut self, token: ReplyToken, group: &str, out: &mut Effects) {
        let _ = group;
        out.reply(token, Reply::DescribeConsumer(Err(ErrorCode::GroupIdNotFound)));
    }
}
