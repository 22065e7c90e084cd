//! `eddy config get`.

use super::Resource;
use super::ask::{Setting, Source, settings};
use super::value::with_unit;
use crate::error::CliError;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    resource: Resource,
    /// Only these settings
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Also settings that have their default
    #[arg(short, long)]
    all: bool,
    /// Say what each setting is for, where the broker tells
    #[arg(long)]
    docs: bool,
}

const COLUMNS: &[Column<Setting>] = &[
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("VALUE", value),
    Column::new("SOURCE", |row| Cell::text(row.source.words())),
    Column::wide("DEFAULT", |row| {
        row.default().map_or(Cell::None, |value| Cell::text(with_unit(&row.key, value)))
    }),
    Column::wide("READ ONLY", |row| Cell::text(if row.read_only { "yes" } else { "no" })),
    Column::wide("ALSO SET", also),
];

const DOCUMENTED: &[Column<Setting>] = &[
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("VALUE", value),
    Column::new("SOURCE", |row| Cell::text(row.source.words())),
    Column::new("MEANING", |row| row.documentation.as_ref().map_or(Cell::None, Cell::text)),
];

fn value(setting: &Setting) -> Cell {
    match &setting.value {
        Some(value) => Cell::text(with_unit(&setting.key, value)),
        None if setting.sensitive => Cell::text("(secret)"),
        None => Cell::None,
    }
}

/// Places that give it a value as well, and are overruled.
fn also(setting: &Setting) -> Cell {
    Cell::list(setting.synonyms.iter().skip(1).map(|synonym| {
        let value = synonym.value.as_deref().unwrap_or("-");
        format!("{}={value} ({})", synonym.key, synonym.source.words())
    }))
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let resource = &arguments.resource;
    // All are asked for, so that a wrong key can be told from one without a value.
    let mut all = settings(brokers, resource, None, arguments.docs).await?;
    if arguments.keys.is_empty() {
        all.retain(|setting| arguments.all || setting.source != Source::Default);
    } else {
        for key in &arguments.keys {
            if !all.iter().any(|setting| setting.key == *key) {
                return Err(unknown(resource, key, &all));
            }
        }
        all.retain(|setting| arguments.keys.contains(&setting.key));
    }
    if all.is_empty() {
        context.note(format!("{resource} has no setting of its own (--all shows the defaults)"));
    }
    context.printer.rows(if arguments.docs { DOCUMENTED } else { COLUMNS }, &all)
}

/// A key that is not there, with the one that may be meant.
pub(super) fn unknown(resource: &Resource, key: &str, all: &[Setting]) -> CliError {
    let error = CliError::not_found(format!("{resource} has no setting {key}"));
    let likeness = |setting: &&Setting| (strsim::jaro_winkler(key, &setting.key) * 1000.0) as i64;
    match all.iter().max_by_key(likeness).filter(|setting| likeness(setting) > 850) {
        Some(near) => error.fact(format!("did you mean {}?", near.key)),
        None => error.fix(format!("eddy config get {resource} --all"), "list the settings"),
    }
}
