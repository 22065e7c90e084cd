//! DescribeConfigs, key 32, versions 1–4.
//!
//! v1 synonyms and sources (KIP-226) · v3 types and documentation (KIP-569) · v4 flexible

use eddy_metadata::config::{Described, describe_broker, describe_broker_default, describe_topic};
use eddy_types::ErrorCode;
use eddy_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::{BROKER, TOPIC, broker_id, other_broker, topic_name};

pub(crate) const API: Api = Api::new(ApiKey::DescribeConfigs, 1, 4);

pub(crate) async fn handle(call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| one(&call, &request, resource));
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

fn one(
    call: &Call,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let mut result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    };
    match describe(call, resource) {
        Ok(described) => {
            // no list and an empty one both mean every key.
            let wanted = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
            result.configs = described
                .into_iter()
                .filter(|one| wanted.map_or(one.listed, |keys| keys.iter().any(|key| *key == *one.name)))
                .map(|one| entry(one, request))
                .collect();
        }
        Err((code, message)) => {
            result.error_code = call.code(code);
            result.error_message = Some(message.into());
        }
    }
    result
}

fn describe(call: &Call, resource: &DescribeConfigsResource) -> Result<Vec<Described>, (ErrorCode, String)> {
    let image = call.image();
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => match image.topic(name) {
            Some(topic) => Ok(describe_topic(&image, topic)),
            None => {
                topic_name(name)?;
                Err((ErrorCode::UnknownTopicOrPartition, format!("no such topic: {name:?}")))
            }
        },
        BROKER if name.is_empty() => Ok(describe_broker_default(&image)),
        BROKER => {
            let broker = broker_id(name)?;
            if broker == call.ctx.engine.me() {
                Ok(describe_broker(&image))
            } else {
                Err(other_broker(call.ctx.engine.me(), broker))
            }
        }
        other => Err((ErrorCode::InvalidRequest, format!("resource type {other} has no configuration here"))),
    }
}

fn entry(described: Described, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let synonyms = described.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: Str::from_static(synonym.name),
        value: synonym.value.map(Str::from),
        source: synonym.source as i8,
    });
    DescribeConfigsResourceResult {
        name: Str::from_static(described.name),
        value: described.value.map(Str::from),
        read_only: described.read_only,
        config_source: described.source as i8,
        is_sensitive: described.key.sensitive(),
        synonyms: if request.include_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: described.key.kind.code(),
        documentation: request.include_documentation.then(|| Str::from(described.key.documentation())),
    }
}
