//! OffsetCommit, OffsetFetch, OffsetDelete.
//!
//! An empty group id, which no member may have, is a group like any other here: clients from before groups had members
//! commit under it, and Kafka lets them.

use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset, TopicId};

use super::classic::Phase;
use super::effects::{Effects, Note, Reply, ReplyToken};
use super::offsets::is_of_topic;
use super::record::{CommittedOffset, GroupRecord, Str};
use super::reply::{CommitReply, DeleteOffsetsReply, FetchReply, FetchedPartition, FetchedTopic};
use super::request::{CommitOffsets, DeleteOffsets, FetchOffsets, FetchTopic};
use super::shard::{Group, GroupShard};

impl GroupShard {
    /// Commits offsets. The answer is [`Reply::Commit`].
    pub fn commit_offsets(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: CommitOffsets,
        out: &mut Effects,
    ) {
        let reply = match self.validate_commit(&request) {
            Ok(()) => {
                self.keep_alive(now, &request, out);
                self.commit(now, request, out)
            }
            Err(error) => CommitReply::Failed(error),
        };
        out.reply(token, Reply::Commit(reply));
    }

    fn validate_commit(&self, request: &CommitOffsets) -> Result<(), ErrorCode> {
        match self.groups.get(&request.group) {
            Some(Group::Classic(group)) => {
                group.validate_commit(&request.member, request.instance.as_deref(), request.generation)
            }
            Some(Group::Consumer(group)) => {
                group.validate_commit(&request.member, request.generation, request.knows_epochs)
            }
            // A client without membership makes a simple group by its commit.
            None if request.generation < 0 => Ok(()),
            None if request.knows_epochs => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// A commit of a member of a classic group is a sign of life, except while its heartbeats are awaited anyway.
    fn keep_alive(&mut self, now: Millis, request: &CommitOffsets, out: &mut Effects) {
        let (groups, mut cx) = self.split(now, out);
        if let Some(Group::Classic(group)) = groups.get(&request.group)
            && matches!(group.phase, Phase::Stable | Phase::Preparing(_))
        {
            group.refresh_session(&mut cx, &request.member);
        }
    }

    fn commit(&mut self, now: Millis, request: CommitOffsets, out: &mut Effects) -> CommitReply {
        let group = request.group;
        let mut committed = 0;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut outcomes = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                if partition.metadata.len() > self.config.offset_metadata_bytes_max {
                    outcomes.push((partition.index, ErrorCode::OffsetMetadataTooLarge));
                    continue;
                }
                if let Some(Group::Consumer(known)) = self.groups.get(&group)
                    && let Err(error) = known.validate_commit_of(
                        &request.member,
                        request.generation,
                        topic.id,
                        partition.index,
                    )
                {
                    outcomes.push((partition.index, error));
                    continue;
                }
                let value = CommittedOffset {
                    offset: partition.offset,
                    leader_epoch: partition.leader_epoch,
                    metadata: partition.metadata,
                    commit_timestamp: now,
                    expire_timestamp: request.retention.map(|retention| now + retention),
                    topic_id: topic.id,
                };
                self.record(
                    out,
                    GroupRecord::Offset {
                        group: group.clone(),
                        topic: topic.name.clone(),
                        partition: partition.index,
                        value: Some(value),
                    },
                );
                committed += 1;
                outcomes.push((partition.index, ErrorCode::None));
            }
            topics.push((topic.name, outcomes));
        }
        if committed > 0 {
            out.notes.push(Note::OffsetsCommitted { count: committed });
        }
        CommitReply::Partitions(topics)
    }

    /// Applies a record and has it appended.
    fn record(&mut self, out: &mut Effects, record: GroupRecord) {
        self.replay(record.clone());
        out.records.push(record);
    }

    /// Tells committed offsets. The answer is [`Reply::Fetch`]. An offset that is not there is -1 and no error, and so is
    /// every offset of a group that is not there.
    pub fn fetch_offsets(&mut self, token: ReplyToken, request: FetchOffsets, out: &mut Effects) {
        let reply = match self.validate_fetch(&request) {
            Ok(()) => FetchReply::Topics(match request.topics {
                Some(topics) => {
                    topics.into_iter().map(|topic| self.fetch_topic(&request.group, topic)).collect()
                }
                None => self.fetch_all(&request.group),
            }),
            Err(error) => FetchReply::Failed(error),
        };
        out.reply(token, Reply::Fetch(reply));
    }

