//! Names of Kafka's that are no keys here: what a file for Kafka may say all the same, and what must not be passed over.

/// What a name and value from a file for Kafka mean when there is no key of that name, or before the key is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Leaving it out changes nothing, for this reason.
    Harmless(&'static str),
    /// Leaving it out would give another broker than the one described, for this reason.
    Unsupported(&'static str),
}

/// One entry: a name, or the beginning of names when it ends with a dot.
struct Entry {
    name: &'static str,
    nothing: Nothing,
    why: &'static str,
}

/// Which values ask for nothing that is not there.
enum Nothing {
    None,
    /// These, whatever their case, spaces aside.
    Values(&'static [&'static str]),
    /// Lists of one item at most.
    OneItem,
}

impl Nothing {
    fn asked_by(&self, value: &str) -> bool {
        match self {
            Nothing::None => false,
            Nothing::Values(values) => {
                let value = value.replace(' ', "");
                values.iter().any(|nothing| nothing.eq_ignore_ascii_case(&value))
            }
            Nothing::OneItem => super::parse_list(value).len() <= 1,
        }
    }
}

const TLS: &str = "connections are not encrypted";
const SASL: &str = "clients do not authenticate";
const ACL: &str = "there is no authorizer: every client may do everything";
const PLUGIN: &str = "Java classes are not loaded";
const NAMELESS: &str = "it does not say which broker is where: set cluster.seeds";
const ALONE: &str = "a broker that names only itself is a cluster of its own";
const PORT: &str = "set listeners and advertised.listeners";

const VOTERS: &str = "controller.quorum.voters";

const fn entry(name: &'static str, why: &'static str) -> Entry {
    Entry { name, nothing: Nothing::None, why }
}

const fn unless(name: &'static str, values: &'static [&'static str], why: &'static str) -> Entry {
    Entry { name, nothing: Nothing::Values(values), why }
}

/// Who sets one of these counts on what it does: the broker does not start without it.
static UNSUPPORTED: &[Entry] = &[
    entry("ssl.", TLS),
    unless("security.inter.broker.protocol", &["PLAINTEXT"], TLS),
    entry("security.providers", TLS),
    entry("listener.name.", "there is one listener, without settings of its own"),
    entry("sasl.", SASL),
    unless("connections.max.reauth.ms", &["0"], SASL),
    entry("delegation.token.", SASL),
    unless("authorizer.class.name", &[""], ACL),
    entry("authorizer.", ACL),
    entry("super.users", ACL),
    entry("allow.everyone.if.no.acl.found", ACL),
    entry("principal.builder.class", PLUGIN),
    entry("client.quota.callback.class", PLUGIN),
    entry("create.topic.policy.class.name", PLUGIN),
    entry("alter.config.policy.class.name", PLUGIN),
    unless("config.providers", &[""], "values are taken as they stand, not looked up elsewhere"),
    entry("config.providers.", "values are taken as they stand, not looked up elsewhere"),
    unless("remote.log.storage.system.enable", &["false"], "there is no tiered storage"),
    unless(
        "process.roles",
        &["broker,controller", "controller,broker"],
        "every node is broker and controller",
    ),
    Entry { name: "controller.quorum.bootstrap.servers", nothing: Nothing::OneItem, why: NAMELESS },
    entry("host.name", PORT),
    entry("port", PORT),
    entry("advertised.host.name", PORT),
    entry("advertised.port", PORT),
];

/// What Kafka 4 itself no longer reads, and what belongs to others.
static HARMLESS: &[Entry] = &[
    entry("zookeeper.", "Kafka 4.0 removed it"),
    entry("inter.broker.protocol.version", "Kafka 4.0 removed it"),
    entry("log.message.format.version", "Kafka 4.0 removed it"),
    entry("log.message.downconversion.enable", "Kafka 4.0 removed it"),
    entry("log.message.timestamp.difference.max.ms", "Kafka 4.0 removed it"),
    entry("broker.id.generation.enable", "Kafka 4.0 removed it"),
    entry("reserved.broker.max.id", "Kafka 4.0 removed it"),
    entry("control.plane.listener.name", "Kafka 4.0 removed it"),
    entry("offsets.commit.required.acks", "Kafka 4.0 removed it"),
    entry("leader.imbalance.per.broker.percentage", "any leader that is not the preferred one is moved"),
    entry("connection.failed.authentication.delay.ms", SASL),
    entry("unstable.", "it is for Kafka's own tests"),
    entry("rlmm.config.", "there is no tiered storage"),
    entry("rsm.config.", "there is no tiered storage"),
    entry("confluent.", "it belongs to another distribution of Kafka"),
    entry("auto.include.jmx.reporter", "metrics are served over HTTP in the Prometheus format"),
];

/// What a name of Kafka's means with this value; `None` when a key or nobody has the name.
#[must_use]
pub fn foreign(name: &str, value: &str) -> Option<Foreign> {
    let is =
        |entry: &&Entry| name == entry.name || (entry.name.ends_with('.') && name.starts_with(entry.name));
    if let Some(entry) = UNSUPPORTED.iter().find(is) {
        return Some(if entry.nothing.asked_by(value) {
            Foreign::Harmless(entry.why)
        } else {
            Foreign::Unsupported(entry.why)
        });
    }
    // Of several it is the name of a key, `cluster.seeds`. The one broker of a file for a lone Kafka needs no listener for others.
    if name == VOTERS && Nothing::OneItem.asked_by(value) {
        return Some(Foreign::Harmless(ALONE));
    }
    HARMLESS.iter().find(is).map(|entry| Foreign::Harmless(entry.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_leave_a_broker_open_is_never_harmless() {
        for (name, value) in [
            ("ssl.keystore.location", "/k.jks"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.external.ssl.keystore.location", "/k.jks"),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("super.users", "User:admin"),
            ("security.inter.broker.protocol", "SASL_SSL"),
            ("allow.everyone.if.no.acl.found", "false"),
            ("client.quota.callback.class", "x"),
            ("delegation.token.secret.key", "x"),
            ("controller.quorum.bootstrap.servers", "a:1,b:1"),
            ("process.roles", "controller"),
        ] {
            assert!(matches!(foreign(name, value), Some(Foreign::Unsupported(_))), "{name}");
        }
    }

    #[test]
    fn values_that_ask_for_nothing_are_harmless() {
        for (name, value) in [
            ("security.inter.broker.protocol", " plaintext"),
            ("authorizer.class.name", ""),
            ("connections.max.reauth.ms", "0"),
            ("remote.log.storage.system.enable", "false"),
            ("zookeeper.connect", "z:2181"),
            ("controller.quorum.voters", "1@a:1"),
            ("process.roles", "broker, controller"),
        ] {
            assert!(matches!(foreign(name, value), Some(Foreign::Harmless(_))), "{name}");
        }
        assert_eq!(foreign("controller.quorum.voters", "1@a:1,2@b:1"), None);
        assert_eq!(foreign("num.partitions", "1"), None);
        assert_eq!(foreign("sslx", "1"), None);
    }
}
