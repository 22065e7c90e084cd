//! Asking for settings, and changing them.

use eddy_client::messages::describe_configs_request::DescribeConfigsResource;
use eddy_client::messages::describe_configs_response::DescribeConfigsResourceResult;
use eddy_client::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use eddy_client::messages::{
    ApiKey, DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};
use eddy_types::BrokerId;
use serde::Serialize;

use super::{ALL_BROKERS, Kind, Resource};
use crate::brokers::{Brokers, To};
use crate::error::CliError;

/// A setting and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) key: String,
    /// `None` when it is secret, or has none.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    pub(crate) read_only: bool,
    pub(crate) sensitive: bool,
    /// Every place that gives it a value, the one that counts first.
    pub(crate) synonyms: Vec<Synonym>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) documentation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Synonym {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Topic,
    Broker,
    AllBrokers,
    BrokerFile,
    Default,
    BrokerLogger,
    ClientMetrics,
    Group,
    Unknown,
}

impl Source {
    fn of(code: i8) -> Source {
        match code {
            1 => Source::Topic,
            2 => Source::Broker,
            3 => Source::AllBrokers,
            4 => Source::BrokerFile,
            5 => Source::Default,
            6 => Source::BrokerLogger,
            7 => Source::ClientMetrics,
            8 => Source::Group,
            _ => Source::Unknown,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Source::Topic => "topic",
            Source::Broker => "this broker",
            Source::AllBrokers => "all brokers",
            Source::BrokerFile => "broker's file",
            Source::Default => "default",
            Source::BrokerLogger => "broker logger",
            Source::ClientMetrics => "client metrics",
            Source::Group => "group",
            Source::Unknown => "unknown",
        }
    }
}

impl Setting {
    /// What it would be if nobody had set it.
    pub(crate) fn default(&self) -> Option<&str> {
        let default = self.synonyms.iter().find(|synonym| synonym.source == Source::Default)?;
        default.value.as_deref()
    }
}

/// The settings of a resource, all or some, by key.
pub(crate) async fn settings(
    brokers: &Brokers,
    resource: &Resource,
    keys: Option<&[String]>,
    documentation: bool,
) -> Result<Vec<Setting>, CliError> {
    if resource.kind == Kind::Topic {
        // A topic that is not there would be asked for until the deadline: it might have just been created.
        brokers.cluster(Some(&[&resource.name])).await?.topic(&resource.name)?;
    }
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let asked = DescribeConfigsResource::default()
        .with_resource_type(resource.kind.code())
        .with_resource_name(text(resource.wire_name()))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![asked])
        .with_include_synonyms(true)
        .with_include_documentation(documentation);
    let read = |answer: DescribeConfigsResponse| {
        let result =
            answer.results.into_iter().next().ok_or_else(|| missing(ApiKey::DescribeConfigs, resource))?;
        accepted(ApiKey::DescribeConfigs, result.error_code, resource, result.error_message.as_deref())?;
        Ok(result.configs)
    };
    let described = brokers.call(resource.asked_of()?, &request, read).await?;
    let mut settings: Vec<Setting> = described.into_iter().map(setting).collect();
    settings.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(settings)
}

fn setting(result: DescribeConfigsResourceResult) -> Setting {
    let text = |text: StrBytes| text.to_string();
    Setting {
        key: text(result.name),
        value: result.value.map(text),
        source: Source::of(result.config_source),
        read_only: result.read_only,
        sensitive: result.is_sensitive,
        synonyms: result
            .synonyms
            .into_iter()
            .map(|synonym| Synonym {
                key: text(synonym.name),
                value: synonym.value.map(text),
                source: Source::of(synonym.source),
            })
            .collect(),
        documentation: result.documentation.map(text),
    }
}

/// How a setting is changed; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Operation {
    Set = 0,
    Unset = 1,
    /// Adds to a list.
    Append = 2,
    /// Takes from a list.
    Subtract = 3,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) operation: Operation,
    /// Empty for [`Operation::Unset`].
    pub(crate) value: String,
}

/// Changes settings, all or none; or only asks whether that would be accepted.
pub(crate) async fn alter(
    brokers: &Brokers,
    resource: &Resource,
    changes: &[Change],
    only_validate: bool,
) -> Result<(), CliError> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let change = |change: &Change| {
        let value = (change.operation != Operation::Unset).then(|| text(&change.value));
        AlterableConfig::default()
            .with_name(text(&change.key))
            .with_config_operation(change.operation as i8)
            .with_value(value)
    };
    let asked = AlterConfigsResource::default()
        .with_resource_type(resource.kind.code())
        .with_resource_name(text(resource.wire_name()))
        .with_configs(changes.iter().map(change).collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![asked])
        .with_validate_only(only_validate);
    let read = |answer: IncrementalAlterConfigsResponse| {
        let result = answer.responses.into_iter().next();
        let result = result.ok_or_else(|| missing(ApiKey::IncrementalAlterConfigs, resource))?;
        accepted(
            ApiKey::IncrementalAlterConfigs,
            result.error_code,
            resource,
            result.error_message.as_deref(),
        )
    };
    brokers.call(resource.asked_of()?, &request, read).await
}

fn missing(api: ApiKey, resource: &Resource) -> CallError {
    CallError::Missing { api: api as i16, about: resource.to_string() }
}

impl Resource {
    fn wire_name(&self) -> &str {
        if self.is_all_brokers() { "" } else { &self.name }
    }

    fn is_all_brokers(&self) -> bool {
        self.kind == Kind::Broker && self.name == ALL_BROKERS
    }

    /// A broker answers for itself only.
    fn asked_of(&self) -> Result<To<'static>, CliError> {
        match self.kind {
            Kind::Broker if self.is_all_brokers() => Ok(To::Any),
            Kind::Broker | Kind::BrokerLogger => match self.name.parse() {
                Ok(id) => Ok(To::Broker(BrokerId(id))),
                Err(_) => {
                    Err(CliError::usage(format!("a broker goes by its id, or {ALL_BROKERS}: {}", self.name))
                        .fix("eddy cluster brokers", "list the brokers"))
                }
            },
            Kind::Topic | Kind::Group | Kind::ClientMetrics => Ok(To::Any),
        }
    }
}