    fn validate_fetch(&self, request: &FetchOffsets) -> Result<(), ErrorCode> {
        match self.groups.get(&request.group) {
            Some(Group::Consumer(group)) => {
                group.validate_fetch(request.member.as_deref(), request.member_epoch)
            }
            Some(Group::Classic(_)) | None => Ok(()),
        }
    }

    fn fetch_topic(&self, group: &str, topic: FetchTopic) -> FetchedTopic {
        let fetch = |index: i32| {
            let committed = self.offsets.get(group, &topic.name, index);
            fetched(index, committed.filter(|offset| is_of_topic(offset, topic.id)))
        };
        let partitions = topic.partitions.iter().map(|index| fetch(*index)).collect();
        FetchedTopic { name: topic.name, id: topic.id, partitions }
    }

    fn fetch_all(&self, group: &str) -> Vec<FetchedTopic> {
        let topics = self.offsets.of_group(group).into_iter().flatten();
        let topics = topics.map(|(name, partitions)| FetchedTopic {
            name: name.clone(),
            id: partitions.values().map(|offset| offset.topic_id).next().unwrap_or(TopicId::ZERO),
            partitions: partitions.iter().map(|(index, offset)| fetched(*index, Some(offset))).collect(),
        });
        topics.collect()
    }

    /// Deletes committed offsets, except those of topics that members read. The answer is [`Reply::DeleteOffsets`].
    pub fn delete_offsets(&mut self, token: ReplyToken, request: DeleteOffsets, out: &mut Effects) {
        let reply = match self.validate_delete_offsets(&request.group) {
            Ok(()) => {
                let DeleteOffsets { group, topics } = request;
                let outcomes = topics.into_iter().map(|(topic, partitions)| {
                    let outcome = self.delete_topic_offsets(&group, &topic, &partitions, out);
                    (topic, partitions.into_iter().map(|index| (index, outcome)).collect())
                });
                DeleteOffsetsReply::Partitions(outcomes.collect())
            }
            Err(error) => DeleteOffsetsReply::Failed(error),
        };
        out.reply(token, Reply::DeleteOffsets(reply));
    }

    fn validate_delete_offsets(&self, group: &str) -> Result<(), ErrorCode> {
        match self.groups.get(group) {
            _ if group.is_empty() => Err(ErrorCode::InvalidGroupId),
            None => Err(ErrorCode::GroupIdNotFound),
            // What members of another kind read cannot be told.
            Some(Group::Classic(group)) if group.phase != Phase::Empty && !group.is_of_consumers() => {
                Err(ErrorCode::NonEmptyGroup)
            }
            Some(_) => Ok(()),
        }
    }

    fn delete_topic_offsets(
        &mut self,
        group: &Str,
        topic: &Str,
        partitions: &[i32],
        out: &mut Effects,
    ) -> ErrorCode {
        if self.groups.get(group).is_some_and(|group| group.is_subscribed(topic)) {
            return ErrorCode::GroupSubscribedToTopic;
        }
        for &partition in partitions {
            if self.offsets.get(group, topic, partition).is_some() {
                let (group, topic) = (group.clone(), topic.clone());
                self.record(out, GroupRecord::Offset { group, topic, partition, value: None });
            }
        }
        ErrorCode::None
    }
}

fn fetched(index: i32, committed: Option<&CommittedOffset>) -> FetchedPartition {
    match committed {
        Some(CommittedOffset { offset, leader_epoch, metadata, .. }) => {
            let (offset, leader_epoch, metadata) = (*offset, *leader_epoch, metadata.clone());
            FetchedPartition { index, offset, leader_epoch, metadata }
        }
        None => {
            let (offset, leader_epoch, metadata) = (Offset::NONE, LeaderEpoch::NONE, "".into());
            FetchedPartition { index, offset, leader_epoch, metadata }
        }
    }
}
