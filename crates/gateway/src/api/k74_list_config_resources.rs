//! ListConfigResources, key 74, versions 0–1.
//!
//! v0 lists subscriptions to client metrics only (KIP-714) · v1 every type (KIP-1142)

use eddy_metadata::Image;
use eddy_types::ErrorCode;
use eddy_wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};

pub(crate) const API: Api = Api::new(ApiKey::ListConfigResources, 0, 1);

/// Every type there is; an empty list in a request means all of them.
const TYPES: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(crate) async fn handle(call: Call, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let image = call.image();
    let wanted: Vec<i8> = match (call.version, request.resource_types.as_slice()) {
        (0, _) => vec![CLIENT_METRICS],
        (_, []) => TYPES.to_vec(),
        (_, wanted) if wanted.iter().all(|wanted| TYPES.contains(wanted)) => {
            TYPES.into_iter().filter(|kind| wanted.contains(kind)).collect()
        }
        _ => {
            return ListConfigResourcesResponse {
                error_code: call.code(ErrorCode::UnsupportedVersion),
                ..ListConfigResourcesResponse::default()
            };
        }
    };
    let config_resources = wanted.iter().flat_map(|kind| resources(&image, *kind)).collect();
    ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
}

/// The resources of one type: topics and brokers that there are, groups and subscriptions that have a configuration.
fn resources(image: &Image, kind: i8) -> Vec<ConfigResource> {
    let names: Vec<Str> = match kind {
        TOPIC => image.topics().map(|topic| Str::from(&*topic.name)).collect(),
        BROKER | BROKER_LOGGER => {
            image.alive_brokers().map(|broker| Str::from(broker.id.to_string())).collect()
        }
        CLIENT_METRICS => image.client_metrics_names().map(Str::from).collect(),
        _ => image.configured_groups().map(Str::from).collect(),
    };
    let resource = |resource_name| ConfigResource { resource_name, resource_type: kind };
    names.into_iter().map(resource).collect()
}
