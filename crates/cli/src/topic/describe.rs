//! `eddy topic describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use eddy_client::accepted;
use eddy_client::messages::describe_log_dirs_request::DescribableLogDirTopic;
use eddy_client::messages::{ApiKey, DescribeLogDirsRequest};
use eddy_types::BrokerId;
use serde::Serialize;

use super::configs::{self, Setting};
use crate::brokers::topic_name;
use crate::error::CliError;
use crate::http::{Http, HttpAddress};
use crate::positions::{Place, Wanted, positions};
use crate::search::status::{self, SEARCH_ENABLE, TopicIndex};
use crate::{Brokers, Cell, Column, Context, Partition, Printer, To, Topic, moment, select};

/// What can be told without the index is not held up for longer.
const INDEX_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Names of the topics, globs too
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Show all configuration keys, not only those set on the topic
    #[arg(short, long)]
    configs: bool,
    #[command(flatten)]
    http: HttpAddress,
}

#[derive(Debug, Serialize)]
struct Page {
    name: String,
    id: String,
    is_internal: bool,
    replicas: usize,
    /// Offsets between start and end; compaction may have removed some.
    records: Option<i64>,
    /// Of the leaders' copies; not every broker tells.
    bytes: Option<i64>,
    partitions: Vec<Row>,
    configs: Vec<Setting>,
    /// What the broker behind the HTTP port indexes of it; not when that cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<TopicIndex>,
}

#[derive(Debug, Serialize)]
struct Row {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    start: Option<i64>,
    end: Option<i64>,
    bytes: Option<i64>,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("P", |row| Cell::count(row.partition)),
    Column::new("LEADER", |row| row.leader.map_or(Cell::text("none !"), Cell::count)),
    Column::wide("EPOCH", |row| Cell::count(row.leader_epoch)),
    Column::new("REPLICAS", |row| Cell::list(&row.replicas)),
    Column::new("ISR", Row::isr),
    Column::wide("OFFLINE", |row| Cell::list(&row.offline)),
    Column::new("START", |row| row.start.map_or(Cell::None, Cell::Count)),
    Column::new("END", |row| row.end.map_or(Cell::None, Cell::Count)),
    Column::new("SIZE", |row| {
        row.bytes.and_then(|bytes| u64::try_from(bytes).ok()).map_or(Cell::None, Cell::Bytes)
    }),
];

const SETTINGS: &[Column<Setting>] = &[
    Column::new("KEY", |setting| Cell::text(setting.key.clone())),
    Column::new("VALUE", |setting| setting.value.clone().map_or(Cell::None, Cell::Text)),
    Column::new("SOURCE", |setting| Cell::text(setting.source)),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let topics = select::topics(brokers, &arguments.names).await?;
    let sizes = sizes(brokers, &topics).await;
    let mut pages = Vec::new();
    for topic in &topics {
        pages.push(page(brokers, topic, &sizes).await?);
    }
    add_indexes(context, &arguments.http, &mut pages).await;
    if !context.printer.is_table() {
        return context.printer.rows(&[], &pages);
    }
    let texts: Vec<String> =
        pages.iter().map(|page| text(&context.printer, page, arguments.configs)).collect();
    context.printer.write(&texts.join("\n"))
}

async fn page(brokers: &Brokers, topic: &Topic, sizes: &Sizes) -> Result<Page, CliError> {
    let places: Vec<Place> = topic
        .partitions
        .iter()
        .map(|partition| Place { topic: topic.name.clone(), partition: partition.index })
        .collect();
    let starts = positions(brokers, &places, Wanted::Earliest).await?;
    let ends = positions(brokers, &places, Wanted::Latest).await?;
    let rows: Vec<Row> = std::iter::zip(&topic.partitions, &places)
        .map(|(partition, place)| {
            let offset = |found: &BTreeMap<Place, Option<i64>>| found.get(place).copied().flatten();
            Row::new(
                partition,
                offset(&starts),
                offset(&ends),
                sizes.get(&(place.clone(), partition.leader)).copied(),
            )
        })
        .collect();
    Ok(Page {
        name: topic.name.clone(),
        id: topic.id.to_string(),
        is_internal: topic.is_internal,
        replicas: topic.replication_factor(),
        records: rows.iter().map(|row| Some(row.end? - row.start?)).sum(),
        bytes: rows.iter().map(|row| row.bytes).sum(),
        partitions: rows,
        configs: configs::describe(brokers, &topic.name).await?,
        index: None,
    })
}

