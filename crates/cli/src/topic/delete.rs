//! `eddy topic delete`.

use eddy_client::messages::delete_topics_request::DeleteTopicState;
use eddy_client::messages::delete_topics_response::DeletableTopicResult;
use eddy_client::messages::{ApiKey, DeleteTopicsRequest, DeleteTopicsResponse};
use eddy_client::{CallError, accepted};
use eddy_types::ErrorCode;
use serde::Serialize;

use super::{ADMIN_TIMEOUT_MS, report};
use crate::brokers::topic_name;
use crate::error::{CliError, Exit};
use crate::{Cell, Column, Context, To, Topic, select};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Names of the topics, globs too
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Be content when there is no such topic
    #[arg(long)]
    if_exists: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    partitions: usize,
    outcome: &'static str,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("NAME", |row| Cell::text(row.name.clone())),
    Column::new("PARTITIONS", |row| Cell::Count(row.partitions as i64)),
    Column::new("OUTCOME", |row| Cell::text(row.outcome)),
];

/// Up to this version topics are a list of names.
const BY_NAME_MAX: i16 = 5;
/// Names shown in a question; a longer list is counted.
const NAMES_SHOWN: usize = 10;

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let topics = match select::topics(brokers, &arguments.names).await {
        Err(error) if arguments.if_exists && error.exit() == Exit::NotFound => Vec::new(),
        found => found?,
    };
    if arguments.dry_run || topics.is_empty() {
        let rows: Vec<Row> = topics.iter().map(|topic| row(topic, "would be deleted")).collect();
        return context.printer.rows(COLUMNS, &rows);
    }
    let name = if let [topic] = &topics[..] { topic.name.as_str() } else { "delete" };
    context.confirm(&question(&topics), name, arguments.yes)?;
    let results = brokers
        .retry(To::Controller, async |connection| {
            let served = connection.versions().served(ApiKey::DeleteTopics as i16);
            let by_name = served.is_some_and(|served| served.max <= BY_NAME_MAX);
            read(connection.send(&request(&topics, by_name)).await?)
        })
        .await?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for result in results {
        let name = result.name.map(|name| name.to_string()).unwrap_or_default();
        match result.error_code {
            0 => {
                rows.extend(topics.iter().find(|topic| topic.name == name).map(|topic| row(topic, "deleted")))
            }
            code => {
                let what = format!("cannot delete topic {name}");
                failed.push(CliError::refused(what, code, result.error_message.as_deref()));
            }
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    report(context, COLUMNS, &rows, failed)
}

fn row(topic: &Topic, outcome: &'static str) -> Row {
    Row { name: topic.name.clone(), partitions: topic.partitions.len(), outcome }
}

fn question(topics: &[Topic]) -> String {
    let names: Vec<&str> = topics.iter().take(NAMES_SHOWN).map(|topic| topic.name.as_str()).collect();
    let more = match topics.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if topics.len() == 1 { "topic".to_owned() } else { format!("{} topics", topics.len()) };
    format!("delete {noun} with all records: {}{more}", names.join(", "))
}

fn request(topics: &[Topic], by_name: bool) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest::default().with_timeout_ms(ADMIN_TIMEOUT_MS);
    let names = topics.iter().map(|topic| topic_name(&topic.name));
    if by_name {
        request.topic_names = names.collect();
    } else {
        request.topics = names.map(|name| DeleteTopicState::default().with_name(Some(name))).collect();
    }
    request
}

/// Codes that pass are those of the whole request, except for a topic that is gone by now.
fn read(answer: DeleteTopicsResponse) -> Result<Vec<DeletableTopicResult>, CallError> {
    for topic in &answer.responses {
        let code = ErrorCode::from_code(topic.error_code);
        if code.is_some_and(|code| code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition) {
            let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
            accepted(ApiKey::DeleteTopics, topic.error_code, name, topic.error_message.as_deref())?;
        }
    }
    Ok(answer.responses)
}
