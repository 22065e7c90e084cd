//! Topics by name or by glob.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::error::CliError;
use crate::{Brokers, Topic};

/// How alike a name must be to be suggested.
const ALIKE: f64 = 0.75;

/// The topics of these names and globs, in order of their names, none twice. A glob leaves out the brokers' own topics.
///
/// # Errors
/// A name that no topic has, a glob that fits none, or one that is none.
pub(crate) async fn topics(brokers: &Brokers, patterns: &[String]) -> Result<Vec<Topic>, CliError> {
    let (globs, names): (Vec<&str>, Vec<&str>) =
        patterns.iter().map(String::as_str).partition(|text| is_glob(text));
    let cluster =
        if globs.is_empty() { brokers.cluster(Some(&names)).await? } else { brokers.cluster(None).await? };
    for name in &names {
        if let Err(error) = cluster.topic(name) {
            return Err(with_suggestion(brokers, error, name).await);
        }
    }
    for text in &globs {
        let matcher = glob(text)?.compile_matcher();
        if !cluster.topics.iter().any(|topic| !topic.is_internal && matcher.is_match(&topic.name)) {
            return Err(
                CliError::not_found(format!("no topic fits {text}")).fix("eddy topic ls", "list the topics")
            );
        }
    }
    let set = glob_set(&globs)?;
    let wanted = |topic: &Topic| {
        names.contains(&topic.name.as_str()) || (!topic.is_internal && set.is_match(&topic.name))
    };
    Ok(cluster.topics.into_iter().filter(wanted).collect())
}

/// One topic by its name.
///
/// # Errors
/// It does not exist.
pub(crate) async fn topic(brokers: &Brokers, name: &str) -> Result<Topic, CliError> {
    match brokers.cluster(Some(&[name])).await?.topic(name) {
        Ok(topic) => Ok(topic.clone()),
        Err(error) => Err(with_suggestion(brokers, error, name).await),
    }
}

/// A set of globs; without any it fits nothing.
pub(crate) fn glob_set(globs: &[&str]) -> Result<GlobSet, CliError> {
    let mut set = GlobSetBuilder::new();
    for text in globs {
        set.add(glob(text)?);
    }
    set.build().map_err(|error| CliError::usage(error.to_string()))
}

fn glob(text: &str) -> Result<Glob, CliError> {
    Glob::new(text).map_err(|error| CliError::usage(format!("no such glob: {error}")))
}

/// Names of topics have none of these characters.
fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

async fn with_suggestion(brokers: &Brokers, error: CliError, name: &str) -> CliError {
    if error.exit() != crate::Exit::NotFound {
        return error;
    }
    let Ok(cluster) = brokers.cluster(None).await else { return error };
    match nearest(name, cluster.topics.iter().map(|topic| topic.name.as_str())) {
        Some(near) => error.fact(format!("did you mean {near}?")),
        None => error,
    }
}

/// The name that is most like `name`, if one is.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(alike, other)| *alike >= ALIKE && *other != name)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_like_names_are_suggested() {
        let names = ["orders", "payments", "orders-dead"];
        assert_eq!(nearest("ordres", names.into_iter()), Some("orders"));
        assert_eq!(nearest("x", names.into_iter()), None);
    }

    #[test]
    fn globs_are_told_from_names() {
        assert!(is_glob("a*") && is_glob("{a,b}") && !is_glob("a.b_c-1"));
        let set = glob_set(&["orders-*", "pay?"]).unwrap();
        assert!(set.is_match("orders-eu") && set.is_match("pays") && !set.is_match("orders"));
    }
}
