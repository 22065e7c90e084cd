//! ListPartitionReassignments, key 46, version 0 (KIP-455). Replicas have nowhere to move on a lone broker, so none is moving.

use eddy_wire::ApiKey;
use eddy_wire::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::ListPartitionReassignments, 0, 0);

pub(crate) async fn handle(
    _: Call,
    _: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse {
        error_message: None,
        ..ListPartitionReassignmentsResponse::default()
    }
}
