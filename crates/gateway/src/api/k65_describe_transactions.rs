//! DescribeTransactions, key 65, version 0 (KIP-664). There are no transactions.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeTransactions, 0, 0);

pub(crate) async fn handle(call: Call, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|transactional_id| {
        let code = match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TransactionalIdNotFound,
        };
        TransactionState { error_code: call.code(code), transactional_id, ..TransactionState::default() }
    });
    DescribeTransactionsResponse {
        transaction_states: states.collect(),
        ..DescribeTransactionsResponse::default()
    }
}
