//! How far the cluster's clock is from this machine's.

use std::time::{Duration, Instant};

use eddy_client::messages::describe_quorum_request::{PartitionData, TopicData};
use eddy_client::messages::{ApiKey, DescribeQuorumRequest};

use super::Check;
use super::metadata::Seen;
use crate::brokers::topic_name;
use crate::moment::now_ms;

/// Time for the controllers to answer; with a leader they take milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// From here on timestamps mislead retention and searches by time.
const WARN_MS: i64 = 1_000;
/// From here on tokens and certificates fail too.
const FAIL_MS: i64 = 60_000;

/// Compares with the controller's clock: as the leader of the metadata log it has caught up with itself at the moment of the answer, and
/// says when that was. The protocol has no other way to ask a broker for the time without writing.
pub(super) async fn check(seen: &Seen) -> Check {
    if seen.connection.versions().served(ApiKey::DescribeQuorum as i16).is_none() {
        return unknown();
    }
    let topic = TopicData::default()
        .with_topic_name(topic_name("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default()]);
    let began = (now_ms(), Instant::now());
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let Ok(answer) = tokio::time::timeout(PATIENCE, seen.connection.send(&request)).await else {
        return Check::fail(
            "controller",
            format!("no answer within {PATIENCE:?}: metadata cannot be changed"),
        )
        .advise("most controllers must run: eddy cluster health");
    };
    let round_trip_ms = i64::try_from(began.1.elapsed().as_millis()).unwrap_or(i64::MAX);
    let Ok(answer) = answer else { return unknown() };
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    let theirs = partition.and_then(|partition| {
        let leader = partition.current_voters.iter().find(|voter| voter.replica_id == partition.leader_id)?;
        Some(leader.last_caught_up_timestamp).filter(|at| *at > 0)
    });
    theirs.map_or_else(unknown, |theirs| judge("", theirs - (began.0 + round_trip_ms / 2)))
}

fn unknown() -> Check {
    Check::skip("clock", "the cluster does not tell its time without a record being written (--canary)")
}

/// A skew in milliseconds, positive when the cluster's clock is ahead.
pub(super) fn judge(whose: &str, skew_ms: i64) -> Check {
    let text = format!("{whose}skew {skew_ms:+} ms");
    match skew_ms.abs() {
        ..WARN_MS => Check::ok("clock", text),
        WARN_MS..FAIL_MS => Check::warn("clock", text)
            .advise("run NTP on both sides: producers stamp records with their own clock")
            .code("ED-3005"),
        _ => Check::fail("clock", text)
            .advise("run NTP on both sides: records land in the wrong place by time, and retention deletes too early or late")
            .code("ED-3005"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn skew_is_judged_both_ways() {
        assert_eq!(judge("", 12).text, "skew +12 ms");
        assert_eq!(judge("", -12).outcome, Outcome::Ok);
        assert_eq!(judge("", -1_500).outcome, Outcome::Warn);
        assert_eq!(judge("", 120_000).outcome, Outcome::Fail);
    }
}
