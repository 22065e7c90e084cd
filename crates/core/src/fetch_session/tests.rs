//! KIP-227 rule by rule, and the cache against a model under any requests.

use std::collections::BTreeMap;

use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};
use proptest::prelude::*;

use super::*;

fn key(n: u8) -> PartitionKey {
    PartitionKey { topic: TopicKey::Id(TopicId([n / 4; 16])), partition: i32::from(n % 4) }
}

fn asks(n: u8, offset: i64) -> FetchPartition {
    FetchPartition {
        key: key(n),
        fetch_offset: Offset(offset),
        max_bytes: 1000,
        leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        log_start: Offset::NONE,
    }
}

fn request(session_id: i32, session_epoch: i32, partitions: &[u8]) -> SessionRequest {
    SessionRequest {
        session_id,
        session_epoch,
        uses_topic_ids: true,
        from_follower: false,
        partitions: partitions.iter().map(|n| asks(*n, 0)).collect(),
        forgotten: Vec::new(),
    }
}

const QUIET: ReadResult = ReadResult {
    has_records: false,
    high_watermark: Offset(10),
    log_start: Offset(0),
    must_show: false,
    failed: false,
};
const RECORDS: ReadResult = ReadResult { has_records: true, ..QUIET };
const FAILED: ReadResult =
    ReadResult { failed: true, high_watermark: Offset(-1), log_start: Offset(-1), ..QUIET };

fn cache() -> SessionCache {
    SessionCache::new(SessionLimits::default())
}

/// Opens a session in which the client knows each partition as [`QUIET`] has it.
fn open(cache: &mut SessionCache, now: i64, request: SessionRequest) -> i32 {
    let context = cache.begin(Millis(now), request).unwrap();
    let reads = vec![QUIET; context.plan.len()];
    let fresh_id = 41 + 10 * u32::try_from(now).unwrap();
    let answer = cache.finish(Millis(now), &context, &reads, fresh_id).unwrap();
    cache.check();
    answer.session_id
}

fn planned(context: &FetchContext) -> Vec<PartitionKey> {
    context.plan.iter().map(|asked| asked.key.clone()).collect()
}

fn keys(numbers: &[u8]) -> Vec<PartitionKey> {
    numbers.iter().map(|n| key(*n)).collect()
}

/// Fetches incrementally; gives the plan and what was shown.
fn fetch(
    cache: &mut SessionCache,
    request: SessionRequest,
    reads: &[ReadResult],
) -> (Vec<PartitionKey>, Vec<bool>) {
    let id = request.session_id;
    let context = cache.begin(Millis(0), request).unwrap();
    let answer = cache.finish(Millis(0), &context, reads, 0).unwrap();
    cache.check();
    assert_eq!(answer.session_id, id);
    (planned(&context), answer.shown)
}

#[test]
fn a_fetch_without_session_is_answered_in_full_and_leaves_nothing_r_2_51() {
    let mut cache = cache();
    let context = cache.begin(Millis(0), request(0, -1, &[3, 1, 2])).unwrap();
    assert_eq!(planned(&context), keys(&[3, 1, 2]), "the client's order");
    let answer = cache.finish(Millis(0), &context, &[QUIET; 3], 41).unwrap();
    assert_eq!(answer, SessionAnswer { session_id: 0, shown: vec![true; 3] });
    assert!(cache.is_empty());
}

#[test]
fn a_full_fetch_opens_a_session_and_the_next_shows_only_news_r_2_51_r_2_52() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[3, 1, 2]));
    assert_eq!(id, 41);
    let (plan, shown) = fetch(&mut cache, request(id, 1, &[]), &[QUIET, QUIET, QUIET]);
    assert_eq!((plan, shown), (keys(&[3, 1, 2]), vec![false; 3]));
    let higher = ReadResult { high_watermark: Offset(11), ..QUIET };
    let started = ReadResult { log_start: Offset(1), ..QUIET };
    let diverges = ReadResult { must_show: true, ..QUIET };
    let (_, shown) = fetch(&mut cache, request(id, 2, &[]), &[higher, started, diverges]);
    assert_eq!(shown, [true; 3]);
    let (_, shown) = fetch(&mut cache, request(id, 3, &[]), &[higher, started, QUIET]);
    assert_eq!(shown, [false; 3], "told already");
}

