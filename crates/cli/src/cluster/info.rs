//! `eddy cluster info`.

use std::fmt::Write as _;

use eddy_client::accepted;
use eddy_client::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use eddy_client::protocol::StrBytes;
use serde::Serialize;

use super::ask;
use super::facts::{Broker, Quorum, Replica};
use crate::brokers::To;
use crate::error::CliError;
use crate::moment::span;
use crate::output::Printer;
use crate::{Cell, Column, Context};

#[derive(Debug, Serialize)]
struct Info {
    cluster: Option<String>,
    controller: Option<i32>,
    topics: usize,
    partitions: usize,
    brokers: Vec<Broker>,
    quorum: Option<Quorum>,
    features: Vec<Feature>,
}

/// A feature of the cluster (KIP-584), at the level that is in use.
#[derive(Debug, Serialize)]
struct Feature {
    name: String,
    level: i16,
}

/// A controller or a broker that follows the metadata log.
struct Follower {
    role: &'static str,
    replica: Replica,
}

const FOLLOWERS: &[Column<Follower>] = &[
    Column::new("METADATA", |row| Cell::text(row.role)),
    Column::new("ID", |row| Cell::count(row.replica.id)),
    Column::new("BEHIND", |row| row.replica.behind.map_or(Cell::None, Cell::Count)),
    Column::new("CAUGHT UP", |row| {
        row.replica.caught_up_ms_ago.map_or(Cell::None, |ms| Cell::text(format!("{} ago", span(ms))))
    }),
];

pub(super) async fn run(context: &Context) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("eddy-cli"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let versions: ApiVersionsResponse = brokers
        .retry(To::Any, async |connection| {
            let answer = connection.send(&request).await?;
            accepted(ApiKey::ApiVersions, answer.error_code, "the broker", None)?;
            Ok(answer)
        })
        .await?;
    let mut features: Vec<Feature> = versions
        .finalized_features
        .iter()
        .map(|feature| Feature { name: feature.name.to_string(), level: feature.max_version_level })
        .collect();
    features.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut listed = ask::list(brokers, &cluster).await?;
    ask::count(&cluster, &mut listed);
    let info = Info {
        quorum: ask::quorum(brokers).await.map_err(|error| error.during("cannot ask the controllers"))?,
        controller: cluster.controller.map(|id| id.0),
        topics: cluster.topics.len(),
        partitions: cluster.topics.iter().map(|topic| topic.partitions.len()).sum(),
        brokers: listed,
        features,
        cluster: cluster.id,
    };
    context.printer.thing(&info, |printer| render(printer, &info))
}

fn render(printer: &Printer, info: &Info) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let mut line = |name: &str, text: String| writeln!(out, "{name:12}{text}").ok();
    line("cluster", info.cluster.clone().unwrap_or_else(|| "-".to_owned()));
    let controller = info.quorum.as_ref().map(|quorum| quorum.leader).or(info.controller);
    let epoch = info.quorum.as_ref().map_or(String::new(), |quorum| format!(" · term {}", quorum.epoch));
    line("controller", controller.map_or("-".to_owned(), |id| format!("{id}{epoch}")));
    let fenced = info.brokers.iter().filter(|broker| broker.is_fenced).count();
    let fenced = if fenced > 0 { format!(" · {fenced} fenced") } else { String::new() };
    line("brokers", format!("{}{fenced}", info.brokers.len()));
    line("topics", printer.count(info.topics as i64));
    line("partitions", printer.count(info.partitions as i64));
    let features: Vec<String> =
        info.features.iter().map(|feature| format!("{} {}", feature.name, feature.level)).collect();
    if !features.is_empty() {
        line("features", features.join(" · "));
    }
    if let Some(quorum) = &info.quorum {
        let voters = quorum.voters.iter().map(|&replica| Follower { role: "voter", replica });
        let observers = quorum.observers.iter().map(|&replica| Follower { role: "observer", replica });
        let followers: Vec<Follower> = voters.chain(observers).collect();
        out.push('\n');
        out += &printer.table(FOLLOWERS, &followers);
    }
    out
}
