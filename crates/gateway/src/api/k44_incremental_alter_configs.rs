//! IncrementalAlterConfigs, key 44, versions 0–1.
//!
//! v1 flexible. Sets, deletes, appends and subtracts single keys (KIP-339, R-3.143), each resource whole or not at all.

use eddy_metadata::controller::{AlterOperation, ConfigChange};
use eddy_types::ErrorCode;
use eddy_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::{Alteration, Altered, Refusal, What, alter_all};

pub(crate) const API: Api = Api::new(ApiKey::IncrementalAlterConfigs, 0, 1);

pub(crate) async fn handle(
    call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let alterations = request.resources.iter().map(alteration).collect();
    let altered = alter_all(&call, alterations, request.validate_only).await;
    IncrementalAlterConfigsResponse {
        responses: altered.into_iter().map(response).collect(),
        ..IncrementalAlterConfigsResponse::default()
    }
}

fn alteration(resource: &AlterConfigsResource) -> Alteration {
    let changes: Result<Vec<_>, Refusal> = resource.configs.iter().map(change).collect();
    Alteration {
        resource_type: resource.resource_type,
        name: resource.resource_name.clone(),
        what: changes.map(What::Change),
    }
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, Refusal> {
    let operation = AlterOperation::from_code(config.config_operation).ok_or_else(|| {
        let sentence = format!("unknown operation {} for {}", config.config_operation, config.name);
        (ErrorCode::InvalidRequest, sentence)
    })?;
    let value = config.value.as_ref().map(Str::to_string);
    Ok(ConfigChange { key: config.name.to_string(), operation, value })
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: altered.code,
        error_message: altered.message,
        resource_type: altered.resource_type,
        resource_name: altered.name,
    }
}
