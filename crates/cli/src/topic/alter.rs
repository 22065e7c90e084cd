//! `eddy topic alter`.

use eddy_client::accepted;
use eddy_client::messages::create_partitions_request::CreatePartitionsTopic;
use eddy_client::messages::{ApiKey, CreatePartitionsRequest};
use serde::Serialize;

use super::configs::{self, Change};
use super::{ADMIN_TIMEOUT_MS, assignment, with_key_suggestion};
use crate::brokers::topic_name;
use crate::error::CliError;
use crate::http::HttpAddress;
use crate::search::status::{self, SEARCH_ENABLE};
use crate::{Brokers, Cell, Column, Context, To, select};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Names of the topics, globs too
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Set a configuration key
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Give a configuration key back its default
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Number of partitions from now on, more than there are
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Have everything checked and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With search.enable=true: wait until everything that is there can be found
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    http: HttpAddress,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    key: String,
    old: Option<String>,
    new: Option<String>,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("TOPIC", |row| Cell::text(row.topic.clone())),
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("OLD", |row| row.old.clone().map_or(Cell::None, Cell::Text)),
    Column::new("NEW", |row| row.new.clone().map_or(Cell::None, Cell::Text)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    context.changes()?;
    let set = arguments.set.iter().map(|(key, value)| Change::Set(key.clone(), value.clone()));
    let changes: Vec<Change> = set.chain(arguments.unset.iter().cloned().map(Change::Unset)).collect();
    if changes.is_empty() && arguments.partitions.is_none() {
        return Err(CliError::usage("nothing to change: neither --set nor --unset nor --partitions"));
    }
    let brokers = context.brokers().await?;
    let mut rows = Vec::new();
    let topics = select::topics(brokers, &arguments.names).await?;
    for topic in &topics {
        if let Some(count) = arguments.partitions {
            let row = add_partitions(brokers, topic, count, arguments.dry_run).await?;
            rows.push(row);
        }
        if !changes.is_empty() {
            rows.extend(change(brokers, &topic.name, &changes, arguments.dry_run).await?);
        }
    }
    context.printer.rows(COLUMNS, &rows)?;
    if arguments.dry_run {
        context.note("dry run, nothing changed");
    } else if arguments.partitions.is_some() {
        context.note("records with a key may go to another partition than before");
    }
    let is_indexed = |change: &Change| *change == Change::Set(SEARCH_ENABLE.to_owned(), "true".to_owned());
    if !arguments.dry_run && changes.iter().any(is_indexed) {
        for topic in &topics {
            status::back_fill(context, &arguments.http, &topic.name, arguments.wait).await?;
        }
    }
    Ok(())
}

async fn change(
    brokers: &Brokers,
    topic: &str,
    changes: &[Change],
    dry_run: bool,
) -> Result<Vec<Row>, CliError> {
    let before = configs::describe(brokers, topic).await?;
    let failed = |error: CliError| {
        with_key_suggestion(error, changes.iter().map(Change::key))
            .during(format!("cannot alter topic {topic}"))
            .fix(format!("eddy topic describe {topic} --configs"), "list keys and values")
    };
    configs::alter(brokers, topic, changes, dry_run).await.map_err(failed)?;
    let after = if dry_run { Vec::new() } else { configs::describe(brokers, topic).await? };
    let value = |settings: &[configs::Setting], key: &str| {
        settings.iter().find(|setting| setting.key == key).and_then(|setting| setting.value.clone())
    };
    let row = |change: &Change| Row {
        topic: topic.to_owned(),
        key: change.key().clone(),
        old: value(&before, change.key()),
        new: match change {
            Change::Set(_, new) => Some(new.clone()),
            Change::Unset(key) => value(&after, key),
        },
    };
    Ok(changes.iter().map(row).collect())
}

async fn add_partitions(
    brokers: &Brokers,
    topic: &crate::Topic,
    count: i32,
    dry_run: bool,
) -> Result<Row, CliError> {
    let asked = CreatePartitionsTopic::default()
        .with_name(topic_name(&topic.name))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![asked])
        .with_timeout_ms(ADMIN_TIMEOUT_MS)
        .with_validate_only(dry_run);
    let name = topic.name.as_str();
    brokers
        .call(To::Controller, &request, |answer| {
            let result = answer.results.into_iter().next().unwrap_or_default();
            accepted(ApiKey::CreatePartitions, result.error_code, name, result.error_message.as_deref())
        })
        .await
        .map_err(|error| error.during(format!("cannot add partitions to topic {name}")))?;
    Ok(Row {
        topic: topic.name.clone(),
        key: "partitions".to_owned(),
        old: Some(topic.partitions.len().to_string()),
        new: Some(count.to_string()),
    })
}
