//! All sessions of a broker.

use std::collections::BTreeMap;

use eddy_types::Millis;

use super::request::{ContextKind, FetchContext, ReadResult, SessionError, SessionRequest};
use super::session::{Session, next_epoch};
use crate::invariant::check;

/// `session_epoch` that opens a session.
const INITIAL_EPOCH: i32 = 0;
/// `session_epoch` that closes one.
const FINAL_EPOCH: i32 = -1;

/// How many sessions the broker keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions (`max.incremental.fetch.session.cache.slots`).
    pub slots: usize,
    /// Partitions over all sessions, some 200 bytes each.
    pub partitions: usize,
    /// Time without use after which a session may be evicted for any other.
    pub evict_after: Millis,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits { slots: 1_000, partitions: 250_000, evict_after: Millis(120_000) }
    }
}

/// What the answer to a fetch shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAnswer {
    /// `session_id` of the answer; 0 when there is no session.
    pub session_id: i32,
    /// For each partition of the plan, in its order, whether the answer lists it.
    pub shown: Vec<bool>,
}

/// The fetch sessions of one broker.
#[derive(Clone, Debug)]
pub struct SessionCache {
    limits: SessionLimits,
    sessions: BTreeMap<i32, Session>,
    /// Partitions over all sessions.
    partitions: usize,
}

