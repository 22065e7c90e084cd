//! Fetch sessions over the wire (KIP-227, R-2.51 to) and fetches by topic id.

use kafka_protocol::messages::DeleteTopicsRequest;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::FetchResponse;

use crate::fetch::{fetch_by_name, fetch_topics, first, partition, values};
use crate::harness::{Broker, settings, topic_name};
use crate::records::batch;

const VERSION: i16 = 12;

/// A request on a session that names nothing new.
fn next(session: i32, epoch: i32) -> FetchRequest {
    on(fetch_topics(&[]), session, epoch)
}

fn on(request: FetchRequest, session: i32, epoch: i32) -> FetchRequest {
    request.with_session_id(session).with_session_epoch(epoch)
}

/// Index and code of every partition in an answer.
fn shown(response: &FetchResponse) -> Vec<(i32, i16)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|data| (data.partition_index, data.error_code)).collect()
}

async fn session(broker: &Broker, request: FetchRequest) -> i32 {
    let response = broker.call(VERSION, on(request, 0, 0)).await;
    assert_eq!(response.error_code, 0);
    assert_ne!(response.session_id, 0);
    response.session_id
}

#[tokio::test]
async fn without_a_session_there_is_none_r_2_51() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for version in [4, 6, 7, 11, 12] {
        let response = broker.call(version, fetch_by_name("t", 0, 0)).await;
        assert_eq!((response.session_id, shown(&response)), (0, vec![(0, 0)]));
    }
    assert_eq!(broker.metric("eddy_fetch_sessions"), 0.0);
}

#[tokio::test]
async fn an_incremental_answer_shows_what_has_changed_r_2_52() {
    let broker = Broker::start().await;
    broker.topic("t", 3, &[]).await;
    let all = fetch_topics(&[("t", vec![partition(0, 0), partition(1, 0), partition(2, 0)])]);
    let id = session(&broker, all).await;
    assert!(shown(&broker.call(VERSION, next(id, 1)).await).is_empty());
    broker.produce("t", 1, batch(&["x"])).await;
    let response = broker.call(VERSION, next(id, 2)).await;
    assert_eq!((response.session_id, shown(&response)), (id, vec![(1, 0)]));
    assert_eq!(values(first(&response)), [(0, "x".to_owned())]);
    // Not read on: the records come again.
    assert_eq!(shown(&broker.call(VERSION, next(id, 3)).await), [(1, 0)]);
    let read_on = on(fetch_by_name("t", 1, 1), id, 4);
    assert!(shown(&broker.call(VERSION, read_on).await).is_empty());
}

#[tokio::test]
async fn an_error_is_told_and_so_is_its_end_r_2_52() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let id = session(&broker, fetch_by_name("t", 0, 0)).await;
    let out_of_range = on(fetch_by_name("t", 0, 99), id, 1);
    assert_eq!(shown(&broker.call(VERSION, out_of_range).await), [(0, 1)]);
    assert_eq!(shown(&broker.call(VERSION, next(id, 2)).await), [(0, 1)]);
    let repaired = on(fetch_by_name("t", 0, 0), id, 3);
    assert_eq!(shown(&broker.call(VERSION, repaired).await), [(0, 0)]);
    assert!(shown(&broker.call(VERSION, next(id, 4)).await).is_empty());
}

#[tokio::test]
async fn what_does_not_exist_is_answered_last() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, batch(&["x"])).await;
    let odd = fetch_topics(&[("nope", vec![partition(0, 0)]), ("t", vec![partition(9, 0), partition(0, 0)])]);
    let response = broker.call(VERSION, on(odd, 0, 0)).await;
    let names: Vec<&str> = response.responses.iter().map(|topic| topic.topic.as_str()).collect();
    assert_eq!(names, ["t", "nope", "t"]);
    assert_eq!(shown(&response), [(0, 0), (0, 3), (9, 3)]);
}

#[tokio::test]
async fn epochs_and_ids_that_do_not_fit_are_refused_r_2_51() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let id = session(&broker, fetch_by_name("t", 0, 0)).await;
    for (session, epoch, code) in [(id, 2, 71), (id, i32::MAX, 71), (id + 1, 1, 70), (0, 1, 70)] {
        let response = broker.call(VERSION, next(session, epoch)).await;
        assert_eq!((response.error_code, response.responses.len()), (code, 0), "epoch {epoch}");
    }
    assert_eq!(broker.call(VERSION, next(id, 1)).await.error_code, 0, "the session lives on");
    assert_eq!(broker.call(VERSION, next(id, 1)).await.error_code, 71, "a repeated request");
}

