//! `config/reference.toml` and `docs/CONFIG.md`, written from the registry. `UPDATE_EXPECT=1 cargo test -p eddy reference`
//! renews them.

use std::fmt::Write;

use eddy_metadata::config::{Key, Scope, broker_keys, client_metrics_keys, group_keys, topic_keys};

use super::page::form;
use super::toml_form::{toml_key, toml_value};

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
    for key in broker_keys::keys().filter(|key| key.inert.is_none()) {
        writeln!(out, "\n# {}\n# {}", key.doc, facts(key)).unwrap();
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

const PAGE: &str = "\
# Configuration

Written from the registry of keys; a test holds this page against it. `eddy config explain KEY` shows one key.

A value comes from the first of these that has the key:

1. the override of a topic, a group or a subscription to client metrics (`eddy config set`, `kafka-configs`);
2. the dynamic configuration of this broker, then that of all brokers, for the keys marked *live*;
3. a flag of `eddy serve`: `--set KEY=VALUE`;
4. the environment: `EDDY_WAL__PROFILE=low` sets `wal.profile`, two underscores stand for a dot;
5. the file of `eddy serve -c FILE`: TOML, or a `server.properties` of Kafka when it is named `*.properties`;
6. the default.

Sizes and times may carry a unit: `64MiB`, `10ms`, `7d`. A key or an `EDDY_` variable that nobody knows stops the start, with a
suggestion. `eddy config check FILE` says what is wrong without starting, `eddy config show --sources` where each value comes
from, `eddy config convert server.properties` writes TOML.

";

fn page() -> String {
    let mut out = PAGE.to_owned();
    let tables: [(&str, &str, Vec<&Key>); 5] = [
        (
            "Broker keys",
            "*live*: acts when it is changed, without a restart. The names in brackets mean the same key; those of Kafka are \
             what DescribeConfigs answers.",
            broker_keys::keys().filter(|key| key.inert.is_none()).collect(),
        ),
        ("Topic keys", "All may be changed at any time.", topic_keys::KEYS.iter().collect()),
        (
            "Group keys",
            "The broker keys `group.*.min.*` and `group.*.max.*` bound them.",
            group_keys::KEYS.iter().collect(),
        ),
        (
            "Keys of subscriptions to client metrics",
            "KIP-714: which metrics clients are asked to push.",
            client_metrics_keys::KEYS.iter().collect(),
        ),
        (
            "Broker keys of Kafka that change nothing here",
            "Accepted, so that files written for Kafka work, and described, so that tools find them.",
            broker_keys::keys().filter(|key| key.inert.is_some()).collect(),
        ),
    ];
    for (title, intro, keys) in tables {
        writeln!(out, "## {title}\n\n{intro}\n\n| Key | Default | Value | |\n|---|---|---|---|").unwrap();
        for key in keys {
            writeln!(out, "{}", row(key)).unwrap();
        }
        out.push('\n');
    }
    out.push_str("## Keys of Kafka that are refused\n\n");
    out.push_str(
        "A broker does not start with a key of security or of a plugin: without it, it would be another broker than the one \
         described. These are `ssl.*`, `sasl.*`, `listener.name.*`, `authorizer.class.name`, `super.users`, \
         `delegation.token.*`, `security.inter.broker.protocol` other than `PLAINTEXT`, a listener whose protocol is not \
         `PLAINTEXT`, more than one listener for clients, more than one entry of `controller.quorum.voters`, \
         `process.roles` other than `broker,controller`, `config.providers`, policies and quota callbacks by class, and \
         `remote.log.storage.system.enable=true`.\n",
    );
    out
}

fn row(key: &Key) -> String {
    let default = match key.default {
        None => "—".to_owned(),
        Some("") => "empty".to_owned(),
        Some(default) => format!("`{default}`"),
    };
    let live = if key.dynamic && key.scope == Scope::Broker { "*live* · " } else { "" };
    let also = match key.aliases {
        [] => String::new(),
        names => {
            format!(" [{}]", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    };
    let text = key.inert.map_or(key.doc.to_owned(), |why| format!("changes nothing: {why}"));
    // A bar would end the cell.
    format!("| `{}`{also} | {default} | {} | {live}{} |", key.name, form(key), text.replace('|', "\\|"))
}

#[test]
fn the_reference_page_is_what_the_registry_says() {
    expect_test::expect_file!["../../../../docs/CONFIG.md"].assert_eq(&page());
}

/// Type, unit, bounds and whether it changes while the broker runs, in sentences.
fn facts(key: &Key) -> String {
    let form = form(key);
    let mut letters = form.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase());
    let when = if key.dynamic { " Can be changed while the broker runs." } else { "" };
    format!("{}{}.{when}", capital.map(String::from).unwrap_or_default(), letters.as_str())
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
    let config = super::examine([settings, Vec::new(), Vec::new()], problems).into_config().unwrap();
    let honoured = broker_keys::keys().filter(|key| key.inert.is_none());
    let defaults = honoured.filter_map(|key| Some((key.name, key.default?)));
    for (name, default) in defaults {
        assert_eq!(config.fixed.get(name), Some(default), "{name}");
    }
}

#[test]
fn the_file_for_development_is_good() {
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/dev.toml"));
    let mut problems = Vec::new();
    let settings = super::layers::of_file(path, &mut problems);
    let config = super::examine([settings, Vec::new(), Vec::new()], problems).into_config().unwrap();
    assert_eq!(config.broker.log_checkpoint_interval_ms, 5000);
}

#[test]
fn the_file_for_three_brokers_is_good_for_each_of_them() {
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/cluster-3.toml"));
    for node in 1..=3 {
        let mut problems = Vec::new();
        let settings = super::layers::of_file(path, &mut problems);
        let flags = [format!("node.id={node}"), format!("cluster.listen=0.0.0.0:{}", 9343 + node)];
        let flag = |text: &String| super::Setting::of_flag(&crate::args::assignment(text).unwrap());
        let flags = flags.iter().map(flag).collect();
        let config = super::examine([settings, Vec::new(), flags], problems).into_config().unwrap();
        let told = config.broker.advertised_to_brokers().unwrap().to_string();
        assert_eq!(told, format!("127.0.0.1:{}", 9343 + node));
        assert_eq!(config.broker.cluster_seeds.len(), 3);
    }
}
