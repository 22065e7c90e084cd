//! Asks the brokers that lead the partitions, and merges what they say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_types::{BrokerId, Millis};
use serde_json::Value;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tokio::task::JoinSet;

use super::api::Missing;
use super::error::{SearchError, SearchedThrough};
use super::left_out::KeptFields;
use super::local::{Failure, failure};
use super::message::{Ask, Asked, Document, Found, Hit, Shard, Told, What, decode, encode};
use super::node::Target;
use super::serve::aggregation_limits;
use super::{Inner, Wait, millis};
use crate::query::aggregations;
use crate::query::body::Request;
use crate::query::source::glob;

/// Partitions that one search may cover.
const SHARDS_MAX: usize = 10_000;
/// Between two attempts to reach whoever leads a partition.
const PAUSE: Duration = Duration::from_millis(100);
/// Another broker's answer is due so much earlier than ours.
const SPARE: Duration = Duration::from_millis(20);

/// A search, answered.
pub(crate) struct Outcome {
    pub(crate) request: Request,
    pub(crate) took: Duration,
    pub(crate) total: u64,
    pub(crate) hits: Vec<(Hit, Document)>,
    pub(crate) aggregations: Option<Value>,
    pub(crate) shards: usize,
    pub(crate) missing: Vec<Missing>,
    pub(crate) timed_out: bool,
    /// What the order or the counts leave out.
    pub(crate) warnings: Vec<String>,
    pub(crate) searched_through: SearchedThrough,
    pub(crate) lag: Millis,
}

/// What one broker said about some partitions.
pub(crate) struct Reply {
    pub(crate) node: Option<BrokerId>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) told: Result<Told, String>,
}

/// What the first round has brought so far.
#[derive(Default)]
struct Merged {
    total: u64,
    hits: Vec<Hit>,
    aggregations: Option<IntermediateAggregationResults>,
    timed_out: bool,
    behind: bool,
    kept: KeptFields,
    searched: BTreeMap<u32, (i64, i64)>,
    /// Who has the records of a partition.
    asked: BTreeMap<u32, BrokerId>,
    missing: BTreeMap<u32, (Option<BrokerId>, String)>,
}

impl Inner {
    /// The topics that `targets` names: names and globs with commas between. A name that is no glob must be there.
    pub(crate) fn named(&self, targets: &str) -> Result<Vec<Target>, SearchError> {
        let names: Vec<&str> = targets.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let (globs, exact): (Vec<&str>, Vec<&str>) = names
            .iter()
            .map(|name| if *name == "_all" { "*" } else { *name })
            .partition(|name| name.contains('*'));
        let globs: Vec<_> = globs.into_iter().map(glob).collect();
        if globs.is_empty() && exact.is_empty() {
            return Err(SearchError::UnknownTopic { targets: targets.to_owned() });
        }
        let found =
            self.node.topics(&|name| exact.contains(&name) || globs.iter().any(|glob| glob.matches(name)));
        match exact.into_iter().find(|name| !found.iter().any(|target| *target.topic == **name)) {
            Some(name) => Err(SearchError::UnknownTopic { targets: name.to_owned() }),
            None => Ok(found),
        }
    }

    /// The indexed topics that `targets` names; one that is named itself must be indexed.
    pub(crate) fn targets(&self, targets: &str) -> Result<Vec<Target>, SearchError> {
        let mut found = self.named(targets)?;
        for name in targets.split(',').map(str::trim) {
            if let Some(target) = found.iter().find(|target| *target.topic == *name && !target.indexed) {
                return Err(SearchError::NotIndexed { topic: target.topic.to_string() });
            }
        }
        let first = found.first().map(|target| target.topic.to_string());
        found.retain(|target| target.indexed);
        // An empty answer means that no record matches, never that nobody looked.
        match first {
            _ if !found.is_empty() => {}
            Some(topic) => return Err(SearchError::NotIndexed { topic }),
            None => return Err(SearchError::UnknownTopic { targets: targets.to_owned() }),
        }
        check_count(&found)?;
        Ok(found)
    }