#[test]
fn an_error_is_shown_each_time_and_its_end_once_r_2_52() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let shown = [FAILED, FAILED, QUIET, QUIET]
        .iter()
        .zip(1..)
        .map(|(read, epoch)| fetch(&mut cache, request(id, epoch, &[]), &[*read]).1[0]);
    assert_eq!(shown.collect::<Vec<_>>(), [true, true, true, false]);
    let reads = [ReadResult { failed: true, ..QUIET }, QUIET, QUIET];
    let shown =
        reads.iter().zip(5..).map(|(read, epoch)| fetch(&mut cache, request(id, epoch, &[]), &[*read]).1[0]);
    assert_eq!(shown.collect::<Vec<_>>(), [true, true, false], "whatever offsets came with the error");
}

#[test]
fn a_partition_with_records_goes_behind_the_others_r_2_41() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1, 2, 3]));
    let (plan, shown) = fetch(&mut cache, request(id, 1, &[]), &[RECORDS, RECORDS, QUIET]);
    assert_eq!((plan, shown), (keys(&[1, 2, 3]), vec![true, true, false]));
    let (plan, _) = fetch(&mut cache, request(id, 2, &[]), &[RECORDS, QUIET, QUIET]);
    assert_eq!(plan, keys(&[3, 1, 2]));
    let (plan, _) = fetch(&mut cache, request(id, 3, &[]), &[QUIET; 3]);
    assert_eq!(plan, keys(&[1, 2, 3]));
}

#[test]
fn partitions_are_added_changed_and_forgotten_r_2_52() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1, 2, 3]));
    let mut change = request(id, 1, &[4]);
    change.partitions.push(asks(2, 77));
    change.forgotten = keys(&[1, 9]);
    let context = cache.begin(Millis(0), change).unwrap();
    assert_eq!(planned(&context), keys(&[2, 3, 4]));
    assert_eq!(context.plan[0].fetch_offset, Offset(77));
    let answer = cache.finish(Millis(0), &context, &[QUIET; 3], 0).unwrap();
    assert_eq!(answer.shown, [false, false, true], "the client knows nothing of the new one");
    let mut again = request(id, 2, &[3]);
    again.forgotten = keys(&[3]);
    let context = cache.begin(Millis(0), again).unwrap();
    assert_eq!(planned(&context), keys(&[2, 4, 3]), "forgotten first, then asked for anew");
    cache.check();
}

#[test]
fn a_session_that_forgets_everything_is_closed() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let context =
        cache.begin(Millis(0), SessionRequest { forgotten: keys(&[1]), ..request(id, 1, &[]) }).unwrap();
    assert!(context.plan.is_empty() && cache.is_empty());
    assert_eq!(cache.finish(Millis(0), &context, &[], 9).unwrap().session_id, 0);
    cache.check();
}

#[test]
fn a_session_is_closed_by_its_client_and_replaced_by_a_full_fetch_r_2_51() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    cache.begin(Millis(0), request(id, -1, &[])).unwrap();
    assert!(cache.is_empty());
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let next = open(&mut cache, 0, request(id, 0, &[2]));
    assert_eq!((cache.len(), cache.partitions()), (1, 1));
    assert_eq!(fetch(&mut cache, request(next, 1, &[]), &[QUIET]).0, keys(&[2]));
}

