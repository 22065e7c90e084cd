//! Every field of a configuration is read by somebody, or its key would promise what nobody keeps.

use std::fs;
use std::path::Path;

use super::{BrokerConfig, ClientMetricsConfig, GroupConfig, TopicConfig, group_keys, registry};

/// The sources of all crates, without those of the registry itself and without tests.
fn sources() -> String {
    let mut all = String::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut directories: Vec<_> =
        fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let is_registry = path.ends_with("metadata/src/config");
            if path.is_dir() && !is_registry && !path.ends_with("tests") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                all.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
            }
        }
    }
    all
}

fn is_read(sources: &str, field: &str) -> bool {
    let access = format!(".{field}");
    sources.match_indices(&access).any(|(at, _)| {
        let after = sources[at + access.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '(')
    })
}

/// Keys that methods of [`BrokerConfig`] read, with others or into an answer.
const WEIGHED: &[&str] = &["cluster.advertised", "replica.selector.class"];

#[test]
fn every_field_is_read_by_some_crate_or_its_key_is_inert() {
    let sources = sources();
    // Read where overrides of groups are checked, within the registry.
    let bounds = |key: &str| {
        group_keys::BOUNDS.iter().any(|bounds| bounds.least == Some(key) || bounds.greatest == key)
    };
    let tables =
        [BrokerConfig::FIELDS, TopicConfig::FIELDS, GroupConfig::FIELDS, ClientMetricsConfig::FIELDS];
    let mut unread = Vec::new();
    for (key, field) in tables.into_iter().flatten() {
        let inert = registry::topic(key).is_some_and(|key| key.inert.is_some());
        let weighed = WEIGHED.contains(key);
        if !inert && !weighed && !bounds(key) && !is_read(&sources, field) {
            unread.push(*key);
        }
    }
    // `remote.storage.enable` may only be false, which the registry checks.
    assert_eq!(unread, ["remote.storage.enable"]);
}
