//! Metrics of the groups that this broker coordinates.
//!
//! How far a group is behind in time is told by the record that it has to read next. Those records are looked up in the
//! background, a few thousand a round, because a scrape must not wait for a disk.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use eddy_batch::BatchHeader;
use eddy_coordinator::{GroupCoordinator, OffsetSnapshot, Snapshot};
use eddy_core::group::Str;
use eddy_engine::{Engine, Partition, PartitionKey, ReadRequest};
use eddy_metadata::Image;
use eddy_types::{LeaderEpoch, Millis, Offset};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::{Counter, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::put::Put;

/// Committed offsets with series of their own; of a broker that coordinates more, the first ones by shard and group.
pub(super) const OFFSETS_MAX: usize = 10_000;
/// How often the next records of lagging groups are looked up, and how many of them at once.
const ROUND: Duration = Duration::from_secs(5);
const LOOKED_UP_MAX: usize = 2_000;

/// Where a group stands in one partition.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) group: Str,
    pub(super) topic: Str,
    pub(super) partition: i32,
    pub(super) committed: Offset,
    /// Records to the high watermark. The commit was read first, so that it never is negative; a commit above the log's end
    /// counts as none. `None` while the partition is not open.
    pub(super) lag: Option<i64>,
    key: Option<PartitionKey>,
}

/// Groups and their lag.
pub(super) struct Groups {
    engine: Weak<Engine>,
    coordinator: Weak<GroupCoordinator>,
    /// Timestamps of the records that groups read next.
    next_records: Mutex<HashMap<(PartitionKey, Offset), Millis>>,
}

impl Groups {
    /// Begins to look after the records that groups have to read next, until the engine stops.
    pub(super) fn start(engine: &Arc<Engine>, coordinator: &Arc<GroupCoordinator>) -> Arc<Groups> {
        let groups = Arc::new(Groups {
            engine: Arc::downgrade(engine),
            coordinator: Arc::downgrade(coordinator),
            next_records: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&groups).look_up(engine.stopping()));
        groups
    }

    /// Groups as they are now; `None` while the broker stops.
    pub(super) fn now(&self) -> Option<(Arc<Engine>, Snapshot, Vec<Standing>)> {
        let (engine, coordinator) = (self.engine.upgrade()?, self.coordinator.upgrade()?);
        let snapshot = coordinator.snapshot(OFFSETS_MAX);
        let image = engine.image();
        let standings = snapshot.offsets.iter().map(|one| standing(&engine, &image, one)).collect();
        Some((engine, snapshot, standings))
    }

    async fn look_up(self: Arc<Self>, mut stopping: tokio::sync::watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            let Some((engine, _, standings)) = self.now() else { return };
            let known = std::mem::take(&mut *self.next_records.lock());
            let mut found = HashMap::with_capacity(known.len());
            let mut looked_up = 0;
            for standing in &standings {
                let Some(key) = standing.key.filter(|_| standing.lag != Some(0)) else { continue };
                let place = (key, standing.committed);
                if let Some(timestamp) = known.get(&place) {
                    found.insert(place, *timestamp);
                } else if looked_up < LOOKED_UP_MAX {
                    looked_up += 1;
                    if let Some(timestamp) = next_record(&engine, key, standing.committed).await {
                        found.insert(place, timestamp);
                    }
                }
            }
            *self.next_records.lock() = found;
        }
    }

    /// For each group and topic the age of the oldest record that is still to be read, in seconds; 0 without lag.
    fn lag_seconds<'a>(&self, now: Millis, standings: &'a [Standing]) -> BTreeMap<(&'a str, &'a str), f64> {
        let next_records = self.next_records.lock();
        let mut seconds = BTreeMap::new();
        for standing in standings {
            let age = match (standing.lag, standing.key) {
                (Some(0), _) => Some(0),
                (Some(_), Some(key)) => {
                    next_records.get(&(key, standing.committed)).map(|timestamp| (now.0 - timestamp.0).max(0))
                }
                _ => None,
            };
            if let Some(age) = age {
                let longest = seconds.entry((&*standing.group, &*standing.topic)).or_insert(0.0f64);
                *longest = longest.max(age as f64 / 1000.0);
            }
        }
        seconds
    }
}

fn standing(engine: &Engine, image: &Image, one: &OffsetSnapshot) -> Standing {
    let key = image.topic(&one.topic).map(|topic| PartitionKey { topic: topic.id, index: one.partition });
    let open = key.and_then(|key| engine.partitions().get_open(key));
    Standing {
        group: Str::clone(&one.group),
        topic: Str::clone(&one.topic),
        partition: one.partition,
        committed: one.offset,
        lag: open.map(|partition| lag(&partition, one.offset)),
        key,
    }
}

/// What was deleted before it was read does not count.
fn lag(partition: &Partition, committed: Offset) -> i64 {
    let offsets = partition.offsets();
    (offsets.high_watermark.0 - committed.max(offsets.log_start).0).max(0)
}

