//! What a port speaks that does not speak Kafka.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Tls,
    Http,
    /// Neither, or nothing.
    Unknown,
}

/// The smallest greeting of TLS 1.2: any server answers it, if only with an alert.
#[rustfmt::skip]
const CLIENT_HELLO: [u8; 50] = [
    0x16, 3, 1, 0, 45,
    1, 0, 0, 41, 3, 3,
    // These should be random.
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // No session; one cipher suite, TLS_RSA_WITH_AES_128_CBC_SHA; no compression.
    0, 0, 2, 0, 0x2f, 1, 0,
];
/// Record types of TLS: alert and handshake.
const TLS_ANSWERS: [u8; 2] = [0x15, 0x16];

/// Greets in one protocol after the other and looks who answers.
pub(super) async fn sniff(socket: SocketAddr, patience: Duration) -> Spoken {
    if let [kind, 3, ..] = answer(socket, &CLIENT_HELLO, patience).await
        && TLS_ANSWERS.contains(&kind)
    {
        return Spoken::Tls;
    }
    let greeting = b"GET / HTTP/1.0\r\n\r\n";
    if answer(socket, greeting, patience).await.starts_with(b"HTTP") { Spoken::Http } else { Spoken::Unknown }
}

/// The first bytes that come back; zeros for those that do not come.
async fn answer(socket: SocketAddr, greeting: &[u8], patience: Duration) -> [u8; 5] {
    let mut first = [0; 5];
    let exchange = async {
        let mut stream = TcpStream::connect(socket).await?;
        stream.write_all(greeting).await?;
        stream.read_exact(&mut first).await
    };
    // Silence is an answer too.
    let heard = tokio::time::timeout(patience.min(Duration::from_secs(2)), exchange).await;
    if matches!(heard, Ok(Ok(_))) { first } else { [0; 5] }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that reads a little and answers always the same.
    async fn serve(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut greeting = [0; 18];
                stream.read_exact(&mut greeting).await.ok();
                stream.write_all(answer).await.ok();
            }
        });
        address
    }

    async fn check(answer: &'static [u8], spoken: Spoken) {
        assert_eq!(sniff(serve(answer).await, Duration::from_secs(2)).await, spoken);
    }

    #[tokio::test]
    async fn protocols_are_told_by_their_first_bytes() {
        check(&[0x15, 3, 1, 0, 2, 2, 40], Spoken::Tls).await;
        check(b"HTTP/1.1 400 Bad Request\r\n", Spoken::Http).await;
        check(b"SSH-2.0-OpenSSH", Spoken::Unknown).await;
        check(b"", Spoken::Unknown).await;
    }

    #[test]
    fn the_greeting_is_as_long_as_it_says() {
        assert_eq!(usize::from(CLIENT_HELLO[4]), CLIENT_HELLO.len() - 5);
        assert_eq!(usize::from(CLIENT_HELLO[8]), CLIENT_HELLO.len() - 9);
    }
}
