//! AlterConfigs, key 33, versions 0–2.
//!
//! v2 flexible. Replaces all overrides of a resource; older tools still send it.

use eddy_metadata::controller;
use eddy_types::ErrorCode;
use eddy_wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::target;
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::AlterConfigs, 0, 2);

pub(crate) async fn handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
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
    AlterConfigsResponse { responses, ..AlterConfigsResponse::default() }
}

async fn one(
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let target = target(call.ctx.engine.me(), resource.resource_type, &resource.resource_name)?;
    let entries: Vec<(String, Option<String>)> = resource
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(Str::to_string)))
        .collect();
    let decide = |image: &_| {
        let records = controller::replace_configs(image, &target, &entries)?;
        Ok((if validate_only { Vec::new() } else { records }, ()))
    };
    let changed = call.ctx.engine.quorum().change(decide).await;
    changed.map_err(|error| {
        change_code(error, |refused: controller::AlterConfigsError| (refused.code(), refused.to_string()))
    })
}
