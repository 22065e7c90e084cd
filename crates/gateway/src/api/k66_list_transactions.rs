//! ListTransactions, key 66, versions 0–2 (KIP-664).
//!
//! v1 by duration (KIP-994) · v2 by pattern (KIP-1152). There are no transactions.

use eddy_wire::ApiKey;
use eddy_wire::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::ListTransactions, 0, 2);

/// The states that a transaction can be in, as Kafka names them.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(crate) async fn handle(_: Call, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let is_unknown = |state: &str| !STATES.contains(&state);
    ListTransactionsResponse {
        unknown_state_filters: request.state_filters.into_iter().filter(|state| is_unknown(state)).collect(),
        ..ListTransactionsResponse::default()
    }
}
