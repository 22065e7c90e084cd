//! DescribeCluster, key 60, versions 0–2.
//!
//! v1 endpoint type (KIP-919) · v2 fenced brokers (KIP-1073)

use eddy_types::ErrorCode;
use eddy_wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use super::k03_metadata::CLUSTER_OPERATIONS;
use crate::brokers;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeCluster, 0, 2);

/// The endpoint type of brokers; controllers have none of their own here.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(call: Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response = DescribeClusterResponse {
        endpoint_type: BROKERS,
        error_message: None,
        ..DescribeClusterResponse::default()
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "this endpoint is of type broker (1), wanted is controller (2)".to_owned();
            return failed(&call, response, ErrorCode::MismatchedEndpointType, message);
        }
        other => {
            let message = format!("unsupported endpoint type: {other}");
            return failed(&call, response, ErrorCode::UnsupportedEndpointType, message);
        }
    }
    let image = call.image();
    response.cluster_id = image.cluster_id().map(|id| id.to_string().into()).unwrap_or_default();
    response.controller_id = brokers::controller(&call, &image).0;
    // The field is there from version 2 on, and false before.
    let wanted = image.brokers().filter(|broker| !broker.fenced || request.include_fenced_brokers);
    let described = wanted.filter_map(|broker| {
        let address = brokers::address(&call, &image, broker.id)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id.0,
            host: address.host.into(),
            port: i32::from(address.port),
            rack: address.rack.map(Str::from),
            is_fenced: broker.fenced,
        })
    });
    response.brokers = described.collect();
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}

fn failed(
    call: &Call,
    mut response: DescribeClusterResponse,
    code: ErrorCode,
    message: String,
) -> DescribeClusterResponse {
    response.error_code = call.code(code);
    response.error_message = Some(message.into());
    response
}
