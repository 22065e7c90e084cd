//! Where a broker listens, as a user writes it.

use std::fmt;
use std::str::FromStr;

/// The port of a broker unless one is named.
const DEFAULT_PORT: u16 = 9092;

/// `HOST:PORT`, `HOST`, `[IPV6]:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
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

impl Address {
    /// Reads an address; it has `default_port` unless it names one.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Address, String> {
        let text = text.trim();
        let wanted = || format!("must be HOST:PORT, such as localhost:{default_port}: {text}");
        if text.contains("://") {
            return Err(format!("must be HOST:PORT without a scheme: {text}"));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wanted)?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wanted)?) })
            }
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(format!("an IPv6 address goes in brackets: [{text}]"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None => default_port,
            Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or_else(wanted)?,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wanted());
        }
        Ok(Address { host: host.to_owned(), port })
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        Address::parse(text, DEFAULT_PORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_brackets_are_read_and_written_back() {
        for (text, shown) in [
            ("localhost:9092", "localhost:9092"),
            (" broker-1 ", "broker-1:9092"),
            ("[::1]:9192", "[::1]:9192"),
            ("[fe80::1]", "[fe80::1]:9092"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in
            ["", ":9092", "a:0", "a:99999", "a:b", "::1", "[::1", "[::1]9092", "PLAINTEXT://a:9092", "a b:1"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
