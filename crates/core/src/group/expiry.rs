//! What goes by itself: offsets that nobody uses, groups without members and offsets, offsets of topics that are
//! gone.

use std::collections::VecDeque;
use std::ops::Bound;

use eddy_types::{Millis, TopicId};

use super::classic::{ClassicGroup, Phase};
use super::effects::{Effects, Note};
use super::offsets::{has_expired, is_of_topic};
use super::record::{CommittedOffset, GroupRecord, Str};
use super::shard::{Group, GroupShard, RECORDS_PER_TICK};

/// From when on an unused offset of a group counts as old.
enum Since {
    /// Offsets of the group do not expire now.
    Never,
    /// Each from its commit.
    Commit,
    /// All from this time.
    Time(Millis),
}

/// What is to be cleared away, some of it at each tick.
#[derive(Debug, Default)]
pub(super) struct Cleanup {
    /// When the groups are looked through next; `None` until the shard is loaded.
    next_look: Option<Millis>,
    /// The group with which the look that is under way goes on.
    resume_at: Option<Str>,
    /// Topics that are gone, whose offsets are not all gone yet.
    deleted_topics: VecDeque<(Str, TopicId)>,
}

/// Groups that one tick looks through: other events wait meanwhile.
const GROUPS_PER_TICK: usize = 1_000;

impl Cleanup {
    /// Looking begins.
    pub(super) fn loaded(&mut self, first_look: Millis) {
        self.next_look = Some(first_look);
    }

    /// When there is something to do; long ago when it is under way.
    pub(super) fn next(&self) -> Option<Millis> {
        let under_way = self.resume_at.is_some() || !self.deleted_topics.is_empty();
        if under_way { Some(Millis(0)) } else { self.next_look }
    }
}

impl GroupShard {
    /// A topic is gone: what groups committed for it goes too, at the next ticks. Offsets that are known to be of another
    /// topic of that name stay.
    pub fn topic_deleted(&mut self, topic: &Str, id: TopicId, out: &mut Effects) {
        self.cleanup.deleted_topics.push_back((topic.clone(), id));
        self.clear_deleted_topics(out);
    }

    /// Goes on with what is to be cleared away.
    pub(super) fn clean_up(&mut self, now: Millis, out: &mut Effects) {
        self.clear_deleted_topics(out);
        let is_due = self.cleanup.next_look.is_some_and(|at| at <= now);
        if is_due || self.cleanup.resume_at.is_some() {
            self.expire_offsets(now, out);
        }
    }

    fn clear_deleted_topics(&mut self, out: &mut Effects) {
        while let Some((topic, id)) = self.cleanup.deleted_topics.front().cloned() {
            for group in self.offsets.groups_with(&topic) {
                let room = RECORDS_PER_TICK.saturating_sub(out.records.len());
                let goes = |of: &Str, offset: &CommittedOffset| *of == topic && is_of_topic(offset, id);
                self.offsets.remove_where(&group, room, goes, &mut out.records);
            }
            if out.records.len() >= RECORDS_PER_TICK {
                return;
            }
            self.cleanup.deleted_topics.pop_front();
        }
    }

    /// Looks through the groups for what has expired.
    fn expire_offsets(&mut self, now: Millis, out: &mut Effects) {
        self.cleanup.next_look = Some(now + self.config.offsets_retention_check_interval);
        let mut from = self.cleanup.resume_at.take().map_or(Bound::Unbounded, Bound::Included);
        for _ in 0..GROUPS_PER_TICK {
            let Some(id) = self.next_group(from) else { return };
            self.expire_group(now, &id, out);
            if out.records.len() >= RECORDS_PER_TICK {
                self.cleanup.resume_at = Some(id);
                return;
            }
            from = Bound::Excluded(id);
        }
        self.cleanup.resume_at = self.next_group(from);
    }

    fn next_group(&self, from: Bound<Str>) -> Option<Str> {
        self.groups.range((from, Bound::Unbounded)).next().map(|(id, _)| id.clone())
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
        let room = RECORDS_PER_TICK.saturating_sub(out.records.len());
        let count = self.offsets.remove_where(id, room, expires, &mut out.records);
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