#[test]
fn sessions_are_refused_by_id_epoch_and_kind_of_topic_name_r_2_51() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let session_id = 5;
    assert_eq!(cache.begin(Millis(0), request(5, 1, &[])), Err(SessionError::NotFound { session_id }));
    let session_id = 0;
    assert_eq!(cache.begin(Millis(0), request(0, 1, &[])), Err(SessionError::NotFound { session_id }));
    let session_id = id;
    for sent in [2, i32::MAX, -2] {
        let refused = cache.begin(Millis(0), request(id, sent, &[]));
        assert_eq!(refused, Err(SessionError::InvalidEpoch { session_id, expected: 1, sent }));
    }
    let by_name = SessionRequest { uses_topic_ids: false, ..request(id, 1, &[]) };
    assert_eq!(cache.begin(Millis(0), by_name), Err(SessionError::MixedTopicIds { session_id }));
    fetch(&mut cache, request(id, 1, &[]), &[QUIET]);
}

#[test]
fn of_two_requests_on_one_session_the_later_one_counts() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let parked = cache.begin(Millis(0), request(id, 1, &[])).unwrap();
    let again = cache.begin(Millis(0), request(id, 1, &[]));
    assert_eq!(again, Err(SessionError::InvalidEpoch { session_id: id, expected: 2, sent: 1 }));
    let later = cache.begin(Millis(0), request(id, 2, &[])).unwrap();
    let overtaken = SessionError::InvalidEpoch { session_id: id, expected: 3, sent: 2 };
    assert_eq!(cache.finish(Millis(0), &parked, &[RECORDS], 0), Err(overtaken));
    assert_eq!(cache.finish_throttled(&parked), Err(overtaken));
    assert!(cache.finish(Millis(0), &later, &[RECORDS], 0).is_ok());
}

#[test]
fn a_session_that_vanished_meanwhile_is_answered_in_full_without_it() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1, 2]));
    let parked = cache.begin(Millis(0), request(id, 1, &[])).unwrap();
    cache.begin(Millis(0), request(id, -1, &[])).unwrap();
    let answer = cache.finish(Millis(0), &parked, &[QUIET; 2], 0).unwrap();
    assert_eq!(answer, SessionAnswer { session_id: 0, shown: vec![true; 2] });
}

#[test]
fn a_throttled_fetch_moves_the_epoch_and_tells_nothing_r_2_53() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1]));
    let context = cache.begin(Millis(0), request(id, 1, &[2])).unwrap();
    assert_eq!(cache.finish_throttled(&context), Ok(id));
    let (_, shown) = fetch(&mut cache, request(id, 2, &[]), &[QUIET; 2]);
    assert_eq!(shown, [false, true]);
    let full = cache.begin(Millis(0), request(0, 0, &[1])).unwrap();
    assert_eq!(cache.finish_throttled(&full), Ok(0));
}

#[test]
fn the_epoch_wraps_to_one_r_2_52() {
    assert_eq!(session::next_epoch(1), 2);
    assert_eq!(session::next_epoch(i32::MAX), 1);
}

#[test]
fn ids_are_positive_and_free() {
    let mut cache = cache();
    let mut ids = Vec::new();
    for fresh in [0, 1, 1, 0x8000_0000, u32::MAX, u32::MAX] {
        let context = cache.begin(Millis(0), request(0, 0, &[1])).unwrap();
        ids.push(cache.finish(Millis(0), &context, &[QUIET], fresh).unwrap().session_id);
    }
    assert_eq!(ids, [1, 2, 3, 4, i32::MAX, 5]);
}

fn small(slots: usize) -> SessionCache {
    SessionCache::new(SessionLimits { slots, partitions: 10, evict_after: Millis(100) })
}

#[test]
fn a_full_cache_refuses_until_a_session_was_idle_long_enough_r_2_52() {
    let mut cache = small(2);
    let first = open(&mut cache, 0, request(0, 0, &[1]));
    let second = open(&mut cache, 1, request(0, 0, &[1]));
    assert_eq!(open(&mut cache, 100, request(0, 0, &[1, 2, 3])), 0, "neither idle nor established");
    cache.begin(Millis(50), request(first, 1, &[])).unwrap();
    assert_ne!(open(&mut cache, 102, request(0, 0, &[1])), 0);
    let gone = cache.begin(Millis(102), request(second, 1, &[]));
    assert_eq!(gone, Err(SessionError::NotFound { session_id: second }), "idle longest");
}