#[tokio::test]
async fn a_session_ends_by_minus_one_and_by_a_new_one_r_2_51() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let closed = session(&broker, fetch_by_name("t", 0, 0)).await;
    let last = broker.call(VERSION, on(fetch_by_name("t", 0, 0), closed, -1)).await;
    assert_eq!((last.session_id, shown(&last)), (0, vec![(0, 0)]));
    assert_eq!(broker.call(VERSION, next(closed, 1)).await.error_code, 70);
    let replaced = session(&broker, fetch_by_name("t", 0, 0)).await;
    let new = broker.call(VERSION, on(fetch_by_name("t", 0, 0), replaced, 0)).await.session_id;
    assert!(new != 0 && new != replaced);
    assert_eq!(broker.call(VERSION, next(replaced, 1)).await.error_code, 70);
}

#[tokio::test]
async fn forgotten_partitions_leave_first_r_2_52() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let id = session(&broker, fetch_topics(&[("t", vec![partition(0, 0), partition(1, 0)])])).await;
    broker.produce("t", 0, batch(&["x"])).await;
    broker.produce("t", 1, batch(&["y"])).await;
    let forgotten = ForgottenTopic::default().with_topic(topic_name("t")).with_partitions(vec![0, 7]);
    let request = next(id, 1).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(shown(&broker.call(VERSION, request).await), [(1, 0)]);
    let last = ForgottenTopic::default().with_topic(topic_name("t")).with_partitions(vec![1]);
    let emptied = broker.call(VERSION, next(id, 2).with_forgotten_topics_data(vec![last])).await;
    assert_eq!((emptied.session_id, shown(&emptied)), (0, vec![]));
    assert_eq!(broker.call(VERSION, next(id, 3)).await.error_code, 70);
}

#[tokio::test]
async fn no_room_for_a_session_is_answered_without_one_r_2_52() {
    let mut few = settings();
    few.fetch_sessions_max = 1;
    let broker = Broker::with(few, &[]).await;
    broker.topic("t", 1, &[]).await;
    let id = session(&broker, fetch_by_name("t", 0, 0)).await;
    let second = broker.call(VERSION, on(fetch_by_name("t", 0, 0), 0, 0)).await;
    assert_eq!((second.error_code, second.session_id, shown(&second)), (0, 0, vec![(0, 0)]));
    assert_eq!(broker.call(VERSION, next(id, 1)).await.error_code, 0);
    assert_eq!(broker.metric("eddy_fetch_sessions"), 1.0);
}

/// A fetch by topic id.
async fn fetch_by_id(broker: &Broker, topic: &str) -> FetchRequest {
    let id = crate::metadata::topic(broker, topic).await.topic_id;
    let topic = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition(0, 0)]);
    FetchRequest::default().with_max_bytes(1 << 20).with_min_bytes(1).with_topics(vec![topic])
}

#[tokio::test]
async fn names_and_ids_do_not_mix_in_a_session_r_2_51() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let by_name = session(&broker, fetch_by_name("t", 0, 0)).await;
    assert_eq!(broker.call(13, next(by_name, 1)).await.error_code, 106);
    let by_id = broker.call(13, on(fetch_by_id(&broker, "t").await, 0, 0)).await.session_id;
    assert_eq!(broker.call(VERSION, next(by_id, 1)).await.error_code, 106);
    assert_eq!(broker.call(18, next(by_id, 1)).await.error_code, 0);
}

#[tokio::test]
async fn a_topic_made_again_is_another_one_r_2_54_r_3_131() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, batch(&["old"])).await;
    let old = fetch_by_id(&broker, "t").await;
    let opened = broker.call(13, on(old.clone(), 0, 0)).await;
    assert_eq!(values(first(&opened)), [(0, "old".to_owned())]);
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]).with_timeout_ms(5000);
    assert_eq!(broker.call(5, delete).await.responses[0].error_code, 0);
    broker.topic("t", 1, &[]).await;
    for version in 13..=18 {
        assert_eq!(shown(&broker.call(version, old.clone()).await), [(0, 100)]);
    }
    assert_eq!(shown(&broker.call(13, next(opened.session_id, 1)).await), [(0, 100)]);
    let new = broker.call(13, fetch_by_id(&broker, "t").await).await;
    assert_eq!((first(&new).error_code, first(&new).high_watermark), (0, 0), "new data");
}

#[tokio::test]
async fn an_old_leader_epoch_is_told_the_new_leader_from_version_16_on_r_2_49() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for version in 13..=18 {
        for (epoch, code) in [(-2, 74), (9, 75)] {
            let mut request = fetch_by_id(&broker, "t").await;
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let response = broker.call(version, request).await;
            let told = if version >= 16 && code == 74 { (1, 0) } else { (-1, -1) };
            let leader = &first(&response).current_leader;
            assert_eq!(first(&response).error_code, code);
            assert_eq!((leader.leader_id.0, leader.leader_epoch), told, "version {version}");
        }
    }
}
