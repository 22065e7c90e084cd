//! Clients of other protocols on the Kafka port: told from their first bytes, and answered so that they see why.

/// What a client speaks that is not Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Http,
    Tls,
}

const HTTP_STARTS: [&[u8; 4]; 8] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"PRI "];

impl Foreign {
    /// Recognises the first bytes of a connection. As a frame length they would all exceed any sensible limit, so nothing that
    /// is Kafka is mistaken.
    pub(crate) fn recognise(start: &[u8]) -> Option<Foreign> {
        let first = start.first_chunk::<4>()?;
        if HTTP_STARTS.contains(&first) {
            return Some(Foreign::Http);
        }
        matches!(first, [0x16, 3, 0..=4, _]).then_some(Foreign::Tls)
    }

    /// What the client gets before the connection closes: an HTTP answer, or the TLS alert "protocol version".
    pub(crate) fn farewell(self) -> &'static [u8] {
        match self {
            Foreign::Http => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 100\r\n\r\n\
                This is the Kafka port of an eddy broker, not HTTP. Health and metrics are on the admin port (9644)\n"
            }
            Foreign::Tls => &[0x15, 3, 3, 0, 2, 2, 70],
        }
    }

    /// Name in metrics (`eddy_connection_rejected_total{reason}`).
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Foreign::Http => "http",
            Foreign::Tls => "tls_on_plain",
        }
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Foreign::Http => "HTTP",
            Foreign::Tls => "TLS, and this listener is plain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_tls_are_recognised_and_kafka_is_not() {
        assert_eq!(Foreign::recognise(b"GET / HTTP/1.1"), Some(Foreign::Http));
        assert_eq!(Foreign::recognise(&[0x16, 3, 1, 2, 0]), Some(Foreign::Tls));
        assert_eq!(Foreign::recognise(&[0, 0, 0, 20, 0, 18]), None);
        assert_eq!(Foreign::recognise(b"GE"), None);
    }

    #[test]
    fn the_http_answer_has_the_length_it_claims() {
        let answer = std::str::from_utf8(Foreign::Http.farewell()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
