//! Answers questions about the partitions of this broker, whoever asks.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_peer::Handler;
use eddy_types::{BrokerId, Millis, Offset};
use serde_json::Value;
use tantivy::aggregation::AggregationLimitsGuard;
use tantivy::schema::Type;

use super::budget::Budget;
use super::error::SearchError;
use super::local::LocalSearch;
use super::message::{Ask, Asked, FieldType, Found, Shard, Told, What, decode, encode};
use super::{Inner, SearchLimits};
use crate::View;
use crate::query::body::Request;

/// Ends a search whose asker has gone.
struct AbandonOnDrop(Arc<Budget>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Inner {
    /// Answers a question about partitions of this broker.
    pub(crate) async fn answer(self: &Arc<Self>, ask: Ask) -> Told {
        let within = Duration::from_millis(ask.within).min(self.limits.timeout_max);
        let deadline = Instant::now() + within;
        let told = match ask.what {
            What::Query { body, now, for_all, min_offset } => {
                let wait = LocalWait { for_all, min_offset };
                self.find(ask.shards, &body, Millis(now), &wait, deadline)
                    .await
                    .map(|found| Told::Found(Box::new(found)))
            }
            What::Fetch { body, now, native, records } => {
                let asked = Asked { body, now: Millis(now), native, deadline };
                self.fetch(ask.shards, asked, records).await.map(Told::Records)
            }
            What::Fields => self.fields(ask.shards, deadline).await.map(Told::Fields),
            What::Status => Ok(Told::Status(self.standings_here(&ask.shards))),
        };
        told.unwrap_or_else(Told::Refused)
    }

    async fn find(
        self: &Arc<Self>,
        shards: Vec<Shard>,
        body: &Value,
        now: Millis,
        wait: &LocalWait,
        deadline: Instant,
    ) -> Result<Found, SearchError> {
        let request = Request::parse(body, now)?;
        let behind = self.wait(&shards, wait, deadline).await;
        if !behind.is_empty() {
            let searched = behind.into_iter().map(|(shard, through)| (shard, through.0, 0)).collect();
            return Ok(Found { searched, behind: true, ..Found::default() });
        }
        let budget = Arc::new(Budget::new(deadline));
        let _abandon = AbandonOnDrop(Arc::clone(&budget));
        let inner = Arc::clone(self);
        let work = {
            let budget = Arc::clone(&budget);
            move || inner.search_views(&shards, &request, &budget)
        };
        self.pool.run(deadline, work).await?
    }

    fn search_views(
        &self,
        shards: &[Shard],
        request: &Request,
        budget: &Arc<Budget>,
    ) -> Result<Found, SearchError> {
        let mut found = Found::default();
        let mut views: Vec<(u32, View)> = Vec::with_capacity(shards.len());
        for shard in shards {
            if budget.is_spent() {
                found.missing.push((shard.number, "the time was over before it was searched".to_owned()));
                found.timed_out = true;
                continue;
            }
            match self.node.view(shard.id, shard.partition) {
                Ok(view) => {
                    found.searched.push((shard.number, view.searched_through.0, view.lag.0));
                    views.push((shard.number, view));
                }
                Err(error) => found.missing.push((shard.number, error.to_string())),
            }
        }
        let search = LocalSearch::new(request, &views, budget, aggregation_limits(&self.limits));
        // A second thread is worth its start where there is much to look at, and is taken where nobody else wants the place.
        let helper = if search.records() >= HELPED_RECORDS { self.pool.spare() } else { None };
        found.kept = search.kept();
        let findings = search.run(helper.is_some())?;
        drop(helper);
        found.searched.retain(|(shard, ..)| !findings.failed.contains_key(shard));
        found.missing.extend(findings.failed);
        found.total = findings.total;
        found.hits = findings.hits;
        found.aggregations = findings.aggregations;
        found.timed_out |= findings.timed_out;
        Ok(found)
    }

    /// Waits; gives the partitions that did not get far enough, and how far they got.
    async fn wait(&self, shards: &[Shard], wait: &LocalWait, deadline: Instant) -> Vec<(u32, Offset)> {
        // Some time must be left for saying how far it got.
        let deadline = deadline.checked_sub(Duration::from_millis(50)).unwrap_or(deadline);
        let mut behind = Vec::new();
        for shard in shards {
            let mut wanted = Offset::ZERO;
            for (_, offset) in wait.min_offset.iter().filter(|(partition, _)| *partition == shard.partition) {
                wanted = wanted.max(Offset(offset.saturating_add(1)));
            }
            if wait.for_all {
                wanted =
                    wanted.max(self.node.high_watermark(shard.id, shard.partition).unwrap_or(Offset::ZERO));
            }
            if wanted > Offset::ZERO {
                let through = self.node.wait_through(shard.id, shard.partition, wanted, deadline).await;
                if through < wanted {
                    behind.push((shard.number, through));
                }
            }
        }
        behind
    }

    async fn fields(
        self: &Arc<Self>,
        shards: Vec<Shard>,
        deadline: Instant,
    ) -> Result<BTreeMap<String, BTreeMap<String, Vec<FieldType>>>, SearchError> {
        let inner = Arc::clone(self);
        let look = move || {
            let mut topics: BTreeMap<String, BTreeMap<String, Vec<FieldType>>> = BTreeMap::new();
            for shard in &shards {
                let fields = topics.entry(shard.topic.to_string()).or_default();
                let Ok(view) = inner.node.view(shard.id, shard.partition) else { continue };
                for split in &view.splits {
                    if Instant::now() >= deadline || fields.len() >= FIELDS_MAX {
                        break;
                    }
                    for reader in split.searcher.segment_readers() {
                        let Ok(columns) = reader.fields_metadata() else { continue };
                        for column in columns {
                            let exact = column.field_name.strip_prefix("exact.").zip(field_type(column.typ));
                            let hash = || Some((column.field_name.strip_prefix("hash.")?, FieldType::Text));
                            let Some((path, kind)) = exact.or_else(hash) else { continue };
                            let kinds = fields.entry(path.to_owned()).or_default();
                            if !kinds.contains(&kind) {
                                kinds.push(kind);
                                kinds.sort();
                            }
                        }
                    }
                }
            }
            topics
        };
        self.pool.run(deadline, look).await
    }
}

/// Records from which on a search takes two threads.
const HELPED_RECORDS: u64 = 100_000;

/// Fields of one topic that a mapping names.
const FIELDS_MAX: usize = 10_000;

struct LocalWait {
    for_all: bool,
    min_offset: Vec<(i32, i64)>,
}

pub(crate) fn aggregation_limits(limits: &SearchLimits) -> AggregationLimitsGuard {
    AggregationLimitsGuard::new(Some(limits.aggregation_bytes_max), Some(limits.buckets_max))
}

fn field_type(typ: Type) -> Option<FieldType> {
    match typ {
        Type::Bool => Some(FieldType::Bool),
        Type::I64 | Type::U64 => Some(FieldType::Long),
        Type::F64 => Some(FieldType::Double),
        Type::Date => Some(FieldType::Date),
        Type::Str => Some(FieldType::Text),
        Type::Facet | Type::Bytes | Type::Json | Type::IpAddr | Type::Custom => None,
    }
}

/// What the other brokers reach. It does not keep the search, and with it the indexer and its files, alive.
pub(crate) struct Serving(pub(crate) Weak<Inner>);

impl Handler for Serving {
    fn call<'a>(
        &'a self,
        _from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(async move {
            let ask: Ask = decode(request).await?;
            let Some(this) = self.0.upgrade() else { return Err("the broker stops".to_owned()) };
            encode(this.answer(ask).await).await
        })
    }
}
