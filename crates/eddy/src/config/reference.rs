//! `config/reference.toml`, written from the registry. `UPDATE_EXPECT=1 cargo test -p eddy reference` renews it.

use std::fmt::Write;

use eddy_metadata::config::{Check, Key, Kind, Unit, broker_keys};

const HEAD: &str = "\
# Every key of a broker, with its default. Written from the registry of keys: do not edit, copy what you change.
#
#   eddy serve -c FILE
#
# A key may be written in dots, as here, or below a [table]. `--set KEY=VALUE` goes before the environment
# (EDDY_WAL__PROFILE=low sets wal.profile), the environment before the file. Sizes and times may carry a unit:
# \"64MiB\", \"10ms\", \"7d\".
";

fn reference() -> String {
    let mut out = HEAD.to_owned();
    for key in broker_keys::keys() {
        writeln!(out, "\n# {}\n# {}", key.doc, form(key)).unwrap();
        if !key.aliases.is_empty() {
            writeln!(out, "# Also: {}.", key.aliases.join(", ")).unwrap();
        }
        match key.default {
            Some(default) => writeln!(out, "#{} = {}", toml_key(key), toml_value(key, default)).unwrap(),
            None => writeln!(out, "#{} =", toml_key(key)).unwrap(),
        }
    }
    out
}

/// Type, unit and bounds, in words.
fn form(key: &Key) -> String {
    let kind = match (key.kind, key.unit) {
        (Kind::Boolean, _) => "true or false",
        (Kind::Double, _) => "A number",
        (Kind::Text | Kind::Password, _) => "Text",
        (Kind::List, _) => "A list",
        (_, Unit::None) => "A whole number",
        (_, Unit::Bytes) => "Bytes",
        (_, Unit::Millis) => "Milliseconds",
        (_, Unit::Seconds) => "Seconds",
        (_, Unit::Minutes) => "Minutes",
        (_, Unit::Hours) => "Hours",
    };
    let bounds = match key.check {
        Check::Any => String::new(),
        Check::AtLeast(least) => format!(", at least {least}"),
        Check::Between(least, most) => format!(", from {least} to {most}"),
        Check::BetweenOr(least, most, other) => format!(", from {least} to {most}, or {other}"),
        Check::Ratio => ", from 0 to 1".to_owned(),
        Check::OneOf(values) => format!(": {}", values.join(", ")),
        Check::SomeOf(values) => format!(" of {}", values.join(", ")),
        Check::Address => ": host:port".to_owned(),
        Check::NotEmpty => ", not empty".to_owned(),
        Check::ThrottledReplicas => ": * or partition:broker".to_owned(),
    };
    let when = if key.dynamic { " Can be changed while the broker runs." } else { "" };
    format!("{kind}{bounds}.{when}")
}

/// In dots; in quotes where another key continues it, as TOML would take that for a table.
fn toml_key(key: &Key) -> String {
    let table = format!("{}.", key.name);
    let is_table = broker_keys::keys().any(|other| other.name.starts_with(&table));
    if is_table { format!("{:?}", key.name) } else { key.name.to_owned() }
}

fn toml_value(key: &Key, text: &str) -> String {
    match key.kind {
        Kind::Text | Kind::Password => format!("{text:?}"),
        Kind::List => format!("{:?}", text.split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>()),
        _ => text.to_owned(),
    }
}

#[test]
fn the_reference_file_is_what_the_registry_says() {
    expect_test::expect_file!["../../../../config/reference.toml"].assert_eq(&reference());
}

#[test]
fn the_reference_file_sets_every_default_to_itself() {
    let active: String = reference()
        .lines()
        .filter_map(|line| {
            line.strip_prefix('#').filter(|line| line.starts_with(|c: char| c.is_alphabetic() || c == '"'))
        })
        .filter(|line| !line.ends_with('='))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &active).unwrap();
    let mut problems = Vec::new();
    let settings = super::layers::of_file(file.path(), &mut problems);
    let config = super::resolve([settings, Vec::new(), Vec::new()], problems).unwrap();
    let defaults = broker_keys::keys().filter_map(|key| Some((key.name, key.default?)));
    for (name, default) in defaults {
        assert_eq!(config.fixed.get(name), Some(default), "{name}");
    }
}

#[test]
fn the_file_for_development_is_good() {
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/dev.toml"));
    let mut problems = Vec::new();
    let settings = super::layers::of_file(path, &mut problems);
    let config = super::resolve([settings, Vec::new(), Vec::new()], problems).unwrap();
    assert_eq!(config.broker.log_checkpoint_interval_ms, 5000);
}
