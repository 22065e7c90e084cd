//! What goes by itself: offsets that nobody uses, groups without members and offsets, offsets of topics that are
//! gone.

use eddy_types::{Millis, TopicId};

use super::classic::{ClassicGroup, Phase};
use super::effects::{Effects, Note};
use super::offsets::has_expired;
use super::record::{CommittedOffset, GroupRecord, Str};
use super::shard::{Group, GroupShard};

/// From when on an unused offset of a group counts as old.
enum Since {
    /// Offsets of the group do not expire now.
    Never,
    /// Each from its commit.
    Commit,
    /// All from this time.
    Time(Millis),
}

impl GroupShard {
    /// A topic is gone: what groups committed for it goes too. Offsets that are known to be of another topic of that name
    /// stay.
    pub fn topic_deleted(&mut self, topic: &Str, id: TopicId, out: &mut Effects) {
        self.offsets.remove_topic(topic, id, &mut out.records);
    }

    /// Looks through all groups for what has expired.
    pub(super) fn expire_offsets(&mut self, now: Millis, out: &mut Effects) {
        let ids: Vec<Str> = self.groups.keys().cloned().collect();
        for id in ids {
            self.expire_group(now, &id, out);
        }
    }

    fn expire_group(&mut self, now: Millis, id: &Str, out: &mut Effects) {
        let Some(group) = self.groups.get(id) else { return };
        let retention = self.config.offsets_retention;
        let since = match group {
            Group::Classic(group) => unused_since(group),
            // Offsets of a consumer group expire from their commit, unless a member reads the topic.
            Group::Consumer(_) => Since::Commit,
        };
        let expires = |topic: &Str, offset: &CommittedOffset| {
            let since = match since {
                Since::Never => return false,
                Since::Commit => offset.commit_timestamp,
                Since::Time(since) => since,
            };
            !group.is_subscribed(topic) && has_expired(offset, since, retention, now)
        };
        let count = self.offsets.remove_where(id, expires, &mut out.records);
        let disused = group.is_empty() && self.offsets.of_group(id).is_none();
        if count > 0 {
            out.notes.push(Note::OffsetsExpired { group: id.clone(), count });
        }
        if disused {
            self.remove_group(id, out);
        }
    }

    /// Takes a group out, with tombstones. Its offsets are the caller's.
    pub(super) fn remove_group(&mut self, id: &Str, out: &mut Effects) {
        match self.groups.remove(id) {
            Some(Group::Classic(_)) => {
                out.records.push(GroupRecord::ClassicGroup { group: id.clone(), value: None });
            }
            Some(Group::Consumer(group)) => out.records.extend(group.tombstones()),
            None => return,
        }
        self.timers.cancel_group(id);
        out.notes.push(Note::GroupDeleted { group: id.clone() });
    }
}

fn unused_since(group: &ClassicGroup) -> Since {
    match (group.phase, group.phase_since) {
        // A simple group: nobody but its commits shows that it is used.
        _ if group.protocol_type.is_none() => Since::Commit,
        (Phase::Empty, Some(since)) => Since::Time(since),
        (Phase::Empty, None) => Since::Commit,
        (Phase::Stable, _) if group.is_of_consumers() => Since::Commit,
        _ => Since::Never,
    }
}