#[test]
fn a_larger_session_takes_the_place_of_a_smaller_established_one() {
    let mut cache = small(2);
    let small = open(&mut cache, 0, request(0, 0, &[1]));
    let large = open(&mut cache, 0, request(0, 0, &[1, 2, 3]));
    for (id, now) in [(small, 90), (large, 90)] {
        cache.begin(Millis(now), request(id, 1, &[])).unwrap();
    }
    assert_ne!(open(&mut cache, 150, request(0, 0, &[1, 2])), 0);
    assert_eq!(open(&mut cache, 151, request(0, 0, &[1])), 0, "smaller than those who stay");
    assert!(cache.begin(Millis(150), request(small, 2, &[])).is_err());
    assert!(cache.begin(Millis(150), request(large, 2, &[])).is_ok());
}

#[test]
fn a_follower_takes_a_consumers_place_and_never_gives_it_back() {
    let mut cache = small(2);
    let follower = |partitions: &[u8]| SessionRequest { from_follower: true, ..request(0, 0, partitions) };
    open(&mut cache, 0, request(0, 0, &[1, 2, 3]));
    open(&mut cache, 0, request(0, 0, &[1, 2]));
    assert_ne!(open(&mut cache, 1, follower(&[1])), 0);
    assert_ne!(open(&mut cache, 2, follower(&[1])), 0);
    assert_eq!(open(&mut cache, 3, follower(&[1, 2])), 0, "another follower's, just made");
    assert_eq!(open(&mut cache, 4, request(0, 0, &[1, 2, 3, 4])), 0);
}

#[test]
fn partitions_are_limited_over_all_sessions() {
    let mut cache = small(100);
    assert_eq!(open(&mut cache, 0, request(0, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])), 0);
    let id = open(&mut cache, 0, request(0, 0, &[1, 2, 3, 4, 5, 6]));
    assert_eq!(open(&mut cache, 0, request(0, 0, &[1, 2, 3, 4, 5])), 0);
    let other = open(&mut cache, 0, request(0, 0, &[1, 2, 3, 4]));
    assert_ne!(other, 0);
    let grown = cache.begin(Millis(0), request(id, 1, &[7]));
    assert_eq!(grown, Err(SessionError::NotFound { session_id: id }), "it begins anew, without a session");
    assert_eq!(cache.partitions(), 4);
    let too_large = request(0, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(open(&mut cache, 1000, too_large), 0);
    assert_eq!(cache.len(), 1, "what never fits drives nobody out");
}

#[test]
fn a_partition_listed_twice_is_in_the_session_once() {
    let mut cache = cache();
    let id = open(&mut cache, 0, request(0, 0, &[1, 1]));
    let (plan, _) = fetch(&mut cache, request(id, 1, &[2, 2]), &[QUIET; 2]);
    assert_eq!(plan, keys(&[1, 2]));
}

#[derive(Clone, Debug)]
enum Step {
    Full(Vec<u8>),
    /// Partitions asked for with an offset each, and partitions to forget.
    Incremental(Vec<(u8, i64)>, Vec<u8>),
    WrongEpoch(i32),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0..8u8, 0..6);
    prop_oneof![
        1 => some().prop_map(Step::Full),
        8 => (prop::collection::vec((0..8u8, 0..100i64), 0..3), some())
            .prop_map(|(asked, forgotten)| Step::Incremental(asked, forgotten)),
        1 => (2..9i32).prop_map(Step::WrongEpoch),
        1 => Just(Step::Close),
    ]
}

/// A session as the KIP tells it: a list, and what the client was last told.
#[derive(Default)]
struct Model {
    id: i32,
    epoch: i32,
    partitions: Vec<(u8, i64)>,
    told: BTreeMap<u8, (i64, i64)>,
}

impl Model {
    fn put(&mut self, n: u8, offset: i64) {
        match self.partitions.iter_mut().find(|(other, _)| *other == n) {
            Some(known) => known.1 = offset,
            None => self.partitions.push((n, offset)),
        }
    }