    /// Searches.
    pub(crate) async fn run(
        self: &Arc<Self>,
        targets: &str,
        body: Value,
        wait: Wait,
        native: bool,
    ) -> Result<Outcome, SearchError> {
        let begin = Instant::now();
        let now = self.node.now();
        let request = Request::parse(&body, now)?;
        // The address always has a timeout, its default at least; a body that has one means it.
        let asked_for = request.timeout.or(Some(wait.timeout).filter(|timeout| !timeout.is_zero()));
        let timeout = asked_for.unwrap_or(self.limits.timeout_default).min(self.limits.timeout_max);
        let deadline = begin + timeout;
        let asked = Asked { body, now, native, deadline };
        let shards = numbered(&self.targets(targets)?);
        let merged = self.first_round(&shards, &asked, &wait, &request).await?;
        let by_number: BTreeMap<u32, &Shard> =
            shards.iter().map(|(shard, _)| (shard.number, shard)).collect();
        let (searched_through, lag) = through(&merged, &by_number);
        if merged.behind {
            return Err(SearchError::NotCaughtUp { waited: begin.elapsed(), searched_through });
        }
        let mut missing = name_missing(&merged, &by_number);
        if let Some(first) = missing.first()
            && missing.len() == shards.len()
        {
            return Err(SearchError::Unavailable { reason: first.reason.clone() });
        }
        let warnings = merged.kept.warnings(&request)?;
        let mut hits = merged.hits;
        hits.sort_by(|one, two| one.order(two, &request.sort));
        let hits: Vec<Hit> = hits.into_iter().skip(request.from).take(request.size).collect();
        let aggregations = self.finish_aggregations(&request, merged.aggregations, deadline).await?;
        let hits = self.second_round(hits, &merged.asked, &by_number, &asked, &mut missing).await?;
        Ok(Outcome {
            request,
            took: begin.elapsed(),
            total: merged.total,
            hits,
            aggregations,
            shards: shards.len(),
            missing,
            timed_out: merged.timed_out,
            warnings,
            searched_through,
            lag,
        })
    }

    async fn first_round(
        self: &Arc<Self>,
        shards: &[(Shard, Option<BrokerId>)],
        asked: &Asked,
        wait: &Wait,
        request: &Request,
    ) -> Result<Merged, SearchError> {
        let waits = wait.for_all || !wait.min_offset.is_empty();
        let mut merged = Merged::default();
        let mut open = shards.to_vec();
        loop {
            let min_offset: Vec<(i32, i64)> =
                wait.min_offset.iter().map(|(index, offset)| (*index, offset.0)).collect();
            let what = || What::Query {
                body: asked.body.clone(),
                now: asked.now.0,
                for_all: wait.for_all,
                min_offset: min_offset.clone(),
            };
            for reply in self.ask_all(open, what, asked.deadline).await {
                merged.take(reply, self.node.me(), request)?;
            }
            // Who waits for the index waits for a new leader too.
            let again = waits && !merged.missing.is_empty() && Instant::now() + 5 * PAUSE < asked.deadline;
            if !again || merged.behind {
                return Ok(merged);
            }
            tokio::time::sleep(PAUSE).await;
            open = shards
                .iter()
                .filter(|(shard, _)| merged.missing.contains_key(&shard.number))
                .cloned()
                .collect();
            self.find_leaders(&mut open);
            merged.missing.clear();
        }
    }

    fn find_leaders(&self, shards: &mut [(Shard, Option<BrokerId>)]) {
        let targets = self.node.topics(&|name| shards.iter().any(|(shard, _)| *shard.topic == *name));
        for (shard, leader) in shards {
            let target = targets.iter().find(|target| target.id == shard.id);
            let index = usize::try_from(shard.partition).unwrap_or(usize::MAX);
            *leader = target.and_then(|target| target.leaders.get(index).copied().flatten());
        }
    }

    /// Asks the leader of each partition, all at once. A broker that does not answer is a reply too.
    pub(crate) async fn ask_all(
        self: &Arc<Self>,
        shards: Vec<(Shard, Option<BrokerId>)>,
        what: impl Fn() -> What,
        deadline: Instant,
    ) -> Vec<Reply> {
        let mut by_leader: BTreeMap<Option<BrokerId>, Vec<Shard>> = BTreeMap::new();
        for (shard, leader) in shards {
            by_leader.entry(leader).or_default().push(shard);
        }
        let mut asking = JoinSet::new();
        for (leader, shards) in by_leader {
            let (inner, what) = (Arc::clone(self), what());
            asking.spawn(async move { inner.ask(leader, shards, what, deadline).await });
        }
        let mut replies = Vec::new();
        while let Some(reply) = asking.join_next().await {
            replies.extend(reply);
        }
        replies
    }

