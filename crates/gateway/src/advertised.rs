//! Which address a client is told: the configured one, or else the one it reached us on.
//!
//! A client that got through to an address can get through to it again. That makes the most common mistake with Kafka, an
//! advertised address that works from nowhere but the broker, impossible while nothing is configured.

use std::net::{IpAddr, SocketAddr};

/// The address of this broker as its clients see it.
#[derive(Debug, Clone)]
pub(crate) struct Advertised(Option<(String, u16)>);

impl Advertised {
    pub(crate) fn new(configured: Option<(String, u16)>) -> Advertised {
        Advertised(configured)
    }

    /// Host and port for a client that reached `local`. Never a wildcard: an established connection has a real address.
    pub(crate) fn for_client(&self, local: SocketAddr) -> (String, u16) {
        match &self.0 {
            Some((host, port)) => (host.clone(), *port),
            None => (host_text(local.ip()), local.port()),
        }
    }
}

/// An IPv4 address reached through an IPv6 socket is told as IPv4: the client knows nothing of our socket.
fn host_text(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(configured: Option<(&str, u16)>, local: &str) -> (String, u16) {
        let configured = configured.map(|(host, port)| (host.to_owned(), port));
        Advertised::new(configured).for_client(local.parse().unwrap())
    }

    #[test]
    fn the_client_is_told_the_address_it_reached() {
        assert_eq!(told(None, "127.0.0.1:9092"), ("127.0.0.1".to_owned(), 9092));
        assert_eq!(told(None, "10.0.4.7:9092"), ("10.0.4.7".to_owned(), 9092));
        assert_eq!(told(None, "[::1]:9092"), ("::1".to_owned(), 9092));
        assert_eq!(told(None, "[::ffff:10.0.4.7]:9092"), ("10.0.4.7".to_owned(), 9092));
    }

    #[test]
    fn the_configured_address_wins() {
        assert_eq!(
            told(Some(("broker.example.org", 19092)), "10.0.4.7:9092"),
            ("broker.example.org".to_owned(), 19092)
        );
    }
}
