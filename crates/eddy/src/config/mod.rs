//! Configuration of a broker: flag before environment before file before default.
//!
//! What the keys are, the registry in `eddy_metadata` knows; this module reads the layers, decides which setting of a key
//! counts, and reports everything that is wrong at once, each problem where it stands. `command` is `eddy config`.

pub(crate) mod command;
mod convert;
mod kafka_file;
mod layers;
mod page;
mod properties;
#[cfg(test)]
mod reference;
mod show;
#[cfg(test)]
mod tests;
mod toml_form;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use eddy_metadata::config::{
    BrokerConfig, Check, ConfigError, Foreign, Key, StaticConfig, foreign, registry,
};

use crate::args::ServeArgs;
use crate::codes;
use crate::failure::{Excerpt, Failure, Problem};
use layers::{PREFIX, Place, Setting};

/// The whole configuration a broker starts with.
#[derive(Debug)]
pub(crate) struct Config {
    /// What was set, to be answered to DescribeConfigs with its source.
    pub(crate) fixed: StaticConfig,
    /// What is in force at the start.
    pub(crate) broker: BrokerConfig,
    /// Keys of Kafka's that were set and do nothing here, with the reason.
    pub(crate) ignored: Vec<(String, &'static str)>,
}

/// What the layers say, good or not.
#[derive(Debug)]
struct Examined {
    fixed: StaticConfig,
    /// Every setting that is not wrong, in the order of the layers.
    read: Vec<Read>,
    problems: Vec<Problem>,
}

/// A setting that is not wrong.
#[derive(Debug)]
struct Read {
    setting: Setting,
    meaning: Meaning,
}

/// What a setting does.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// Sets a key.
    Sets(&'static Key),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Reads all layers of a `serve`.
pub(crate) fn load(args: &ServeArgs) -> Result<Config, Failure> {
    let mut problems = Vec::new();
    let layers = read_layers(args.config.as_deref(), layers::of_flags(args), &mut problems);
    examine(layers, problems).into_config()
}

fn read_layers(file: Option<&Path>, flags: Vec<Setting>, problems: &mut Vec<Problem>) -> [Vec<Setting>; 3] {
    let file = file.map(|path| layers::of_file(path, problems)).unwrap_or_default();
    [file, layers::of_environment(environment()), flags]
}

/// The variables of this process; what is not UTF-8 is shown with replacement characters.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

impl Examined {
    fn into_config(self) -> Result<Config, Failure> {
        match Failure::all(self.problems) {
            Some(failure) => Err(failure),
            None => Ok(Config {
                broker: BrokerConfig::from_static(&self.fixed),
                fixed: self.fixed,
                ignored: self
                    .read
                    .into_iter()
                    .filter_map(|read| match read.meaning {
                        Meaning::Nothing(why) => Some((read.setting.name, why)),
                        Meaning::Sets(_) => None,
                    })
                    .collect(),
            }),
        }
    }
}

/// Takes the setting of the last layer that has the key, and adds all problems that are found to `problems`.
fn examine(mut layers: [Vec<Setting>; 3], mut problems: Vec<Problem>) -> Examined {
    kafka_file::with_one_listener(&mut layers, &mut problems);
    let mut fixed = StaticConfig::default();
    let mut read = Vec::new();
    for layer in layers {
        let mut seen: BTreeMap<&'static str, Setting> = BTreeMap::new();
        for setting in layer {
            let meaning = match understand(&setting, &mut fixed) {
                Ok(meaning) => meaning,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if let Some(key) = registry::broker(&setting.name) {
                match seen.entry(key.name) {
                    Entry::Vacant(free) => {
                        free.insert(setting.clone());
                    }
                    // Of two equal flags the later one counts, as a script that adds its own expects.
                    Entry::Occupied(taken) => problems.extend(set_twice(taken.get(), &setting)),
                }
            }
            read.push(Read { setting, meaning });
        }
    }
    if problems.is_empty() {
        let conflicts = BrokerConfig::from_static(&fixed).conflicts().into_iter();
        problems.extend(conflicts.map(|conflict| Problem::new(&codes::CONFLICT, conflict)));
    }
    Examined { fixed, read, problems }
}

/// What a setting does; sets it when it sets a key.
fn understand(setting: &Setting, fixed: &mut StaticConfig) -> Result<Meaning, Problem> {
    let key = registry::broker(&setting.name);
    match (foreign(&setting.name, &setting.value), key) {
        (Some(Foreign::Unsupported(why)), _) => return Err(unsupported(setting, why)),
        (Some(Foreign::Harmless(why)), None) => return Ok(Meaning::Nothing(why)),
        // Another name of a key, with a value that asks for nothing here.
        (Some(Foreign::Harmless(why)), Some(key)) if key.name != setting.name => {
            return Ok(Meaning::Nothing(why));
        }
        _ => {}
    }
    let key = key.ok_or_else(|| unknown(setting))?;
    fixed.set(key.name, &setting.value).map_err(|error| {
        let reason = match error {
            ConfigError::InvalidValue { reason, .. } => reason,
            other => other.to_string(),
        };
        bad_value(key, setting, reason)
    })?;
    Ok(key.inert.map_or(Meaning::Sets(key), Meaning::Nothing))
}

/// Without what it asks for, the broker would be another one than its owner believes: open instead of guarded.
fn unsupported(setting: &Setting, why: &str) -> Problem {
    let message = format!("`{}` is not supported", setting.name);
    match &setting.place {
        Place::File(at) => {
            let excerpt = Excerpt { note: why.to_owned(), ..at.key.clone() };
            Problem::new(&codes::UNSUPPORTED_KEY, message).excerpt(excerpt)
        }
        place => {
            Problem::new(&codes::UNSUPPORTED_KEY, format!("{message}: {why}")).fact(format!("set by {place}"))
        }
    }
}

fn unknown(setting: &Setting) -> Problem {
    let name = &setting.name;
    match &setting.place {
        Place::Environment(variable) => {
            let meant = nearest(&name.replace('_', "."))
                .map(|key| format!("; did you mean {}?", variable_of(key.name)));
            let message = format!("environment: {variable} sets nothing{}", meant.unwrap_or_default());
            Problem::new(&codes::UNKNOWN_VARIABLE, message)
        }
        Place::Flag(flag) => {
            let problem = Problem::new(&codes::UNKNOWN_KEY, format!("unknown key `{name}` in {flag}"));
            match nearest(name) {
                Some(key) => {
                    problem.fix(format!("eddy serve --set {}={}", key.name, setting.value), hint(name, key))
                }
                None => problem,
            }
        }
        Place::File(at) => {
            let note = nearest(name).map_or("there is no key like it".to_owned(), |key| hint(name, key));
            let excerpt = Excerpt { note, ..at.key.clone() };
            Problem::new(&codes::UNKNOWN_KEY, format!("unknown key `{name}`")).excerpt(excerpt)
        }
    }
}

/// The broker key that an unknown name most likely means. For a topic's key it is the one that sets its default.
fn nearest(name: &str) -> Option<&'static Key> {
    let of_topic =
        |name: &str| registry::topic(name)?.synonyms.first().and_then(|name| registry::broker(name));
    let like = || registry::suggest(name).and_then(|like| registry::broker(like).or_else(|| of_topic(like)));
    registry::broker(name).or_else(|| of_topic(name)).or_else(like)
}

fn hint(name: &str, key: &Key) -> String {
    if registry::topic(name).is_some() {
        return format!("is set per topic; its default is `{}`", key.name);
    }
    match key.check {
        Check::OneOf(values) => format!("did you mean `{}`? ({})", key.name, values.join(", ")),
        _ => format!("did you mean `{}`?", key.name),
    }
}

/// The variable that sets a key.
fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "__").to_ascii_uppercase())
}

fn bad_value(key: &Key, setting: &Setting, reason: String) -> Problem {
    let message = format!("`{}` cannot be {:?}", setting.name, setting.value);
    match &setting.place {
        Place::File(at) => {
            let excerpt = Excerpt { note: reason, ..at.value.clone() };
            Problem::new(&codes::BAD_VALUE, message).excerpt(excerpt)
        }
        place => Problem::new(&codes::BAD_VALUE, format!("{message}: {reason}"))
            .fact(format!("set by {place}"))
            .fact(format!("default {}", key.default.unwrap_or("not set"))),
    }
}

fn set_twice(first: &Setting, second: &Setting) -> Option<Problem> {
    if matches!(second.place, Place::Flag(_)) || first.value == second.value {
        return None;
    }
    let message = format!("`{}` and `{}` are the same key", first.name, second.name);
    let problem = Problem::new(&codes::SET_TWICE, message);
    Some(match &second.place {
        Place::File(at) => {
            let note = format!("set at {} already", first.place);
            problem.excerpt(Excerpt { note, ..at.key.clone() })
        }
        place => problem.fact(format!("set by {} and by {place}", first.place)),
    })
}
