//! Where many partitions begin and end, and how old their records are: one request to each leader.
//!
//! What a leader does not answer for is left out rather than failing the whole: a partition without a leader must not hide the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{BatchHeader, DecompressLimit};
use eddy_client::accepted;
use eddy_client::messages::fetch_request::{FetchPartition, FetchTopic};
use eddy_client::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use eddy_client::messages::{ApiKey, FetchRequest, FetchResponse, ListOffsetsRequest};
use eddy_types::{BrokerId, ErrorCode};
use serde::Serialize;

use crate::Topic;
use crate::brokers::{Brokers, To, topic_name};
use crate::error::{CliError, Exit};

/// A partition by name and index, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl Place {
    /// Those of a topic.
    pub(crate) fn all_of(topic: &Topic) -> impl Iterator<Item = Place> + '_ {
        topic.partitions.iter().map(|one| Place { topic: topic.name.clone(), partition: one.index })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Of the first record that is there.
    Earliest,
    /// The high watermark.
    Latest,
    /// Where the first open transaction begins, else the high watermark.
    LastStable,
    /// Of the first record that is not older, in milliseconds since the epoch.
    Time(i64),
}

/// Rounds of looking up who leads, and the pause between two.
const ROUNDS_MAX: usize = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// Rounds of fetching first records. A broker sends at least one batch in each.
const FETCHES_MAX: usize = 64;
/// Bytes of each partition: the first batch, or at least its header.
const FIRST_BYTES: i32 = 16 << 10;
const FETCH_BYTES: i32 = 8 << 20;
/// From version 13 on a topic goes by its id.
const FETCH_BY_NAME_MAX: i16 = 12;

/// The offsets of places; `None` where no record is as new as was asked for. Places that nobody answers for are not in the result.
pub(crate) async fn positions(
    brokers: &Brokers,
    places: &[Place],
    wanted: Wanted,
) -> Result<BTreeMap<Place, Option<i64>>, CliError> {
    let mut found = BTreeMap::new();
    // A leader that cannot be reached may be replaced, but does not come back while somebody waits for an answer.
    let mut gone = BTreeSet::new();
    for round in 0..ROUNDS_MAX {
        let open: Vec<&Place> = places.iter().filter(|place| !found.contains_key(*place)).collect();
        if open.is_empty() {
            break;
        }
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let mut again = false;
        for (leader, places) in by_leader(brokers, &open).await? {
            if gone.contains(&leader) {
                continue;
            }
            match list(brokers, leader, &list_offsets(&places, wanted)).await {
                Ok(Listed { read, again: more }) => {
                    found.extend(read);
                    again |= more;
                }
                Err(error) if error.exit() == Exit::Unreachable => {
                    gone.insert(leader);
                    again = true;
                }
                Err(error) => return Err(error),
            }
        }
        if !again {
            break;
        }
    }
    Ok(found)
}

/// What one leader answered.
struct Listed {
    read: Vec<(Place, Option<i64>)>,
    /// Whether another look at who leads may bring more.
    again: bool,
}

/// Asks a leader, once: who leads may have changed since.
async fn list(brokers: &Brokers, leader: BrokerId, request: &ListOffsetsRequest) -> Result<Listed, CliError> {
    let answer = brokers.connection(To::Broker(leader)).await?.send(request).await?;
    let mut listed = Listed { read: Vec::new(), again: false };
    for topic in &answer.topics {
        for one in &topic.partitions {
            let place = Place { topic: topic.name.to_string(), partition: one.partition_index };
            match ErrorCode::from_code(one.error_code) {
                Some(ErrorCode::None) => listed.read.push((place, Some(one.offset).filter(|at| *at >= 0))),
                Some(code) => listed.again |= code.is_retriable(),
                None => {}
            }
        }
    }
    Ok(listed)
}

/// Timestamps in milliseconds of the first records at or after the offsets. Places without an answer are not in the result.
pub(crate) async fn first_times(
    brokers: &Brokers,
    from: &[(Place, i64)],
) -> Result<BTreeMap<Place, i64>, CliError> {
    let places: Vec<&Place> = from.iter().map(|(place, _)| place).collect();
    let mut times = BTreeMap::new();
    if places.is_empty() {
        return Ok(times);
    }
    for (leader, places) in by_leader(brokers, &places).await? {
        let mut open: Vec<(Place, i64)> =
            from.iter().filter(|(place, _)| places.contains(&place)).cloned().collect();
        for _ in 0..FETCHES_MAX {
            if open.is_empty() {
                break;
            }
            let answer = fetch(brokers, leader, &first_fetch(&open)).await;
            let Ok(answer) = answer else { break };
            let before = open.len();
            for topic in answer.responses {
                for one in topic.partitions {
                    let index = open.iter().position(|(place, _)| {
                        place.partition == one.partition_index && *place.topic == **topic.topic
                    });
                    let Some(index) = index else { continue };
                    let bytes = one.records.unwrap_or_default();
                    let time = open.get(index).and_then(|(_, from)| first_time(&bytes, *from));
                    // A partition with an error, or with nothing to read after all, is not asked about again.
                    let is_over =
                        one.error_code != 0 || one.high_watermark <= open.get(index).map_or(0, |(_, at)| *at);
                    if time.is_some() || is_over {
                        let (place, _) = open.swap_remove(index);
                        times.extend(time.map(|time| (place, time)));
                    }
                }
            }
            if open.len() == before {
                break;
            }
        }
    }
    Ok(times)
}