/// Adds what is known of the indexes of the topics that have one. That another cluster may be behind the HTTP port is told by
/// the topics' ids.
async fn add_indexes(context: &Context, http: &HttpAddress, pages: &mut [Page]) {
    let is_indexed = |page: &Page| {
        let is_on =
            |setting: &Setting| setting.key == SEARCH_ENABLE && setting.value.as_deref() == Some("true");
        page.configs.iter().any(is_on)
    };
    let names: Vec<&str> =
        pages.iter().filter(|page| is_indexed(page)).map(|page| page.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    // Brokers that do not answer are said to be missing: the one that is asked must be done before it is given up itself.
    let asking =
        async { status::ask(&mut Http::connect(context, http).await?, &names, INDEX_WITHIN / 2).await };
    let found = match tokio::time::timeout(INDEX_WITHIN, asking).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return context.note(format!("no word of the index: {}", error.message())),
        Err(_) => return context.note("no word of the index: the HTTP port does not answer"),
    };
    for index in found {
        if let Some(page) = pages.iter_mut().find(|page| page.id == index.topic_id) {
            page.index = Some(index);
        }
    }
}

/// Bytes of partitions by the broker that has them.
type Sizes = BTreeMap<(Place, BrokerId), i64>;

/// What brokers say of the sizes; nothing of one that does not answer.
async fn sizes(brokers: &Brokers, topics: &[Topic]) -> Sizes {
    let partitions = || topics.iter().flat_map(|topic| &topic.partitions);
    let leaders: BTreeSet<BrokerId> =
        partitions().map(|partition| partition.leader).filter(|leader| *leader != BrokerId::NONE).collect();
    let topic = |topic: &Topic| {
        DescribableLogDirTopic::default()
            .with_topic(topic_name(&topic.name))
            .with_partitions(topic.partitions.iter().map(|partition| partition.index).collect())
    };
    let request = DescribeLogDirsRequest::default().with_topics(Some(topics.iter().map(topic).collect()));
    let mut sizes = Sizes::new();
    for leader in leaders {
        let answer = brokers
            .call(To::Broker(leader), &request, |answer| {
                accepted(ApiKey::DescribeLogDirs, answer.error_code, format!("broker {leader}"), None)?;
                Ok(answer)
            })
            .await;
        let topics =
            answer.map(|answer| answer.results).unwrap_or_default().into_iter().flat_map(|dir| dir.topics);
        for topic in topics {
            for one in topic.partitions.iter().filter(|one| !one.is_future_key) {
                let place = Place { topic: topic.name.to_string(), partition: one.partition_index };
                sizes.insert((place, leader), one.partition_size);
            }
        }
    }
    sizes
}

fn text(printer: &Printer, page: &Page, all_configs: bool) -> String {
    let mut out = head(printer, page) + "\n";
    out.push_str(&printer.table(COLUMNS, &page.partitions));
    let behind = page.partitions.iter().filter(|row| row.isr.len() < row.replicas.len()).count();
    if behind > 0 {
        let s = if behind == 1 { "" } else { "s" };
        writeln!(out, "! {behind} partition{s} with replicas out of sync").ok();
    }
    if let Some(index) = &page.index {
        writeln!(out, "{}", index.text(printer)).ok();
    }
    if all_configs {
        out.push('\n');
        out.push_str(&printer.table(SETTINGS, &page.configs));
        return out;
    }
    let overridden: Vec<String> =
        page.configs.iter().filter(|setting| setting.is_override).map(shown).collect();
    if !overridden.is_empty() {
        writeln!(out, "overridden: {}", overridden.join("  ")).ok();
    }
    out
}

