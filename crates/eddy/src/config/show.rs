//! `eddy config show`: what a broker would start with, and from where.

use std::fmt::Write;

use eddy_metadata::config::{Key, broker_keys};

use super::layers::{Place, Setting};
use super::toml_form::{toml_key, toml_value};
use super::{Examined, Meaning};

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Say where each value comes from.
    pub(super) sources: bool,
    /// Leave out what has its default.
    pub(super) non_default: bool,
}

/// A line for each key, in the order of the registry: as TOML, with the source as a comment.
pub(super) fn show(examined: &Examined, shown: Shown) -> String {
    let lines: Vec<(String, String)> = broker_keys::keys()
        .filter_map(|key| {
            let settings = settings_of(key, examined);
            let text = examined.fixed.get(key.name);
            // A key that does nothing is worth a line only for somebody who set it.
            if settings.is_empty() && (shown.non_default || key.inert.is_some()) {
                return None;
            }
            if shown.non_default && text == key.default {
                return None;
            }
            let value = match text.or(key.default) {
                Some(text) if key.sensitive() && !text.is_empty() => "\"********\"".to_owned(),
                Some(text) => toml_value(key, text),
                None => String::new(),
            };
            let head = if text.or(key.default).is_some() { "" } else { "# " };
            let line = format!("{head}{} = {value}", toml_key(key)).trim_end().to_owned();
            Some((line, source(key, &settings)))
        })
        .collect();
    let width =
        lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    let mut out = String::new();
    for (line, source) in lines {
        if shown.sources {
            writeln!(out, "{line:width$}  # {source}").ok();
        } else {
            writeln!(out, "{line}").ok();
        }
    }
    out
}

/// The settings of a key, the one in force first.
fn settings_of<'a>(key: &Key, examined: &'a Examined) -> Vec<&'a Setting> {
    let of_key = examined.read.iter().filter(|read| match read.meaning {
        Meaning::Sets(set) => set.name == key.name,
        Meaning::Nothing(_) => key.answers_to(&read.setting.name),
    });
    of_key.map(|read| &read.setting).rev().collect()
}

fn source(key: &Key, settings: &[&Setting]) -> String {
    let [first, others @ ..] = settings else { return "default".to_owned() };
    let mut source = match &first.place {
        Place::Environment(variable) => format!("env {variable}"),
        place => place.to_string(),
    };
    for other in others {
        write!(source, " ({} says {:?})", other.place, other.value).ok();
    }
    if let Some(why) = key.inert {
        write!(source, "; changes nothing: {why}").ok();
    }
    source
}
