//! `eddy topic create`.

use std::time::Duration;

use eddy_client::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use eddy_client::messages::create_topics_response::CreatableTopicResult;
use eddy_client::messages::{ApiKey, CreateTopicsRequest, CreateTopicsResponse};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};
use eddy_types::{ErrorCode, TopicId};
use serde::Serialize;
use tokio::time::Instant;

use super::{ADMIN_TIMEOUT_MS, all_done, assignment, report, with_key_suggestion};
use crate::brokers::topic_name;
use crate::error::CliError;
use crate::{Brokers, Cell, Column, Context, To};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Number of partitions [default: the cluster's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Copies of each partition [default: the cluster's]
    #[arg(short, long, alias = "replication-factor", value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,
    /// Configuration of the topics
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Be content with a topic that is there already
    #[arg(long)]
    if_not_exists: bool,
    /// Have everything checked and create nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    id: String,
    partitions: i32,
    replicas: i16,
    outcome: &'static str,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("NAME", |row| Cell::text(row.name.clone())),
    Column::new("PARTITIONS", |row| known(row.partitions.into())),
    Column::new("REPLICAS", |row| known(row.replicas.into())),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
    Column::wide("ID", |row| Cell::text(row.id.clone())),
];

/// Between two looks whether new topics have their leaders, and how long to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    context.changes()?;
    let (rows, failed) = create(context.brokers().await?, arguments).await?;
    report(context, COLUMNS, &rows, failed)
}

/// Creates a topic with the cluster's number of replicas, unless it is there.
///
/// # Errors
/// A name that the cluster refuses, and what else may be in the way.
pub(crate) async fn create_missing(brokers: &Brokers, name: &str, partitions: i32) -> Result<(), CliError> {
    let arguments = Arguments {
        names: vec![name.to_owned()],
        partitions: Some(partitions),
        replicas: None,
        set: Vec::new(),
        if_not_exists: true,
        dry_run: false,
    };
    let (_, failed) = create(brokers, &arguments).await?;
    all_done(failed)
}

async fn create(brokers: &Brokers, arguments: &Arguments) -> Result<(Vec<Row>, Vec<CliError>), CliError> {
    let results = brokers.call(To::Controller, &request(arguments), read).await?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for result in results {
        match outcome(arguments, result) {
            Ok(row) => rows.push(row),
            Err(error) => failed.push(error),
        }
    }
    if !arguments.dry_run {
        wait_for_leaders(brokers, &rows).await?;
    }
    Ok((rows, failed))
}

fn request(arguments: &Arguments) -> CreateTopicsRequest {
    let config = |(key, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(key.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    let topic = |name: &String| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(arguments.partitions.unwrap_or(-1))
            .with_replication_factor(arguments.replicas.unwrap_or(-1))
            .with_configs(arguments.set.iter().map(config).collect())
    };
    CreateTopicsRequest::default()
        .with_topics(arguments.names.iter().map(topic).collect())
        .with_timeout_ms(ADMIN_TIMEOUT_MS)
        .with_validate_only(arguments.dry_run)
}

/// Codes that pass are those of the whole request: the broker has no controller yet, say.
fn read(answer: CreateTopicsResponse) -> Result<Vec<CreatableTopicResult>, CallError> {
    for topic in &answer.topics {
        if ErrorCode::from_code(topic.error_code).is_some_and(ErrorCode::is_retriable) {
            accepted(ApiKey::CreateTopics, topic.error_code, &*topic.name.0, topic.error_message.as_deref())?;
        }
    }
    Ok(answer.topics)
}

fn outcome(arguments: &Arguments, result: CreatableTopicResult) -> Result<Row, CliError> {
    let exists = result.error_code == ErrorCode::TopicAlreadyExists as i16;
    if result.error_code != 0 && !(exists && arguments.if_not_exists) {
        let name = result.name.to_string();
        let what = format!("cannot create topic {name}");
        let error = CliError::refused(what, result.error_code, result.error_message.as_deref());
        let error = with_key_suggestion(error, arguments.set.iter().map(|(key, _)| key));
        return Err(if exists {
            error
                .fix(format!("eddy topic describe {name}"), "look at it")
                .fix("--if-not-exists", "be content with it")
        } else {
            error
        });
    }
    let outcome = match (exists, arguments.dry_run) {
        (true, _) => "exists",
        (false, true) => "would be created",
        (false, false) => "created",
    };
    Ok(Row {
        name: result.name.to_string(),
        id: TopicId(*result.topic_id.as_bytes()).to_string(),
        partitions: result.num_partitions,
        replicas: result.replication_factor,
        outcome,
    })
}

/// Who produces right after this must not find a partition without a leader. A topic that has none for longer is created all the same.
async fn wait_for_leaders(brokers: &Brokers, rows: &[Row]) -> Result<(), CliError> {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let deadline = Instant::now() + LOOK_FOR;
    while !names.is_empty() && Instant::now() < deadline {
        let cluster = brokers.cluster(Some(&names)).await?;
        let has_leaders = |topic: &crate::Topic| {
            topic.error == 0 && topic.partitions.iter().all(|partition| partition.leader.0 >= 0)
        };
        if cluster.topics.iter().all(has_leaders) {
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

fn known(number: i64) -> Cell {
    if number < 0 { Cell::None } else { Cell::Count(number) }
}