fn head(printer: &Printer, page: &Page) -> String {
    let count = page.partitions.len();
    let mut facts = vec![
        format!("{count} partition{}", if count == 1 { "" } else { "s" }),
        format!("rf {}", page.replicas),
    ];
    let min_isr = page.configs.iter().find(|setting| setting.key == "min.insync.replicas");
    facts.extend(min_isr.and_then(|setting| setting.value.as_ref()).map(|value| format!("min.isr {value}")));
    facts.extend(page.records.map(|records| format!("{} records", printer.count(records))));
    let bytes = page.bytes.and_then(|bytes| u64::try_from(bytes).ok());
    facts.extend(bytes.map(|bytes| {
        let unit = if printer.is_human() { "" } else { " bytes" };
        format!("{}{unit}", printer.bytes(bytes))
    }));
    let name = printer.styled(anstyle::Style::new().bold(), &page.name);
    format!("{name}   {}", facts.join(" · "))
}

/// `retention.ms=172800000 (2d00h)`.
fn shown(setting: &Setting) -> String {
    let value = setting.value.as_deref().unwrap_or("?");
    match value.parse::<i64>() {
        Ok(ms) if setting.key.ends_with(".ms") && ms >= 1_000 && ms != i64::MAX => {
            format!("{}={value} ({})", setting.key, moment::span(ms))
        }
        _ => format!("{}={value}", setting.key),
    }
}

impl Row {
    fn new(partition: &Partition, start: Option<i64>, end: Option<i64>, bytes: Option<i64>) -> Row {
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
        Row {
            partition: partition.index,
            leader: Some(partition.leader.0).filter(|leader| *leader >= 0),
            leader_epoch: partition.leader_epoch,
            replicas: ids(&partition.replicas),
            isr: ids(&partition.isr),
            offline: ids(&partition.offline),
            start,
            end,
            bytes,
        }
    }

    fn isr(&self) -> Cell {
        let isr: Vec<String> = self.isr.iter().map(i32::to_string).collect();
        let mark = if self.isr.len() < self.replicas.len() { " !" } else { "" };
        Cell::Text(isr.join(",") + mark)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Format;

    fn page() -> Page {
        let row = |partition, isr: &[i32], bytes| Row {
            partition,
            leader: Some(partition + 1),
            leader_epoch: 4,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            offline: Vec::new(),
            start: Some(0),
            end: Some(306_112),
            bytes,
        };
        let setting = |key: &str, value: &str, is_override| Setting {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            source: if is_override { "topic" } else { "default" },
            is_override,
        };
        Page {
            name: "orders".to_owned(),
            id: "kQ8mAAAAAAAAAAAAAAAAAA".to_owned(),
            is_internal: false,
            replicas: 3,
            records: Some(612_224),
            bytes: None,
            partitions: vec![row(0, &[1, 2, 3], Some(72_351_744)), row(1, &[2, 3], None)],
            configs: vec![
                setting("min.insync.replicas", "2", false),
                setting("retention.ms", "172800000", true),
            ],
            index: None,
        }
    }

    #[test]
    fn people_see_what_is_wrong_and_what_was_set() {
        expect![[r#"
            orders   2 partitions · rf 3 · min.isr 2 · 612,224 records
            P  LEADER  REPLICAS  ISR    START      END    SIZE
            0       1  1,2,3     1,2,3      0  306,112  69 MiB
            1       2  1,2,3     2,3 !      0  306,112       -
            ! 1 partition with replicas out of sync
            overridden: retention.ms=172800000 (2d00h)
        "#]]
        .assert_eq(&text(&Printer::plain(Format::Table, true), &page(), false));
    }

    #[test]
    fn pipes_get_tabs_and_all_configs_when_asked() {
        let printed = text(&Printer::plain(Format::Table, false), &page(), true).replace('\t', "<TAB>");
        expect![[r#"
            orders   2 partitions · rf 3 · min.isr 2 · 612224 records
            P<TAB>LEADER<TAB>REPLICAS<TAB>ISR<TAB>START<TAB>END<TAB>SIZE
            0<TAB>1<TAB>1,2,3<TAB>1,2,3<TAB>0<TAB>306112<TAB>72351744
            1<TAB>2<TAB>1,2,3<TAB>2,3 !<TAB>0<TAB>306112<TAB>-
            ! 1 partition with replicas out of sync

            KEY<TAB>VALUE<TAB>SOURCE
            min.insync.replicas<TAB>2<TAB>default
            retention.ms<TAB>172800000<TAB>topic
        "#]]
        .assert_eq(&printed);
    }
}