    fn tell(&mut self, n: u8, read: &ReadResult) -> bool {
        let now = (read.high_watermark.0, read.log_start.0);
        let news = self.told.get(&n) != Some(&now) || read.has_records || read.must_show || read.failed;
        self.told.insert(n, if read.failed { (-1, now.1) } else { now });
        if read.has_records {
            let at = self.partitions.iter().position(|(other, _)| *other == n).unwrap();
            let moved = self.partitions.remove(at);
            self.partitions.push(moved);
        }
        news
    }
}

fn read() -> impl Strategy<Value = ReadResult> {
    (any::<[bool; 3]>(), 0..3i64, 0..2i64).prop_map(|([a, b, c], high_watermark, log_start)| {
        if a && b && c {
            return FAILED;
        }
        ReadResult {
            has_records: a && b,
            high_watermark: Offset(high_watermark),
            log_start: Offset(log_start),
            must_show: b && c,
            failed: false,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_session_does_what_the_kip_tells(
        steps in prop::collection::vec((step(), prop::collection::vec(read(), 8)), 1..60),
    ) {
        let mut cache = cache();
        let mut model = Model::default();
        for (step, reads) in steps {
            cache.check();
            match step {
                Step::Full(mut asked) => {
                    asked.sort_unstable();
                    asked.dedup();
                    let context = cache.begin(Millis(0), request(model.id, 0, &asked)).unwrap();
                    let reads: Vec<_> = reads.into_iter().take(asked.len()).collect();
                    let answer = cache.finish(Millis(0), &context, &reads, 7).unwrap();
                    prop_assert_eq!(&answer.shown, &vec![true; asked.len()]);
                    model = Model { id: answer.session_id, epoch: 1, ..Model::default() };
                    prop_assert_eq!(model.id == 0, asked.is_empty());
                    for (n, read) in asked.iter().zip(&reads) {
                        model.put(*n, 0);
                        model.told.insert(*n, (read.high_watermark.0, read.log_start.0));
                    }
                }
                Step::Incremental(asked, forgotten) => {
                    let mut request = request(model.id, model.epoch.max(1), &[]);
                    request.partitions = asked.iter().map(|(n, offset)| asks(*n, *offset)).collect();
                    request.forgotten = keys(&forgotten);
                    let begun = cache.begin(Millis(0), request);
                    if model.id == 0 {
                        prop_assert!(begun.is_err());
                        continue;
                    }
                    model.partitions.retain(|(n, _)| !forgotten.contains(n));
                    model.told.retain(|n, _| !forgotten.contains(n));
                    for (n, offset) in asked {
                        model.put(n, offset);
                    }
                    let context = begun.unwrap();
                    let expected: Vec<_> = model.partitions.iter().map(|(n, offset)| asks(*n, *offset)).collect();
                    prop_assert_eq!(&context.plan, &expected);
                    let reads: Vec<_> = reads.into_iter().take(context.plan.len()).collect();
                    let answer = cache.finish(Millis(0), &context, &reads, 7).unwrap();
                    if model.partitions.is_empty() {
                        model = Model::default();
                        prop_assert_eq!(answer.session_id, 0);
                        continue;
                    }
                    let planned: Vec<u8> = model.partitions.iter().map(|(n, _)| *n).collect();
                    let shown: Vec<bool> =
                        planned.iter().zip(&reads).map(|(n, read)| model.tell(*n, read)).collect();
                    prop_assert_eq!(answer, SessionAnswer { session_id: model.id, shown });
                    model.epoch += 1;
                }
                Step::WrongEpoch(by) => {
                    prop_assert!(cache.begin(Millis(0), request(model.id, model.epoch + by, &[1])).is_err());
                }
                Step::Close => {
                    cache.begin(Millis(0), request(model.id, -1, &[])).unwrap();
                    prop_assert!(cache.is_empty());
                    model = Model::default();
                }
            }
        }
    }
}
