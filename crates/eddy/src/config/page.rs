//! What is known of a key, in words: `eddy config explain` and the generated references.

use std::fmt::Write;

use eddy_metadata::config::{Check, Foreign, Key, Kind, Scope, Unit, foreign, registry};

use super::{nearest, variable_of};

/// The page of a name: of the key or keys that have it, or of what Kafka means by it. `None` when nobody knows it.
pub(super) fn page(name: &str) -> Option<String> {
    let scoped = [
        registry::broker(name),
        registry::topic(name),
        registry::group(name),
        registry::client_metrics(name),
    ];
    let pages: Vec<_> = scoped.into_iter().flatten().map(key_page).collect();
    if !pages.is_empty() {
        return Some(pages.join("\n"));
    }
    Some(match foreign(name, "?")? {
        Foreign::Unsupported(why) => {
            format!(
                "{name}\n  A key of Kafka's that is not supported: {why}.\n  A broker does not start with it.\n"
            )
        }
        Foreign::Harmless(why) => format!("{name}\n  A key of Kafka's that is passed over: {why}.\n"),
    })
}

/// The key that a name nobody knows most likely means.
pub(super) fn suggestion(name: &str) -> Option<&'static str> {
    nearest(name).map(|key| key.name).or_else(|| registry::suggest(name))
}

fn key_page(key: &Key) -> String {
    let mut out = format!("{}  ({} key)\n", key.name, key.scope);
    let mut line = |label: &str, text: &str| writeln!(out, "  {label:<10}{text}").ok();
    line("", &key.documentation());
    line("value", &form(key));
    line(
        "default",
        key.default.map_or("not set", |default| if default.is_empty() { "empty" } else { default }),
    );
    if key.scope == Scope::Broker {
        line("variable", &variable_of(key.name));
    }
    if !key.aliases.is_empty() {
        line("also", &key.aliases.join(", "));
    }
    let level = key.synonyms.iter().filter(|synonym| key.scope != Scope::Broker || **synonym != key.name);
    let level: Vec<_> = level.copied().collect();
    if !level.is_empty() {
        line("else", &format!("{} of the broker", level.join(", then ")));
    }
    line("changes", change(key));
    out
}

fn change(key: &Key) -> &'static str {
    match (key.inert, key.scope, key.dynamic) {
        (Some(_), Scope::Broker, false) => "nothing",
        (_, Scope::Broker, true) => "at a restart, or while the broker runs: eddy config set",
        (_, Scope::Broker, false) => "at a restart",
        _ => "at any time: eddy config set",
    }
}

/// Type, unit and bounds, in words.
pub(super) fn form(key: &Key) -> String {
    let kind = match (key.kind, key.unit) {
        (Kind::Boolean, _) => "true or false",
        (Kind::Double, _) => "a number",
        (Kind::Text | Kind::Password, _) => "text",
        (Kind::List, _) => "a list",
        (_, Unit::None) => "a whole number",
        (_, Unit::Bytes) => "bytes",
        (_, Unit::Millis) => "milliseconds",
        (_, Unit::Seconds) => "seconds",
        (_, Unit::Minutes) => "minutes",
        (_, Unit::Hours) => "hours",
    };
    let bounds = match key.check {
        Check::Any => String::new(),
        Check::AtLeast(least) => format!(", at least {least}"),
        Check::Between(least, most) => format!(", from {least} to {most}"),
        Check::BetweenOr(least, most, other) => format!(", from {least} to {most}, or {other}"),
        Check::Ratio => ", from 0 to 1".to_owned(),
        Check::OneOf(values) | Check::OneOfIgnoringCase(values) => format!(": {}", values.join(", ")),
        Check::SomeOf(values) => format!(" of {}", values.join(", ")),
        Check::Address | Check::AddressOfPeer => ": host:port".to_owned(),
        Check::Seeds => ": id@host:port items".to_owned(),
        Check::NotEmpty => ", not empty".to_owned(),
        Check::Directory => ": the path of a directory".to_owned(),
        Check::LimitsByAddress => ": address:number items".to_owned(),
        Check::OffsetReset => ": earliest, latest or by_duration:PnDTnHnMn.nS".to_owned(),
        Check::ClientMatch => " of selector=regular expression".to_owned(),
        Check::ThrottledReplicas => ": * or partition:broker".to_owned(),
    };
    format!("{kind}{bounds}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_there_is_to_know() {
        expect_test::expect![[r#"
            wal.profile  (broker key)
                        Limits of the write-ahead log: queue, group size, latency budget, memory. auto takes high above 4 GiB of memory, else medium.
              value     text: auto, low, medium, high, ultra
              default   auto
              variable  EDDY_WAL__PROFILE
              changes   at a restart
        "#]]
        .assert_eq(&page("wal.profile").unwrap());
        expect_test::expect![[r#"
            min.insync.replicas  (broker key)
                        min.insync.replicas of topics that do not set it.
              value     a whole number, at least 1
              default   1
              variable  EDDY_MIN__INSYNC__REPLICAS
              changes   at a restart, or while the broker runs: eddy config set

            min.insync.replicas  (topic key)
                        In-sync replicas, the leader included, that a write with acks=all needs.
              value     a whole number, at least 1
              default   1
              else      min.insync.replicas of the broker
              changes   at any time: eddy config set
        "#]]
        .assert_eq(&page("min.insync.replicas").unwrap());
        assert!(page("log.dirs").unwrap().starts_with("data.dir  (broker key)\n"));
    }

    #[test]
    fn names_of_kafka_without_a_key_have_a_page_too() {
        expect_test::expect![[r#"
            ssl.keystore.location
              A key of Kafka's that is not supported: connections are not encrypted.
              A broker does not start with it.
        "#]]
        .assert_eq(&page("ssl.keystore.location").unwrap());
        assert!(page("num.io.threads").unwrap().contains("it changes nothing here: the runtime"));
        assert!(page("zookeeper.connect").unwrap().contains("passed over: Kafka 4.0 removed it"));
        assert_eq!(page("wal.proflie"), None);
        assert_eq!(suggestion("wal.proflie"), Some("wal.profile"));
        assert_eq!(suggestion("consumer.session.timeout"), Some("consumer.session.timeout.ms"));
    }
}
