//! DescribeConfigs, key 32, versions 1–4.
//!
//! v1 synonyms and sources (KIP-226) · v3 types and documentation (KIP-569) · v4 flexible

use eddy_metadata::config::{
    Described, Source, describe_broker, describe_broker_default, describe_client_metrics, describe_group,
    describe_topic,
};
use eddy_types::ErrorCode;
use eddy_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::config_resource::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, Refusal, TOPIC, this_broker, topic_name,
};

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
    // no list and an empty one both mean every key.
    let wanted = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
    let is_wanted =
        |name: &str, listed: bool| wanted.map_or(listed, |keys| keys.iter().any(|key| key.as_str() == name));
    let entries = if resource.resource_type == BROKER_LOGGER {
        loggers(call, &resource.resource_name, is_wanted)
    } else {
        describe(call, resource).map(|described| {
            let wanted = described.into_iter().filter(|one| is_wanted(one.name, one.listed));
            wanted.map(|one| entry(one, request)).collect()
        })
    };
    match entries {
        Ok(entries) => result.configs = entries,
        Err((code, message)) => {
            result.error_code = call.code(code);
            result.error_message = Some(message.into());
        }
    }
    result
}

fn describe(call: &Call, resource: &DescribeConfigsResource) -> Result<Vec<Described>, Refusal> {
    let image = call.image();
    let name = resource.resource_name.as_str();
    let refused = |sentence: &str| Err((ErrorCode::InvalidRequest, sentence.to_owned()));
    match resource.resource_type {
        TOPIC => match image.topic(name) {
            Some(topic) => Ok(describe_topic(&image, topic)),
            None => {
                topic_name(name)?;
                Err((ErrorCode::UnknownTopicOrPartition, format!("no such topic: {name:?}")))
            }
        },
        BROKER if name.is_empty() => Ok(describe_broker_default(&image)),
        BROKER => this_broker(call.ctx.engine.me(), name).map(|()| describe_broker(&image)),
        CLIENT_METRICS if name.is_empty() => refused("Client metrics subscription name must not be empty"),
        CLIENT_METRICS => Ok(describe_client_metrics(&image, name)),
        GROUP if name.is_empty() => refused("Group name must not be empty"),
        GROUP => Ok(describe_group(&image, name)),
        other => refused(&format!("resource type {other} has no configuration here")),
    }
}

/// The levels of this broker's loggers, without a type as Kafka answers them.
fn loggers(
    call: &Call,
    broker: &str,
    is_wanted: impl Fn(&str, bool) -> bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    this_broker(call.ctx.engine.me(), broker)?;
    let levels = call.ctx.settings.loggers.levels().into_iter();
    let wanted = levels.filter(|(logger, _)| is_wanted(logger, true));
    let entries = wanted.map(|(logger, level)| DescribeConfigsResourceResult {
        name: logger.into(),
        value: Some(Str::from_static(level.name())),
        config_source: Source::Logger as i8,
        ..DescribeConfigsResourceResult::default()
    });
    Ok(entries.collect())
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
