//! Who looks at groups from outside: DescribeGroups, ListGroups, DeleteGroups.

use eddy_types::ErrorCode;

use super::effects::{Effects, Reply, ReplyToken};
use super::record::Str;
use super::reply::ListedGroup;
use super::request::ListGroups;
use super::shard::{Group, GroupShard};
use super::state::GroupType;

impl GroupShard {
    /// Shows a classic group. The answer is [`Reply::Describe`]: GROUP_ID_NOT_FOUND for a group that does not exist or
    /// is of the other type, which is a group in state Dead and no error below v6.
    pub fn describe_group(&self, token: ReplyToken, group: &str, out: &mut Effects) {
        let described = match self.groups.get(group) {
            Some(Group::Classic(group)) => Ok(group.describe()),
            Some(Group::Consumer(_)) | None => Err(ErrorCode::GroupIdNotFound),
        };
        out.reply(token, Reply::Describe(described));
    }

    /// Lists groups by id. The answer is [`Reply::List`].
    pub fn list_groups(&self, token: ReplyToken, request: &ListGroups, out: &mut Effects) {
        let listed = self.groups.iter().map(|(id, group)| match group {
            Group::Classic(group) => group.list(),
            Group::Consumer(group) => ListedGroup {
                group: id.clone(),
                protocol_type: super::classic::CONSUMER_PROTOCOL_TYPE.into(),
                state: group.state(),
                group_type: GroupType::Consumer,
            },
        });
        let listed = listed.filter(|group| {
            (request.states.is_empty() || request.states.contains(&group.state))
                && (request.types.is_empty() || request.types.contains(&group.group_type))
        });
        out.reply(token, Reply::List(listed.collect()));
    }

    /// Deletes a group without members and its offsets. The answer is [`Reply::Delete`].
    pub fn delete_group(&mut self, token: ReplyToken, group: &Str, out: &mut Effects) {
        let outcome = match self.groups.get(group) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(known) if !known.is_empty() => Err(ErrorCode::NonEmptyGroup),
            Some(_) => {
                self.offsets.remove_where(group, usize::MAX, |_, _| true, &mut out.records);
                self.remove_group(group, out);
                Ok(())
            }
        };
        out.reply(token, Reply::Delete(outcome));
    }
}
