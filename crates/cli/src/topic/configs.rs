//! Configuration of topics: asked and changed.

use eddy_client::accepted;
use eddy_client::messages::describe_configs_request::DescribeConfigsResource;
use eddy_client::messages::describe_configs_response::DescribeConfigsResult;
use eddy_client::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use eddy_client::messages::{ApiKey, DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use eddy_client::protocol::StrBytes;
use serde::Serialize;

use crate::error::CliError;
use crate::{Brokers, To};

/// The type of a topic among resources.
const TOPIC: i8 = 2;
/// The source of a value that was set on the topic itself.
const OF_TOPIC: i8 = 1;

/// One key of a topic and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Setting {
    pub(super) key: String,
    /// None for what is secret.
    pub(super) value: Option<String>,
    pub(super) source: &'static str,
    /// Set on the topic itself.
    pub(super) is_override: bool,
}

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(String, String),
    Unset(String),
}

impl Change {
    pub(super) fn key(&self) -> &String {
        match self {
            Change::Set(key, _) | Change::Unset(key) => key,
        }
    }
}

/// All settings of a topic, in order of their keys.
pub(super) async fn describe(brokers: &Brokers, topic: &str) -> Result<Vec<Setting>, CliError> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = brokers
        .call(To::Any, &request, |answer| {
            let result = answer.results.into_iter().next().unwrap_or_default();
            accepted(ApiKey::DescribeConfigs, result.error_code, topic, result.error_message.as_deref())?;
            Ok(result)
        })
        .await?;
    Ok(settings(result))
}

fn settings(result: DescribeConfigsResult) -> Vec<Setting> {
    let mut settings: Vec<Setting> = result
        .configs
        .into_iter()
        .map(|config| Setting {
            key: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            source: source(config.config_source),
            is_override: config.config_source == OF_TOPIC,
        })
        .collect();
    settings.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    settings
}

/// Changes keys of a topic, all or none.
pub(super) async fn alter(
    brokers: &Brokers,
    topic: &str,
    changes: &[Change],
    dry_run: bool,
) -> Result<(), CliError> {
    let config = |change: &Change| {
        let (operation, value) = match change {
            Change::Set(_, value) => (0, Some(StrBytes::from_string(value.clone()))),
            Change::Unset(_) => (1, None),
        };
        AlterableConfig::default()
            .with_name(StrBytes::from_string(change.key().clone()))
            .with_config_operation(operation)
            .with_value(value)
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configs(changes.iter().map(config).collect());
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(dry_run);
    brokers
        .call(To::Controller, &request, |answer| {
            let result = answer.responses.into_iter().next().unwrap_or_default();
            accepted(
                ApiKey::IncrementalAlterConfigs,
                result.error_code,
                topic,
                result.error_message.as_deref(),
            )
        })
        .await
}

fn source(code: i8) -> &'static str {
    match code {
        1 => "topic",
        2 => "broker",
        3 => "cluster",
        4 => "static",
        5 => "default",
        _ => "other",
    }
}
