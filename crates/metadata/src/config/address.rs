//! Addresses in values: where to listen, and where other brokers are reached.

use std::fmt;

use eddy_types::BrokerId;

use super::typed::FromValue;
use super::value::Value;

/// A host and a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 0 lets the kernel choose.
    pub port: u16,
}

impl Address {
    /// Reads `host:port` or `[::1]:port`, with Kafka's `PLAINTEXT://` before it allowed; an empty host is every address.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Address, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("plaintext") => rest,
            Some((scheme, _)) => return Err(format!("unknown protocol {scheme:?}, use PLAINTEXT")),
            None => text,
        };
        let (host, port) = rest.rsplit_once(':').ok_or("must be host:port")?;
        let port = port.parse().map_err(|_| "must end with a port from 0 to 65535")?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.contains(['/', ',', ' ']) || (bare == host && host.contains(':')) {
            return Err("must be one host:port, a numeric IPv6 host in brackets".to_owned());
        }
        let host = if bare.is_empty() { "0.0.0.0" } else { bare };
        Ok(Address { host: host.to_owned(), port })
    }

    /// Like [`Address::parse`], for an address to connect to.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse_of_peer(text: &str) -> Result<Address, String> {
        let address = Address::parse(text)?;
        if address.is_unspecified() {
            return Err(format!("nobody can connect to {}: name the broker's host", address.host));
        }
        if address.port == 0 {
            return Err("must end with a port from 1 to 65535".to_owned());
        }
        Ok(address)
    }

    /// Whether the host stands for every address of the machine.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromValue for Address {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Address::parse(text).ok() } else { None }
    }
}

/// One of `cluster.seeds`: a broker, and where the others reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedBroker {
    /// The broker's `node.id`.
    pub broker: BrokerId,
    /// Its address among brokers.
    pub address: Address,
}

impl SeedBroker {
    /// Reads `id@host:port`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<SeedBroker, String> {
        let Some((id, address)) = text.split_once('@') else {
            return Err(format!("must be a list of id@host:port, and {text:?} is not"));
        };
        let broker = id.trim().parse().ok().filter(|id| *id >= 0).map(BrokerId);
        let broker = broker.ok_or_else(|| format!("{id:?} is no node.id in {text:?}"))?;
        let address = Address::parse_of_peer(address.trim()).map_err(|why| format!("{text:?}: {why}"))?;
        Ok(SeedBroker { broker, address })
    }

    /// The items of a list of seeds in canonical form; no broker and no address twice.
    pub(super) fn list_of(text: &str) -> Result<Vec<String>, String> {
        let mut seeds: Vec<SeedBroker> = Vec::new();
        // Not `parse_list`, which would make one of two equal items: one of them was meant to be another.
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let seed = SeedBroker::parse(item)?;
            for other in &seeds {
                if other.broker == seed.broker {
                    return Err(format!("names broker {} twice", seed.broker));
                }
                if other.address == seed.address {
                    return Err(format!(
                        "names {} twice, for brokers {} and {}",
                        seed.address, other.broker, seed.broker
                    ));
                }
            }
            seeds.push(seed);
        }
        Ok(seeds.iter().map(ToString::to_string).collect())
    }
}

impl fmt::Display for SeedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.broker, self.address)
    }
}

impl FromValue for Vec<SeedBroker> {
    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else { return None };
        items.iter().map(|item| SeedBroker::parse(item).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_host_and_one_port() {
        assert_eq!(Address::parse("[::1]:9092").unwrap().to_string(), "[::1]:9092");
        assert_eq!(Address::parse("PLAINTEXT://:9092").unwrap().host, "0.0.0.0");
        for bad in ["localhost", "::1:9092", "SSL://a:1", "a:1,b:2", "a:70000", "http://a/b:1"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_to_connect_to_names_a_host_and_a_port() {
        assert!(Address::parse_of_peer("a:1").is_ok());
        for bad in ["0.0.0.0:1", "[::]:1", ":1", "a:0", "a"] {
            assert!(Address::parse_of_peer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seeds_are_written_one_way() {
        assert_eq!(SeedBroker::list_of("2@b:1, 1@[::1]:9094 ,").unwrap(), ["2@b:1", "1@[::1]:9094"]);
        assert_eq!(SeedBroker::list_of("").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_wrong_with_a_seed_is_said() {
        for (text, reason) in [
            ("a:1", "must be a list of id@host:port, and \"a:1\" is not"),
            ("x@a:1", "\"x\" is no node.id in \"x@a:1\""),
            ("-1@a:1", "\"-1\" is no node.id in \"-1@a:1\""),
            ("1@a", "\"1@a\": must be host:port"),
            ("1@a:0", "\"1@a:0\": must end with a port from 1 to 65535"),
            ("1@0.0.0.0:9", "\"1@0.0.0.0:9\": nobody can connect to 0.0.0.0: name the broker's host"),
            ("1@a:1,1@b:1", "names broker 1 twice"),
            ("1@a:1,1@a:1", "names broker 1 twice"),
            ("1@a:1,2@a:1", "names a:1 twice, for brokers 1 and 2"),
        ] {
            assert_eq!(SeedBroker::list_of(text).unwrap_err(), reason, "{text}");
        }
    }
}
