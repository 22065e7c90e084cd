//! What a configuration key is.

/// A configuration key: one entry of the table.
#[derive(Debug)]
pub struct Key {
    /// Canonical name.
    pub name: &'static str,
    /// Other names for it: Kafka's names of a key of ours, or a name with the unit in it.
    pub aliases: &'static [&'static str],
    /// Names under which DescribeConfigs lists it, where those are Kafka's and not [`Key::name`]: tools look for them (X13).
    pub listed_as: &'static [&'static str],
    /// What it configures.
    pub scope: Scope,
    /// Type of the value, as DescribeConfigs tells it.
    pub kind: Kind,
    /// What a plain number counts.
    pub unit: Unit,
    /// Default in canonical text; `None` is Kafka's null: not set.
    pub default: Option<&'static str>,
    /// Which values are good.
    pub check: Check,
    /// Whether AlterConfigs may change it on a running broker. Topic keys always may.
    pub dynamic: bool,
    /// Broker keys that give the value when the key itself is not set, first wins; the key's own name at broker level first.
    pub synonyms: &'static [&'static str],
    /// Why setting it changes nothing here; `None` for a key that is honoured. Such a key is known so that files and tools
    /// written for Kafka work.
    pub inert: Option<&'static str>,
    /// What it does, in a sentence or two; empty for an inert key.
    pub doc: &'static str,
}

/// What a key configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A topic.
    Topic,
    /// A broker.
    Broker,
    /// A group of consumers, by its id.
    Group,
    /// A subscription to metrics of clients, by its name (KIP-714).
    ClientMetrics,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scope::Topic => "topic",
            Scope::Broker => "broker",
            Scope::Group => "group",
            Scope::ClientMetrics => "client metrics",
        })
    }
}

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A number of 16 bits.
    Short,
    /// A number of 32 bits.
    Int,
    /// A number of 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Text.
    Text,
    /// Text items separated by commas.
    List,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// Number of the type in DescribeConfigs, version 3 and up.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::Text => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Password => 9,
        }
    }
}

/// What a plain number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing, or things.
    None,
    /// Bytes; `64MiB` is understood.
    Bytes,
    /// Milliseconds; `10s` is understood, here and below.
    Millis,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl Unit {
    /// Milliseconds in the unit, `None` when it does not measure time.
    #[must_use]
    pub fn millis(self) -> Option<i64> {
        match self {
            Unit::None | Unit::Bytes => None,
            Unit::Millis => Some(1),
            Unit::Seconds => Some(1_000),
            Unit::Minutes => Some(60_000),
            Unit::Hours => Some(3_600_000),
        }
    }
}

/// Which values of the type are good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// All.
    Any,
    /// Numbers from this one up.
    AtLeast(i64),
    /// Numbers from the first to the second.
    Between(i64, i64),
    /// Numbers from the first to the second, and the third.
    BetweenOr(i64, i64, i64),
    /// Numbers from 0.0 to 1.0.
    Ratio,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, which are in lower case; the value's own case does not matter.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list of some of these texts.
    SomeOf(&'static [&'static str]),
    /// `host:port`, with Kafka's `PLAINTEXT://` before it allowed.
    Address,
    /// `host:port` to connect to: no port 0, no host that stands for all addresses.
    AddressOfPeer,
    /// A list of `id@host:port`, to connect to; each broker and each address once.
    Seeds,
    /// Text with at least one character.
    NotEmpty,
    /// The path of one directory: not empty, no list.
    Directory,
    /// A list of `address:number`.
    LimitsByAddress,
    /// `earliest`, `latest` or `by_duration:` with a duration as ISO 8601 writes it.
    OffsetReset,
    /// A list of `selector=regular expression` (KIP-714).
    ClientMatch,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
}

const fn key(scope: Scope, kind: Kind, name: &'static str, default: Option<&'static str>) -> Key {
    Key {
        name,
        aliases: &[],
        listed_as: &[],
        scope,
        kind,
        unit: Unit::None,
        default,
        check: Check::Any,
        dynamic: !matches!(scope, Scope::Broker),
        synonyms: &[],
        inert: None,
        doc: "",
    }
}

/// A topic key with a default.
pub(super) const fn topic(kind: Kind, name: &'static str, default: &'static str) -> Key {
    key(Scope::Topic, kind, name, Some(default))
}

/// A broker key with a default.
pub(super) const fn broker(kind: Kind, name: &'static str, default: &'static str) -> Key {
    key(Scope::Broker, kind, name, Some(default))
}

/// A broker key without a default.
pub(super) const fn broker_unset(kind: Kind, name: &'static str) -> Key {
    key(Scope::Broker, kind, name, None)
}

/// A key of a group with a default.
pub(super) const fn group(kind: Kind, name: &'static str, default: &'static str) -> Key {
    key(Scope::Group, kind, name, Some(default))
}

/// A key of a subscription to client metrics with a default.
pub(super) const fn client_metrics(kind: Kind, name: &'static str, default: &'static str) -> Key {
    key(Scope::ClientMetrics, kind, name, Some(default))
}

/// A broker key of Kafka's that changes nothing here, with why.
pub(super) const fn inert(kind: Kind, name: &'static str, default: &'static str, why: &'static str) -> Key {
    broker(kind, name, default).inert(why)
}

/// Like [`inert`], without a default.
pub(super) const fn inert_unset(kind: Kind, name: &'static str, why: &'static str) -> Key {
    broker_unset(kind, name).inert(why)
}

impl Key {
    pub(super) const fn unit(self, unit: Unit) -> Key {
        Key { unit, ..self }
    }

    pub(super) const fn check(self, check: Check) -> Key {
        Key { check, ..self }
    }

    pub(super) const fn aliases(self, aliases: &'static [&'static str]) -> Key {
        Key { aliases, ..self }
    }

    pub(super) const fn listed_as(self, listed_as: &'static [&'static str]) -> Key {
        Key { listed_as, ..self }
    }

    pub(super) const fn inert(self, why: &'static str) -> Key {
        Key { inert: Some(why), ..self }
    }

    pub(super) const fn synonyms(self, synonyms: &'static [&'static str]) -> Key {
        Key { synonyms, ..self }
    }

    pub(super) const fn dynamic(self) -> Key {
        Key { dynamic: true, ..self }
    }

    pub(super) const fn doc(self, doc: &'static str) -> Key {
        Key { doc, ..self }
    }

    /// Whether a name is one of the key's.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Names under which DescribeConfigs lists the key.
    #[must_use]
    pub fn listed_names(&self) -> &[&'static str] {
        if self.listed_as.is_empty() { std::slice::from_ref(&self.name) } else { self.listed_as }
    }

    /// What the key does, or why it does nothing.
    #[must_use]
    pub fn documentation(&self) -> String {
        match self.inert {
            Some(why) => format!("Accepted because Kafka has it; it changes nothing here: {why}."),
            None => self.doc.to_owned(),
        }
    }

    /// Whether the value must not be shown.
    #[must_use]
    pub fn sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}
