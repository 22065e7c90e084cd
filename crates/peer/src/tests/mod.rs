//! Brokers on loopback sockets.

mod calls;
mod handshake;
mod links;
mod listener;
mod streams;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_types::{BrokerId, ClusterId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::{Handler, LinkState, PeerAddress, PeerConfig, Peers, Service};

const CLUSTER: ClusterId = ClusterId([9; 16]);

/// Long enough for anything that should happen on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A broker on a free port of loopback.
async fn broker(id: i32) -> Peers {
    broker_at(id, 100 + id as u64, "127.0.0.1:0", Some(CLUSTER)).await
}

async fn broker_at(id: i32, incarnation: u64, listen: &str, cluster: Option<ClusterId>) -> Peers {
    let listener = TcpListener::bind(listen).await.unwrap();
    let advertised = PeerAddress::from(listener.local_addr().unwrap());
    let peers = Peers::new(PeerConfig { me: BrokerId(id), incarnation, advertised, cluster });
    peers.listen(listener);
    peers
}

/// Two brokers that know each other.
async fn pair() -> (Peers, Peers) {
    let (one, two) = (broker(1).await, broker(2).await);
    introduce(&one, &two);
    introduce(&two, &one);
    (one, two)
}

/// Tells `to` where `about` listens.
fn introduce(to: &Peers, about: &Peers) {
    to.set_address(about.me(), about.advertised().clone());
}

/// A handler from a closure.
struct Serve<F>(F);

impl<F, A> Handler for Serve<F>
where
    F: Fn(BrokerId, Bytes) -> A + Send + Sync,
    A: Future<Output = Result<Bytes, String>> + Send + 'static,
{
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin((self.0)(from, request))
    }
}

/// Serves `Metadata` by saying who asked what.
fn serve_echo(peers: &Peers) {
    let me = peers.me();
    let echo = move |from: BrokerId, request: Bytes| async move {
        Ok(Bytes::from([format!("{from}>{me}:").as_bytes(), &request].concat()))
    };
    peers.serve(Service::Metadata, Arc::new(Serve(echo)));
}

/// Serves `Metadata` by never answering.
fn serve_silence(peers: &Peers) {
    peers.serve(Service::Metadata, Arc::new(Serve(|_, _| std::future::pending())));
}

async fn ask(from: &Peers, to: i32, words: &'static str) -> Result<Bytes, crate::CallError> {
    from.call(BrokerId(to), Service::Metadata, Bytes::from_static(words.as_bytes()), SOON).await
}

/// Waits until a link is in a state.
async fn becomes(link: &mut watch::Receiver<LinkState>, state: LinkState) {
    let reached = matches!(tokio::time::timeout(SOON, link.wait_for(|now| *now == state)).await, Ok(Ok(_)));
    assert!(reached, "{state:?} was not reached, but {:?}", *link.borrow());
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, waited).await.is_ok(), "waited for: {what}");
}

/// The bytes of a hello, written out.
fn hello_bytes(purpose: u8, cluster: ClusterId, from: i32, to: i32) -> Vec<u8> {
    let mut rest = vec![purpose];
    rest.extend(cluster.0);
    rest.extend(from.to_be_bytes());
    rest.extend(77u64.to_be_bytes());
    rest.extend(to.to_be_bytes());
    rest.extend(1u16.to_be_bytes());
    rest.push(1);
    rest.extend(b"h");
    [b"EDPR\x01", &(rest.len() as u16).to_be_bytes()[..], &rest].concat()
}

/// A connection to `peers` with a handshake made by hand, as broker 7.
async fn raw_connection(peers: &Peers, purpose: u8) -> TcpStream {
    let mut socket = raw_socket(peers).await;
    socket.write_all(&hello_bytes(purpose, CLUSTER, 7, peers.me().0)).await.unwrap();
    let mut answer = [0; 34];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..6], *b"EDPR\x01\0");
    socket
}

async fn raw_socket(peers: &Peers) -> TcpStream {
    let address = peers.advertised();
    TcpStream::connect((address.host.as_str(), address.port)).await.unwrap()
}

/// A broker made by hand: takes one connection, accepts its hello as broker `id`, and hands out the socket.
async fn accept_as(listener: &TcpListener, id: i32) -> TcpStream {
    accept_of(listener, id, CLUSTER).await
}

/// As [`accept_as`], of any cluster.
async fn accept_of(listener: &TcpListener, id: i32, cluster: ClusterId) -> TcpStream {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut prefix = [0; 7];
    socket.read_exact(&mut prefix).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([prefix[5], prefix[6]]))];
    socket.read_exact(&mut rest).await.unwrap();
    let answer = [b"EDPR\x01\0", &id.to_be_bytes()[..], &55u64.to_be_bytes(), &cluster.0].concat();
    socket.write_all(&answer).await.unwrap();
    socket
}

/// Waits until the other side closes a socket, and returns what it sent before.
async fn read_to_close(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut bytes)).await;
    // A reset is an end as well: the other side closes with bytes of ours unread.
    let _ = read.expect("the other side should close the connection");
    bytes
}
