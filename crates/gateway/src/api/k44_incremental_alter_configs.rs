//! IncrementalAlterConfigs, key 44, versions 0–1.
//!
//! v1 flexible. Sets, deletes, appends and subtracts single keys (KIP-339, R-3.143), each resource whole or not at all.

use eddy_metadata::controller::{self, AlterConfigsError, AlterOperation, ConfigChange};
use eddy_types::ErrorCode;
use eddy_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::target;
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::IncrementalAlterConfigs, 0, 1);

pub(crate) async fn handle(
    call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let same = |other: &&AlterConfigsResource| {
            (other.resource_type, &other.resource_name) == (resource.resource_type, &resource.resource_name)
        };
        let outcome = if request.resources.iter().filter(same).count() > 1 {
            Err((ErrorCode::InvalidRequest, "the resource is named twice in the request".to_owned()))
        } else {
            one(&call, resource, request.validate_only).await
        };
        let (code, message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(Str::from(message))),
        };
        responses.push(AlterConfigsResourceResponse {
            error_code: call.code(code),
            error_message: message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
        });
    }
    IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
}

async fn one(
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let target = target(call.ctx.engine.me(), resource.resource_type, &resource.resource_name)?;
    let mut changes = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let operation = AlterOperation::from_code(config.config_operation).ok_or_else(|| {
            (
                ErrorCode::InvalidRequest,
                format!("unknown operation {} for {}", config.config_operation, config.name),
            )
        })?;
        changes.push(ConfigChange {
            key: config.name.to_string(),
            operation,
            value: config.value.as_ref().map(Str::to_string),
        });
    }
    let decide = |image: &_| {
        let records = controller::alter_configs(image, &target, &changes)?;
        Ok((if validate_only { Vec::new() } else { records }, ()))
    };
    let changed = call.ctx.engine.quorum().change(decide).await;
    changed.map_err(|error| {
        change_code(error, |refused: AlterConfigsError| (refused.code(), refused.to_string()))
    })
}