async fn fetch(
    brokers: &Brokers,
    leader: BrokerId,
    request: &FetchRequest,
) -> Result<FetchResponse, CliError> {
    let connection = brokers.connection(To::Broker(leader)).await?;
    let answer = connection.start_up_to(FETCH_BY_NAME_MAX, request).await?.answer().await?;
    accepted(ApiKey::Fetch, answer.error_code, format!("broker {leader}"), None)?;
    Ok(answer)
}

/// Places by who leads them now; those without a leader are left out.
async fn by_leader<'a>(
    brokers: &Brokers,
    places: &[&'a Place],
) -> Result<BTreeMap<BrokerId, Vec<&'a Place>>, CliError> {
    let topics: BTreeSet<&str> = places.iter().map(|place| place.topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let cluster = brokers.cluster(Some(&topics)).await?;
    let mut by_leader: BTreeMap<BrokerId, Vec<&'a Place>> = BTreeMap::new();
    for place in places {
        let topic = cluster.topics.iter().find(|topic| topic.name == place.topic);
        let partition =
            topic.and_then(|topic| topic.partitions.iter().find(|one| one.index == place.partition));
        if let Some(partition) = partition.filter(|partition| partition.leader != BrokerId::NONE) {
            by_leader.entry(partition.leader).or_default().push(place);
        }
    }
    Ok(by_leader)
}

fn list_offsets(places: &[&Place], wanted: Wanted) -> ListOffsetsRequest {
    let time = match wanted {
        Wanted::Earliest => -2,
        Wanted::Latest | Wanted::LastStable => -1,
        Wanted::Time(ms) => ms.max(0),
    };
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for place in places {
        let mut partition =
            ListOffsetsPartition::default().with_partition_index(place.partition).with_timestamp(time);
        partition.current_leader_epoch = -1;
        topics.entry(&place.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let mut request = ListOffsetsRequest::default()
        .with_isolation_level(i8::from(wanted == Wanted::LastStable))
        .with_topics(topics.collect());
    request.replica_id.0 = -1;
    request
}

fn first_fetch(from: &[(Place, i64)]) -> FetchRequest {
    let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for (place, offset) in from {
        let partition = FetchPartition::default()
            .with_partition(place.partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(*offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(FIRST_BYTES);
        topics.entry(&place.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)
    });
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

/// The timestamp of the first record at or after an offset. Where the batch is cut or cannot be unpacked, that of the batch's first
/// record, which is older by as long as the producer waited to fill it.
fn first_time(bytes: &Bytes, from: i64) -> Option<i64> {
    for batch in eddy_batch::batches(bytes.clone()) {
        let Ok(batch) = batch else { break };
        if batch.header.last_offset().0 < from {
            continue;
        }
        let Ok(records) = batch.records(&DecompressLimit::default()) else { break };
        let at = records.flatten().find(|record| record.offset.0 >= from).map(|record| record.timestamp.0);
        if at.is_some() {
            return at;
        }
    }
    let header = BatchHeader::parse(bytes).ok()?;
    // With a delete horizon, the base is that horizon.
    let time =
        if header.attributes.has_delete_horizon() { header.max_timestamp } else { header.base_timestamp };
    Some(time.0)
}

#[cfg(test)]
mod tests {
    use eddy_batch::{BatchBuilder, Compression};
    use eddy_types::{Millis, Offset};

    use super::*;

    /// Records at 10, 11, 12 with times 100, 200, 300.
    fn batch(compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new(compression).base_offset(Offset(10));
        for time in [100, 200, 300] {
            builder.append(Millis(time), None, Some(b"value"));
        }
        builder.build().unwrap()
    }

    #[test]
    fn the_time_is_that_of_the_record_itself() {
        for compression in [Compression::None, Compression::Zstd] {
            let bytes = batch(compression);
            assert_eq!([10, 11, 12].map(|from| first_time(&bytes, from)), [Some(100), Some(200), Some(300)]);
        }
    }

    #[test]
    fn a_batch_that_was_cut_tells_the_time_of_its_first_record() {
        let whole = batch(Compression::None);
        assert_eq!(first_time(&whole.slice(..whole.len() - 1), 12), Some(100));
        assert_eq!(first_time(&whole.slice(..60), 12), None, "not even a header");
        assert_eq!(first_time(&Bytes::new(), 12), None);
    }

    #[test]
    fn a_batch_before_the_offset_is_passed_over() {
        let mut later = BatchBuilder::new(Compression::None).base_offset(Offset(13));
        later.append(Millis(400), None, None);
        let both = [batch(Compression::None), later.build().unwrap()].concat();
        assert_eq!(first_time(&both.into(), 13), Some(400));
    }
}
