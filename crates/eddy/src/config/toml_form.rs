//! Keys and values as TOML writes them.

use eddy_metadata::config::{Key, Kind, broker_keys};

/// In dots; in quotes where another key continues it, as TOML would take that for a table.
pub(super) fn toml_key(key: &Key) -> String {
    let table = format!("{}.", key.name);
    let is_table = broker_keys::keys().any(|other| other.name.starts_with(&table));
    if is_table { format!("{:?}", key.name) } else { key.name.to_owned() }
}

pub(super) fn toml_value(key: &Key, text: &str) -> String {
    match key.kind {
        Kind::Text | Kind::Password => format!("{text:?}"),
        Kind::List => format!("{:?}", text.split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>()),
        _ => text.to_owned(),
    }
}