    async fn ask(
        self: &Arc<Self>,
        leader: Option<BrokerId>,
        shards: Vec<Shard>,
        what: What,
        deadline: Instant,
    ) -> Reply {
        let Some(broker) = leader else {
            return Reply { node: None, shards, told: Err("the partition has no leader".to_owned()) };
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if broker == self.node.me() {
            let ask = Ask { shards: shards.clone(), within: millis(left), what };
            return Reply { node: leader, shards, told: Ok(self.answer(ask).await) };
        }
        // The other one must be done a little before we stop waiting.
        let ask = Ask { shards, within: millis(left.saturating_sub(SPARE)), what };
        let shards = ask.shards.clone();
        let told = async {
            let told = self.node.ask(broker, encode(ask).await?, left).await?;
            decode(told).await.map_err(|error| format!("its answer cannot be read: {error}"))
        };
        Reply { node: leader, shards, told: told.await }
    }

    async fn finish_aggregations(
        self: &Arc<Self>,
        request: &Request,
        found: Option<IntermediateAggregationResults>,
        deadline: Instant,
    ) -> Result<Option<Value>, SearchError> {
        let Some((wanted, shape)) = request.aggregations.clone() else { return Ok(None) };
        let limits = aggregation_limits(&self.limits);
        let finish = move || -> Result<Value, SearchError> {
            let results =
                found.unwrap_or_default().into_final_result(wanted, limits).map_err(as_search_error)?;
            let unreadable =
                |error: serde_json::Error| SearchError::Unavailable { reason: error.to_string() };
            let mut results = serde_json::to_value(results).map_err(unreadable)?;
            aggregations::finish(&mut results, &shape);
            Ok(results)
        };
        self.pool.run(deadline, finish).await?.map(Some)
    }

    async fn second_round(
        self: &Arc<Self>,
        hits: Vec<Hit>,
        holders: &BTreeMap<u32, BrokerId>,
        shards: &BTreeMap<u32, &Shard>,
        asked: &Asked,
        missing: &mut Vec<Missing>,
    ) -> Result<Vec<(Hit, Document)>, SearchError> {
        let mut by_broker: BTreeMap<BrokerId, Vec<usize>> = BTreeMap::new();
        for (index, hit) in hits.iter().enumerate() {
            if let Some(broker) = holders.get(&hit.shard) {
                by_broker.entry(*broker).or_default().push(index);
            }
        }
        let mut asking = JoinSet::new();
        for (broker, indexes) in by_broker {
            let records: Vec<(u32, i64)> = indexes
                .iter()
                .filter_map(|index| hits.get(*index))
                .map(|hit| (hit.shard, hit.place.offset))
                .collect();
            let mut of: Vec<Shard> = records
                .iter()
                .filter_map(|(shard, _)| shards.get(shard).map(|shard| (*shard).clone()))
                .collect();
            of.dedup_by_key(|shard| shard.number);
            of.sort_by_key(|shard| shard.number);
            of.dedup_by_key(|shard| shard.number);
            let what =
                What::Fetch { body: asked.body.clone(), now: asked.now.0, native: asked.native, records };
            let (inner, deadline) = (Arc::clone(self), asked.deadline);
            asking.spawn(async move { (inner.ask(Some(broker), of, what, deadline).await, indexes) });
        }
        let mut documents: BTreeMap<usize, Document> = BTreeMap::new();
        while let Some(reply) = asking.join_next().await {
            let Ok((reply, indexes)) = reply else { continue };
            let reason = match reply.told {
                Ok(Told::Records(records)) => {
                    let shown = indexes.into_iter().zip(records);
                    documents
                        .extend(shown.filter_map(|(index, record)| record.map(|record| (index, record))));
                    continue;
                }
                Ok(Told::Refused(
                    error @ (SearchError::TooExpensive { .. } | SearchError::TooBusy { .. }),
                )) => {
                    return Err(error);
                }
                Ok(Told::Refused(error)) => error.to_string(),
                Ok(_) => "its answer is about something else".to_owned(),
                Err(reason) => reason,
            };
            for shard in reply.shards {
                missing.push(Missing {
                    topic: shard.topic.to_string(),
                    partition: shard.partition,
                    node: reply.node.map(|node| node.0),
                    reason: format!("its records cannot be read: {reason}"),
                });
            }
        }
        let shown = hits.into_iter().enumerate();
        // A record that went away between the rounds is no hit any more.
        Ok(shown
            .filter_map(|(index, hit)| documents.remove(&index).map(|document| (hit, document)))
            .collect())
    }
}

impl Merged {
    fn take(&mut self, reply: Reply, me: BrokerId, request: &Request) -> Result<(), SearchError> {
        let reason = match reply.told {
            Ok(Told::Found(found)) => return self.found(*found, reply.node, request),
            Ok(Told::Refused(error @ (SearchError::BadQuery { .. } | SearchError::TooExpensive { .. }))) => {
                return Err(error);
            }
            Ok(Told::Refused(error @ (SearchError::TooBusy { .. } | SearchError::Timeout { .. })))
                if reply.node == Some(me) =>
            {
                return Err(error);
            }
            Ok(Told::Refused(error)) => error.to_string(),
            Ok(_) => "its answer is about something else".to_owned(),
            Err(reason) => reason,
        };
        for shard in reply.shards {
            self.missing.insert(shard.number, (reply.node, reason.clone()));
        }
        Ok(())
    }

