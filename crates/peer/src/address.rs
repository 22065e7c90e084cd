//! Where a broker listens for its peers.

use std::fmt;
use std::str::FromStr;

/// Host (name or IP address, an IPv6 address without brackets) and port of a broker's internal listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// Host name or IP address, at most 255 bytes.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl PeerAddress {
    /// An address from its parts.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        PeerAddress { host: host.into(), port }
    }
}

impl From<std::net::SocketAddr> for PeerAddress {
    fn from(address: std::net::SocketAddr) -> Self {
        PeerAddress::new(address.ip().to_string(), address.port())
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Text that is not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address of the form host:port: {0:?}")]
pub struct ParseAddressError(pub String);

impl FromStr for PeerAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let bad = || ParseAddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
            None if host.contains(':') => return Err(bad()),
            None => host,
        };
        if host.is_empty() || host.len() > 255 || host.contains(|c: char| c.is_whitespace()) {
            return Err(bad());
        }
        Ok(PeerAddress::new(host, port.parse().map_err(|_| bad())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["localhost:9093", "10.0.0.1:1", "[::1]:9093"] {
            assert_eq!(text.parse::<PeerAddress>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:9093".parse(), Ok(PeerAddress::new("::1", 9093)));
    }

    #[test]
    fn text_without_host_or_port_is_refused() {
        for text in ["", "host", ":9093", "host:", "host:70000", "::1:9093", "[::1:9093", "a b:1"] {
            assert!(text.parse::<PeerAddress>().is_err(), "{text}");
        }
    }
}