/// Timestamp of the batch that holds the record at `offset`, or of the next one. Opens the partition.
async fn next_record(engine: &Engine, key: PartitionKey, offset: Offset) -> Option<Millis> {
    let partition = engine.replica(&engine.image(), key).await.ok()?;
    let request = ReadRequest {
        offset: offset.max(partition.offsets().log_start),
        leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 1,
        at_least_one: true,
        committed_only: false,
    };
    let read = partition.peek(request).await.ok()?;
    let header = BatchHeader::parse(read.slices.first()?).ok()?;
    Some(header.max_timestamp).filter(|timestamp| *timestamp != Millis::NONE)
}

/// The series of `/metrics`.
pub(super) fn register(registry: &mut Registry, groups: &Arc<Groups>) {
    registry.register_collector(Box::new(GroupMetrics(Arc::clone(groups))));
}

struct GroupMetrics(Arc<Groups>);

impl fmt::Debug for GroupMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupMetrics").finish_non_exhaustive()
    }
}

impl Collector for GroupMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some((engine, snapshot, standings)) = self.0.now() else { return Ok(()) };
        let mut put = Put(encoder);
        states(&mut put, &snapshot)?;
        happened(&mut put, &snapshot)?;
        lags(&mut put, &standings)?;
        let seconds = self.0.lag_seconds(engine.now(), &standings);
        let series =
            seconds.iter().map(|((group, topic), age)| ([("group", *group), ("topic", *topic)], *age));
        let help = "Age of the oldest record that a group has still to read";
        put.family(Gauge, "eddy_group_lag", help, Some(&Unit::Seconds), series)
    }
}

fn states(put: &mut Put<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut states = BTreeMap::<&str, f64>::new();
    for group in &snapshot.groups {
        *states.entry(group.state.name()).or_default() += 1.0;
    }
    let series = states.iter().map(|(state, count)| ([("state", *state)], *count));
    put.family(Gauge, "eddy_groups", "Groups that this broker coordinates", None, series)?;
    let series = snapshot.groups.iter().map(|group| ([("group", &*group.group)], group.members as f64));
    put.family(Gauge, "eddy_group_members", "Members of a group", None, series)?;
    let mut last = BTreeMap::<&str, Millis>::new();
    for offset in &snapshot.offsets {
        let newest = last.entry(&offset.group).or_insert(Millis::NONE);
        *newest = (*newest).max(offset.committed_at);
    }
    let series = last.iter().map(|(group, at)| ([("group", *group)], at.0 as f64 / 1000.0));
    let help = "When a group last committed an offset that is still kept";
    put.family(Gauge, "eddy_group_last_commit_timestamp", help, Some(&Unit::Seconds), series)
}

fn happened(put: &mut Put<'_>, snapshot: &Snapshot) -> fmt::Result {
    let counts = &snapshot.counts;
    let rebalances: BTreeMap<(&str, String), u64> = counts
        .rebalances
        .iter()
        .flat_map(|(group, reasons)| reasons.iter().map(move |one| (&**group, one)))
        .map(|(group, (reason, count))| ((group, snake(&format!("{reason:?}"))), *count))
        .collect();
    let series = rebalances
        .iter()
        .map(|((group, reason), count)| ([("group", *group), ("reason", reason.as_str())], *count as f64));
    put.family(Counter, "eddy_group_rebalances", "Rebalances begun, by what began them", None, series)?;
    let expired: BTreeMap<String, u64> = counts
        .expired_members
        .iter()
        .map(|(reason, count)| (snake(&format!("{reason:?}")), *count))
        .collect();
    let series = expired.iter().map(|(reason, count)| ([("reason", reason.as_str())], *count as f64));
    put.family(Counter, "eddy_group_expired_members", "Members removed that did not leave", None, series)?;
    put.counter("eddy_group_generations", "Generations that groups began", counts.generations)?;
    put.counter("eddy_group_commits", "Offsets committed", counts.commits)?;
    put.counter("eddy_group_expired_offsets", "Committed offsets that expired", counts.expired_offsets)?;
    put.counter(
        "eddy_group_deleted_groups",
        "Groups deleted, or forgotten with their last offset",
        counts.deleted_groups,
    )
}

fn lags(put: &mut Put<'_>, standings: &[Standing]) -> fmt::Result {
    let labels = |one: &Standing| {
        [
            ("group", one.group.to_string()),
            ("topic", one.topic.to_string()),
            ("partition", one.partition.to_string()),
        ]
    };
    let lags = standings.iter().filter_map(|one| Some((labels(one), one.lag? as f64)));
    put.family(Gauge, "eddy_group_lag", "Records that a group has still to read", None, lags)?;
    let committed = standings.iter().map(|one| (labels(one), one.committed.0 as f64));
    put.family(Gauge, "eddy_group_committed_offset", "The next offset that a group reads", None, committed)
}

/// `SessionTimeout` as `session_timeout`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_labels_in_snake_case() {
        assert_eq!(snake("SessionTimeout"), "session_timeout");
        assert_eq!(snake("Join"), "join");
    }
}
