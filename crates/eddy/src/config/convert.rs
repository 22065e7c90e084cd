//! `eddy config convert`: a file for Kafka as one of our own.

use std::fmt::Write;

use super::toml_form::{toml_key, toml_value};
use super::{Examined, Meaning};

/// The file as TOML: what sets something, then as comments what does not and why.
pub(super) fn convert(file: &str, examined: &Examined) -> String {
    let mut out = format!("# From {file}.\n\n");
    let mut nothing = String::new();
    for read in &examined.read {
        let name = &read.setting.name;
        match read.meaning {
            Meaning::Sets(key) => {
                let Some(text) = examined.fixed.get(key.name) else { continue };
                let was = if *name == key.name { String::new() } else { format!("  # {name}") };
                writeln!(out, "{} = {}{was}", toml_key(key), toml_value(key, text)).ok();
            }
            Meaning::Nothing(why) => {
                writeln!(nothing, "#   {name} = {}\n#     {why}", read.setting.value).ok();
            }
        }
    }
    if !nothing.is_empty() {
        write!(out, "\n# Left out, because it changes nothing here:\n{nothing}").ok();
    }
    out
}

/// What became of each key of a file, a line each, and how many there are of each kind.
pub(super) fn report(file: &str, examined: &Examined) -> String {
    let mut out = String::new();
    let mut counts = [0usize; 2];
    for read in &examined.read {
        let name = &read.setting.name;
        match read.meaning {
            Meaning::Sets(key) => {
                counts[0] += 1;
                let value = examined.fixed.get(key.name).unwrap_or_default();
                let to = if *name == key.name { String::new() } else { format!(" -> {}", key.name) };
                writeln!(out, "  mapped    {name}{to} = {value}").ok();
            }
            Meaning::Nothing(why) => {
                counts[1] += 1;
                writeln!(out, "  harmless  {name}: {why}").ok();
            }
        }
    }
    let [mapped, harmless] = counts;
    let wrong = examined.problems.len();
    writeln!(out, "{file}: {mapped} mapped, {harmless} harmless, {wrong} in the way").ok();
    out
}