impl SessionCache {
    /// No sessions.
    #[must_use]
    pub fn new(limits: SessionLimits) -> SessionCache {
        SessionCache { limits, sessions: BTreeMap::new(), partitions: 0 }
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Partitions over all sessions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// Begins a fetch: closes, finds or moves on its session, and says what to read.
    ///
    /// # Errors
    ///
    /// The request is incremental and its session is not there, at another epoch, or of the other kind of topic names.
    /// The session is as before.
    pub fn begin(&mut self, now: Millis, request: SessionRequest) -> Result<FetchContext, SessionError> {
        if request.session_epoch == INITIAL_EPOCH || request.session_epoch == FINAL_EPOCH {
            self.remove(request.session_id);
            let kind = if request.session_epoch == FINAL_EPOCH {
                ContextKind::Sessionless
            } else {
                ContextKind::Full {
                    uses_topic_ids: request.uses_topic_ids,
                    from_follower: request.from_follower,
                }
            };
            return Ok(FetchContext { plan: request.partitions, kind });
        }
        self.begin_incremental(now, request)
    }

    fn begin_incremental(
        &mut self,
        now: Millis,
        request: SessionRequest,
    ) -> Result<FetchContext, SessionError> {
        let session_id = request.session_id;
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return Err(SessionError::NotFound { session_id });
        };
        if session.epoch != request.session_epoch {
            let (expected, sent) = (session.epoch, request.session_epoch);
            return Err(SessionError::InvalidEpoch { session_id, expected, sent });
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::MixedTopicIds { session_id });
        }
        let before = session.len();
        for key in &request.forgotten {
            session.forget(key);
        }
        let grown = self.partitions - before + session.len() + session.unknown(&request.partitions);
        if grown > self.limits.partitions {
            // The client opens a new one, which is refused if it is too large: it goes on without a session.
            self.partitions -= before;
            self.sessions.remove(&session_id);
            return Err(SessionError::NotFound { session_id });
        }
        for asked in &request.partitions {
            session.put(asked.clone());
        }
        self.partitions = self.partitions - before + session.len();
        if session.len() == 0 {
            self.sessions.remove(&session_id);
            return Ok(FetchContext { plan: request.partitions, kind: ContextKind::Sessionless });
        }
        session.last_used = now;
        session.epoch = next_epoch(session.epoch);
        let kind = ContextKind::Incremental { session_id, answer_epoch: session.epoch };
        Ok(FetchContext { plan: session.plan(), kind })
    }

    /// Ends a fetch: `reads` has a result for each partition of the plan, in its order. A full fetch makes a session if
    /// there is room for it; `fresh_id` is a random number, from which the next free id is taken.
    ///
    /// # Errors
    ///
    /// Another request on the session has overtaken this one. The answer has this code, the id of the session and no
    /// partitions.
    pub fn finish(
        &mut self,
        now: Millis,
        context: &FetchContext,
        reads: &[ReadResult],
        fresh_id: u32,
    ) -> Result<SessionAnswer, SessionError> {
        let everything = || vec![true; context.plan.len()];
        match context.kind {
            ContextKind::Sessionless => Ok(SessionAnswer { session_id: 0, shown: everything() }),
            ContextKind::Full { uses_topic_ids, from_follower } => {
                let session = Session::new(now, uses_topic_ids, from_follower);
                let session_id = self.open(now, session, context, reads, fresh_id);
                Ok(SessionAnswer { session_id, shown: everything() })
            }
            ContextKind::Incremental { session_id, answer_epoch } => {
                let Some(session) = self.expect_session(session_id, answer_epoch)? else {
                    // Closed or evicted meanwhile: told of everything and of no session, the client begins anew.
                    return Ok(SessionAnswer { session_id: 0, shown: everything() });
                };
                let pairs = context.plan.iter().zip(reads);
                let shown = pairs.map(|(asked, read)| session.tell(&asked.key, read)).collect();
                Ok(SessionAnswer { session_id, shown })
            }
        }
    }

    /// Ends a fetch with an empty answer because the client is throttled: the session's epoch has moved on, nothing in it
    /// counts as told. Gives the `session_id` of the answer.
    ///
    /// # Errors
    ///
    /// As [`SessionCache::finish`].
    pub fn finish_throttled(&mut self, context: &FetchContext) -> Result<i32, SessionError> {
        match context.kind {
            ContextKind::Sessionless | ContextKind::Full { .. } => Ok(0),
            ContextKind::Incremental { session_id, answer_epoch } => {
                let session = self.expect_session(session_id, answer_epoch)?;
                Ok(session.map_or(0, |_| session_id))
            }
        }
    }

    fn expect_session(
        &mut self,
        session_id: i32,
        answer_epoch: i32,
    ) -> Result<Option<&mut Session>, SessionError> {
        match self.sessions.get_mut(&session_id) {
            Some(session) if session.epoch != answer_epoch => {
                Err(SessionError::InvalidEpoch { session_id, expected: session.epoch, sent: answer_epoch })
            }
            session => Ok(session),
        }
    }

    /// Makes a session of what was asked and answered; gives 0 if there is no room, which is always legal.
    fn open(
        &mut self,
        now: Millis,
        mut session: Session,
        context: &FetchContext,
        reads: &[ReadResult],
        fresh_id: u32,
    ) -> i32 {
        if context.plan.is_empty() || !self.make_room(now, session.from_follower, context.plan.len()) {
            return 0;
        }
        for asked in &context.plan {
            session.put(asked.clone());
        }
        // Only what the client is told, not the rotation: the order begins as the client's.
        for (asked, read) in context.plan.iter().zip(reads) {
            session.tell(&asked.key, &ReadResult { has_records: false, ..*read });
        }
        let session_id = self.free_id(fresh_id);
        self.partitions += session.len();
        self.sessions.insert(session_id, session);
        session_id
    }

    /// The first free id from `fresh_id` on, from 1 to `i32::MAX`. There are far fewer sessions than ids.
    fn free_id(&self, fresh_id: u32) -> i32 {
        let mut id = i32::try_from(fresh_id & 0x7fff_ffff).unwrap_or(1).max(1);
        while self.sessions.contains_key(&id) {
            id = next_epoch(id);
        }
        id
    }

    /// Evicts until a session of `partitions` fits. As in Kafka a newcomer may evict a session that was not used for
    /// `evict_after`; else the smallest among consumers' sessions if it is a follower's; else one that is smaller than
    /// itself, and older than `evict_after`.
    fn make_room(&mut self, now: Millis, from_follower: bool, partitions: usize) -> bool {
        while self.sessions.len() >= self.limits.slots
            || self.partitions + partitions > self.limits.partitions
        {
            if partitions > self.limits.partitions {
                return false;
            }
            let Some(victim) = self.victim(now, from_follower, partitions) else { return false };
            self.remove(victim);
        }
        true
    }

    fn victim(&self, now: Millis, from_follower: bool, partitions: usize) -> Option<i32> {
        let idle_longest = self.sessions.iter().min_by_key(|(id, session)| (session.last_used, **id));
        if let Some((id, session)) = idle_longest
            && now - session.last_used > self.limits.evict_after
        {
            return Some(*id);
        }
        let value = |id: i32, session: &Session| (session.from_follower, session.len(), id);
        let least = self
            .sessions
            .iter()
            .filter(|(_, session)| {
                let established = now - session.created > self.limits.evict_after;
                established || (from_follower && !session.from_follower)
            })
            .map(|(id, session)| value(*id, session))
            .min()?;
        ((from_follower, partitions, 0) >= least).then_some(least.2)
    }

    fn remove(&mut self, session_id: i32) {
        if let Some(session) = self.sessions.remove(&session_id) {
            self.partitions -= session.len();
        }
    }

    /// Asserts FS-1 and FS-2.
    ///
    /// # Panics
    ///
    /// When one of them does not hold.
    pub fn check(&self) {
        let counted: usize = self.sessions.values().map(Session::len).sum();
        check!(
            FS_2,
            self.sessions.len() <= self.limits.slots
                && self.partitions <= self.limits.partitions
                && self.partitions == counted,
            "{} sessions, {} partitions, {counted} counted",
            self.sessions.len(),
            self.partitions
        );
        for (id, session) in &self.sessions {
            session.check(*id);
        }
    }
}
