//! `eddy config diff`.

use serde::Serialize;

use super::Resource;
use super::ask::{Setting, Source, settings};
use super::value::with_unit;
use crate::error::CliError;
use crate::{Cell, Column, Context};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    resource: Resource,
    /// Another one of the same kind; without it, the defaults
    #[arg(value_name = "OTHER")]
    other: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    key: String,
    this: Option<String>,
    other: Option<String>,
    source: Source,
}

const COLUMNS: &[Column<Difference>] = &[
    Column::new("KEY", |row| Cell::text(row.key.clone())),
    Column::new("THIS", |row| shown(&row.key, row.this.as_deref())),
    Column::new("OTHER", |row| shown(&row.key, row.other.as_deref())),
    Column::wide("SOURCE", |row| Cell::text(row.source.words())),
];

fn shown(key: &str, value: Option<&str>) -> Cell {
    value.map_or(Cell::None, |value| Cell::text(with_unit(key, value)))
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let these = settings(brokers, &arguments.resource, None, false).await?;
    let differences = match &arguments.other {
        Some(name) => {
            let other = Resource { name: name.clone(), ..arguments.resource.clone() };
            between(&these, &settings(brokers, &other, None, false).await?)
        }
        None => from_defaults(&these),
    };
    if differences.is_empty() {
        context.note("no difference");
    }
    context.printer.rows(COLUMNS, &differences)
}

/// What is not as it would be if nobody had set anything.
fn from_defaults(settings: &[Setting]) -> Vec<Difference> {
    settings
        .iter()
        .filter(|setting| setting.source != Source::Default)
        .filter(|setting| setting.sensitive || setting.value.as_deref() != setting.default())
        .map(|setting| Difference {
            key: setting.key.clone(),
            this: setting.value.clone(),
            other: setting.default().map(str::to_owned),
            source: setting.source,
        })
        .collect()
}

/// Settings with another value, or that only one of the two has.
fn between(these: &[Setting], others: &[Setting]) -> Vec<Difference> {
    let mut keys: Vec<&str> = these.iter().chain(others).map(|setting| setting.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| {
            let this = these.iter().find(|setting| setting.key == key);
            let other = others.iter().find(|setting| setting.key == key);
            let value = |setting: Option<&Setting>| setting.and_then(|setting| setting.value.clone());
            let (value, others) = (value(this), value(other));
            let source = this.or(other)?.source;
            (value != others).then(|| Difference { key: key.to_owned(), this: value, other: others, source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::ask::Synonym;
    use super::*;

    fn setting(key: &str, value: &str, source: Source, default: &str) -> Setting {
        let synonym =
            |value: &str, source| Synonym { key: key.to_owned(), value: Some(value.to_owned()), source };
        Setting {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            source,
            read_only: false,
            sensitive: false,
            synonyms: vec![synonym(value, source), synonym(default, Source::Default)],
            documentation: None,
        }
    }

    fn keys(differences: &[Difference]) -> Vec<&str> {
        differences.iter().map(|difference| difference.key.as_str()).collect()
    }

    #[test]
    fn a_setting_that_is_set_to_its_default_does_not_differ() {
        let settings = [
            setting("a", "1", Source::Topic, "2"),
            setting("b", "2", Source::Topic, "2"),
            setting("c", "2", Source::Default, "2"),
        ];
        let differences = from_defaults(&settings);
        assert_eq!(keys(&differences), ["a"]);
        assert_eq!(differences[0].other.as_deref(), Some("2"));
    }

    #[test]
    fn two_differ_in_values_and_in_what_only_one_has() {
        let these = [setting("a", "1", Source::Topic, "2"), setting("b", "2", Source::Topic, "2")];
        let others = [setting("b", "2", Source::Default, "2"), setting("c", "3", Source::Topic, "4")];
        assert_eq!(keys(&between(&these, &others)), ["a", "c"]);
    }
}
