//! AlterConfigs, key 33, versions 0–2.
//!
//! v2 flexible. Replaces all overrides of a resource; older tools still send it.

use eddy_wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::{Alteration, Altered, What, alter_all};

pub(crate) const API: Api = Api::new(ApiKey::AlterConfigs, 0, 2);

pub(crate) async fn handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let alterations = request.resources.iter().map(alteration).collect();
    let altered = alter_all(&call, alterations, request.validate_only).await;
    AlterConfigsResponse {
        responses: altered.into_iter().map(response).collect(),
        ..AlterConfigsResponse::default()
    }
}

fn alteration(resource: &AlterConfigsResource) -> Alteration {
    let entries = resource.configs.iter();
    let entries = entries.map(|config| (config.name.to_string(), config.value.as_ref().map(Str::to_string)));
    Alteration {
        resource_type: resource.resource_type,
        name: resource.resource_name.clone(),
        what: Ok(What::Replace(entries.collect())),
    }
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: altered.code,
        error_message: altered.message,
        resource_type: altered.resource_type,
        resource_name: altered.name,
    }
}