    fn found(&mut self, found: Found, node: Option<BrokerId>, request: &Request) -> Result<(), SearchError> {
        self.total += found.total;
        self.timed_out |= found.timed_out;
        self.behind |= found.behind;
        self.kept.merge(found.kept);
        for (shard, through, lag) in found.searched {
            self.searched.insert(shard, (through, lag));
            if let Some(node) = node {
                self.asked.insert(shard, node);
            }
        }
        for (shard, reason) in found.missing {
            self.missing.insert(shard, (node, reason));
        }
        self.hits.extend(found.hits);
        let page = request.from + request.size;
        if self.hits.len() > 2 * page.max(1) {
            self.hits.sort_by(|one, two| one.order(two, &request.sort));
            self.hits.truncate(page);
        }
        match (&mut self.aggregations, found.aggregations) {
            (Some(all), Some(more)) => all.merge_fruits(more).map_err(as_search_error)?,
            (all @ None, more) => *all = more,
            (Some(_), None) => {}
        }
        Ok(())
    }
}

fn as_search_error(error: tantivy::TantivyError) -> SearchError {
    match failure(&error) {
        Failure::Search(error) => error,
        Failure::View(reason) => SearchError::Unavailable { reason },
    }
}

/// Refuses more partitions than one search may cover.
pub(crate) fn check_count(targets: &[Target]) -> Result<(), SearchError> {
    let shards: usize = targets.iter().map(|target| target.leaders.len()).sum();
    if shards <= SHARDS_MAX {
        return Ok(());
    }
    Err(SearchError::TooExpensive {
        message: format!(
            "{shards} partitions are too many for one search; name fewer topics (at most {SHARDS_MAX} partitions)"
        ),
    })
}

/// The partitions of topics, numbered, and who leads them.
pub(crate) fn numbered(targets: &[Target]) -> Vec<(Shard, Option<BrokerId>)> {
    let mut shards = Vec::new();
    for target in targets {
        for (partition, leader) in (0..).zip(&target.leaders) {
            let number = u32::try_from(shards.len()).unwrap_or(u32::MAX);
            shards.push((
                Shard { number, topic: Arc::clone(&target.topic), id: target.id, partition },
                *leader,
            ));
        }
    }
    shards
}

fn through(merged: &Merged, shards: &BTreeMap<u32, &Shard>) -> (SearchedThrough, Millis) {
    let mut searched_through = SearchedThrough::new();
    let mut oldest = 0;
    for (number, (through, lag)) in &merged.searched {
        let Some(shard) = shards.get(number) else { continue };
        searched_through.entry(shard.topic.to_string()).or_default().insert(shard.partition, *through);
        oldest = oldest.max(*lag);
    }
    (searched_through, Millis(oldest))
}

fn name_missing(merged: &Merged, shards: &BTreeMap<u32, &Shard>) -> Vec<Missing> {
    let name = |(number, (node, reason)): (&u32, &(Option<BrokerId>, String))| {
        let shard = shards.get(number)?;
        Some(Missing {
            topic: shard.topic.to_string(),
            partition: shard.partition,
            node: node.map(|node| node.0),
            reason: reason.clone(),
        })
    };
    merged.missing.iter().filter_map(name).collect()
}
