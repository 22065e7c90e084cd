//! From a name to a connection that speaks Kafka.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eddy_client::{ConnectError, Connection, ConnectionOptions};
use tokio::net::{TcpStream, lookup_host};

use super::sniff::{Spoken, sniff};
use super::{Check, millis};
use crate::Address;

/// Longest time for one step: a person waits.
const STEP_MAX: Duration = Duration::from_secs(5);

/// How far it went.
pub(super) struct Dialed {
    pub(super) checks: Vec<Check>,
    pub(super) connection: Option<Connection>,
    /// Whether it leads to this machine.
    pub(super) is_loopback: bool,
}

/// Resolves, connects, asks for versions; ends at the first step that fails.
pub(super) async fn dial(address: &Address, timeout: Duration) -> Dialed {
    let mut dialed = Dialed { checks: Vec::new(), connection: None, is_loopback: false };
    let step = timeout.min(STEP_MAX);
    let Some(sockets) = resolve(address, step, &mut dialed.checks).await else { return dialed };
    let Some(socket) = reach(address, &sockets, step, &mut dialed.checks).await else { return dialed };
    dialed.is_loopback = socket.ip().is_loopback();
    let began = Instant::now();
    let options = ConnectionOptions {
        client_id: "eddy-doctor".to_owned(),
        connect_timeout: step,
        request_timeout: timeout,
        ..ConnectionOptions::default()
    };
    match Connection::open(socket, options).await {
        Ok(connection) => {
            let text = format!("{address} answers ApiVersions in {}", millis(began));
            dialed.checks.push(Check::ok("kafka", text));
            dialed.connection = Some(connection);
        }
        Err(error) => dialed.checks.push(not_kafka(address, &error, sniff(socket, step).await)),
    }
    dialed
}

async fn resolve(address: &Address, step: Duration, checks: &mut Vec<Check>) -> Option<Vec<SocketAddr>> {
    let began = Instant::now();
    let looked_up = tokio::time::timeout(step, lookup_host((address.host.as_str(), address.port))).await;
    let failed = |reason: String| {
        Check::fail("resolve", format!("{}: {reason}", address.host))
            .advise("check the spelling, /etc/hosts and the name server of this machine")
            .code("ED-3001")
    };
    let mut sockets: Vec<SocketAddr> = match looked_up {
        Ok(Ok(sockets)) => sockets.collect(),
        Ok(Err(error)) => {
            checks.push(failed(error.to_string()));
            return None;
        }
        Err(_) => {
            checks.push(failed(format!("no answer from the name server within {step:?}")));
            return None;
        }
    };
    sockets.sort_by_key(SocketAddr::is_ipv6);
    sockets.dedup();
    if sockets.is_empty() {
        checks.push(failed("the name has no address".to_owned()));
        return None;
    }
    let ips: Vec<String> = sockets.iter().map(|socket| socket.ip().to_string()).collect();
    // A numeric address needs no name server.
    if ips.first().is_none_or(|ip| *ip != address.host) {
        checks
            .push(Check::ok("resolve", format!("{} → {} ({})", address.host, ips.join(", "), millis(began))));
    }
    Some(sockets)
}

/// The first of the addresses that takes a connection.
async fn reach(
    address: &Address,
    sockets: &[SocketAddr],
    step: Duration,
    checks: &mut Vec<Check>,
) -> Option<SocketAddr> {
    let mut refused = false;
    let mut said = Vec::new();
    for socket in sockets {
        let began = Instant::now();
        match tokio::time::timeout(step, TcpStream::connect(socket)).await {
            Ok(Ok(_)) => {
                checks.push(Check::ok("tcp", format!("{socket} in {}", millis(began))));
                return Some(*socket);
            }
            Ok(Err(error)) => {
                refused |= error.kind() == std::io::ErrorKind::ConnectionRefused;
                said.push(format!("{socket}: {}", reason(&error)));
            }
            Err(_) => said.push(format!("{socket}: no answer within {step:?}")),
        }
    }
    let failed = Check::fail("tcp", said.join("; ")).code("ED-3003");
    checks.push(if refused {
        let host = &address.host;
        let failed = failed.advise(format!(
            "nothing listens on port {} there: is the broker running, is it another port?",
            address.port
        ));
        if sockets.iter().all(|socket| socket.ip().is_loopback()) {
            failed.advise("eddy up starts a local cluster on port 9092")
        } else {
            failed.advise(format!(
                "on {host}: ss -ltn shows the ports; 127.0.0.1 there is reached from {host} only"
            ))
        }
    } else {
        failed.advise("a firewall, a security group or a wrong address: packets are lost on the way")
    });
    None
}

fn not_kafka(address: &Address, error: &ConnectError, spoken: Spoken) -> Check {
    let failed = |text: String| Check::fail("kafka", text).code("ED-3004");
    match spoken {
        Spoken::Tls => failed(format!("{address} speaks TLS, and this client does not"))
            .advise("use a listener without TLS, or clients with security.protocol=SSL"),
        Spoken::Http => failed(format!("{address} speaks HTTP: it is not a Kafka listener"))
            .advise("is it the admin port, or a proxy? Kafka's port is 9092 unless set otherwise"),
        Spoken::Unknown => failed(format!("{address} does not answer ApiVersions: {error}"))
            .advise("something listens there that is no Kafka broker, or wants authentication first (SASL)"),
    }
}

fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
