//! ListPartitionReassignments, key 46, version 0 (KIP-455): what is on its way from broker to broker.

use std::sync::Arc;

use eddy_metadata::controller::{Reassignment, list_reassignments};
use eddy_types::TopicPartition;
use eddy_wire::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::brokers::ids;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::ListPartitionReassignments, 0, 0);

pub(crate) async fn handle(
    call: Call,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let asked = request.topics.map(|topics| {
        let of_topic =
            topics.into_iter().map(|topic| (Arc::<str>::from(&*topic.name), topic.partition_indexes));
        let partitions = of_topic.flat_map(|(topic, indexes)| {
            let of = move |partition| TopicPartition { topic: Arc::clone(&topic), partition };
            indexes.into_iter().map(of)
        });
        partitions.collect::<Vec<_>>()
    });
    let mut topics: Vec<OngoingTopicReassignment> = Vec::new();
    // Sorted by topic and index.
    for moving in list_reassignments(&call.image(), asked.as_deref()) {
        if topics.last().is_none_or(|last| *last.name != *moving.partition.topic) {
            let name = Str::from(&*moving.partition.topic);
            topics.push(OngoingTopicReassignment { name, ..OngoingTopicReassignment::default() });
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(told(&moving));
        }
    }
    ListPartitionReassignmentsResponse {
        error_message: None,
        topics,
        ..ListPartitionReassignmentsResponse::default()
    }
}

fn told(moving: &Reassignment) -> OngoingPartitionReassignment {
    OngoingPartitionReassignment {
        partition_index: moving.partition.partition,
        replicas: ids(&moving.replicas),
        adding_replicas: ids(&moving.adding),
        removing_replicas: ids(&moving.removing),
    }
}
