//! The first words on a connection.
//!
//! Hello: magic, version `u8`, length of the rest `u16`; purpose `u8`, cluster (16 bytes, zero when not known), from
//! `i32`, its incarnation `u64`, to `i32` (-1: whoever listens), port `u16`, host `u8` length and bytes. Magic,
//! version and length keep their place in every version, so that an older broker can refuse a newer one politely.
//!
//! Answer: magic, version, status `u8` (0 accepted, else the reason), broker `i32`, incarnation `u64`, cluster (16
//! bytes).

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use eddy_types::{BrokerId, ClusterId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{PeerAddress, RefuseReason};

const MAGIC: [u8; 4] = *b"EDPR";
const VERSION: u8 = 1;
const PREFIX: usize = 7;
const HELLO_BYTES_MAX: usize = 1024;
const ANSWER_BYTES: usize = 34;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Purpose {
    Calls = 1,
    Stream = 2,
}

/// What the side that connects says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) purpose: Purpose,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) from: BrokerId,
    pub(crate) incarnation: u64,
    /// Whom it wants; none: whoever listens.
    pub(crate) to: Option<BrokerId>,
    pub(crate) address: PeerAddress,
}

/// What the side that listens answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HelloAnswer {
    pub(crate) refused: Option<RefuseReason>,
    pub(crate) broker: BrokerId,
    pub(crate) incarnation: u64,
    pub(crate) cluster: Option<ClusterId>,
}

/// What a connection began with.
pub(crate) enum Opening {
    Hello(Hello),
    /// Our protocol, in a version that is not ours.
    OtherVersion,
    Garbage,
}

impl Hello {
    pub(crate) async fn send(&self, socket: &mut TcpStream) -> io::Result<()> {
        socket.write_all(&self.encode()).await
    }

    /// Reads what the other side begins with, and not a byte more.
    pub(crate) async fn receive(socket: &mut TcpStream) -> io::Result<Opening> {
        let mut prefix = [0; PREFIX];
        socket.read_exact(&mut prefix).await?;
        let [m0, m1, m2, m3, version, high, low] = prefix;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if [m0, m1, m2, m3] != MAGIC || length > HELLO_BYTES_MAX {
            return Ok(Opening::Garbage);
        }
        let mut rest = vec![0; length];
        socket.read_exact(&mut rest).await?;
        if version != VERSION {
            return Ok(Opening::OtherVersion);
        }
        Ok(Hello::decode(&rest).map_or(Opening::Garbage, Opening::Hello))
    }

    fn encode(&self) -> BytesMut {
        let mut rest = BytesMut::with_capacity(64);
        rest.put_u8(self.purpose as u8);
        rest.put_slice(&self.cluster.unwrap_or(ClusterId::ZERO).0);
        rest.put_i32(self.from.0);
        rest.put_u64(self.incarnation);
        rest.put_i32(self.to.unwrap_or(BrokerId::NONE).0);
        rest.put_u16(self.address.port);
        // A host that does not fit is not sent: the other side then does not learn an address that is cut.
        let host = self.address.host.as_bytes();
        match u8::try_from(host.len()) {
            Ok(length) => {
                rest.put_u8(length);
                rest.put_slice(host);
            }
            Err(_) => rest.put_u8(0),
        }
        let mut all = BytesMut::with_capacity(PREFIX + rest.len());
        all.put_slice(&MAGIC);
        all.put_u8(VERSION);
        all.put_u16(rest.len() as u16);
        all.put_slice(&rest);
        all
    }

    fn decode(mut rest: &[u8]) -> Option<Hello> {
        let purpose = match rest.try_get_u8().ok()? {
            1 => Purpose::Calls,
            2 => Purpose::Stream,
            _ => return None,
        };
        let cluster = read_cluster(&mut rest)?;
        let from = BrokerId(rest.try_get_i32().ok()?);
        let incarnation = rest.try_get_u64().ok()?;
        let to = BrokerId(rest.try_get_i32().ok()?);
        let port = rest.try_get_u16().ok()?;
        let length = rest.try_get_u8().ok()?;
        if from.0 < 0 || usize::from(length) != rest.len() {
            return None;
        }
        let host = std::str::from_utf8(rest).ok()?;
        let to = (to != BrokerId::NONE).then_some(to);
        Some(Hello { purpose, cluster, from, incarnation, to, address: PeerAddress::new(host, port) })
    }
}

impl HelloAnswer {
    pub(crate) async fn send(&self, socket: &mut TcpStream) -> io::Result<()> {
        socket.write_all(&self.encode()).await
    }

    /// Reads the answer; `None` when it is not one.
    pub(crate) async fn receive(socket: &mut TcpStream) -> io::Result<Option<HelloAnswer>> {
        let mut bytes = [0; ANSWER_BYTES];
        socket.read_exact(&mut bytes).await?;
        Ok(HelloAnswer::decode(&bytes))
    }

    fn encode(&self) -> BytesMut {
        let mut all = BytesMut::with_capacity(ANSWER_BYTES);
        all.put_slice(&MAGIC);
        all.put_u8(VERSION);
        all.put_u8(self.refused.map_or(0, RefuseReason::number));
        all.put_i32(self.broker.0);
        all.put_u64(self.incarnation);
        all.put_slice(&self.cluster.unwrap_or(ClusterId::ZERO).0);
        all
    }

    fn decode(mut bytes: &[u8]) -> Option<HelloAnswer> {
        let mut magic = [0; 4];
        bytes.try_copy_to_slice(&mut magic).ok()?;
        if magic != MAGIC {
            return None;
        }
        let version = bytes.try_get_u8().ok()?;
        let status = bytes.try_get_u8().ok()?;
        let refused = match status {
            0 if version != VERSION => Some(RefuseReason::Version),
            0 => None,
            number => Some(RefuseReason::from_number(number)),
        };
        let broker = BrokerId(bytes.try_get_i32().ok()?);
        let incarnation = bytes.try_get_u64().ok()?;
        let cluster = read_cluster(&mut bytes)?;
        Some(HelloAnswer { refused, broker, incarnation, cluster })
    }
}

/// `Some(None)` is the zero of "not known yet".
fn read_cluster(bytes: &mut &[u8]) -> Option<Option<ClusterId>> {
    let mut id = [0; 16];
    bytes.try_copy_to_slice(&mut id).ok()?;
    let id = ClusterId(id);
    Some((!id.is_zero()).then_some(id))
}

impl RefuseReason {
    fn number(self) -> u8 {
        match self {
            RefuseReason::OtherCluster => 1,
            RefuseReason::NotThisBroker => 2,
            RefuseReason::SameBrokerId => 3,
            RefuseReason::Version => 4,
            RefuseReason::NotServed => 5,
            RefuseReason::Overloaded => 6,
            RefuseReason::Other(number) => number,
        }
    }

    fn from_number(number: u8) -> RefuseReason {
        match number {
            1 => RefuseReason::OtherCluster,
            2 => RefuseReason::NotThisBroker,
            3 => RefuseReason::SameBrokerId,
            4 => RefuseReason::Version,
            5 => RefuseReason::NotServed,
            6 => RefuseReason::Overloaded,
            number => RefuseReason::Other(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            purpose: Purpose::Stream,
            cluster: Some(ClusterId([7; 16])),
            from: BrokerId(3),
            incarnation: u64::MAX,
            to: None,
            address: PeerAddress::new("broker-3.example", 9093),
        }
    }

    #[test]
    fn a_hello_is_read_as_it_was_sent() {
        for hello in
            [hello(), Hello { cluster: None, to: Some(BrokerId(0)), purpose: Purpose::Calls, ..hello() }]
        {
            assert_eq!(Hello::decode(&hello.encode()[PREFIX..]), Some(hello));
        }
    }

    #[test]
    fn a_hello_cut_anywhere_or_with_more_behind_it_is_none() {
        let bytes = hello().encode();
        let rest = &bytes[PREFIX..];
        for end in 0..rest.len() {
            assert_eq!(Hello::decode(&rest[..end]), None, "cut at {end}");
        }
        assert_eq!(Hello::decode(&[rest, b"x"].concat()), None);
    }

    #[test]
    fn every_reason_survives_the_answer() {
        for status in 0..=u8::MAX {
            let refused = (status != 0).then(|| RefuseReason::from_number(status));
            let answer = HelloAnswer { refused, broker: BrokerId(1), incarnation: 2, cluster: None };
            assert_eq!(answer.encode().len(), ANSWER_BYTES);
            assert_eq!(HelloAnswer::decode(&answer.encode()), Some(answer));
        }
    }

    #[test]
    fn acceptance_in_another_version_is_a_refusal() {
        let answer = HelloAnswer { refused: None, broker: BrokerId(1), incarnation: 2, cluster: None };
        let mut bytes = answer.encode();
        bytes[4] = VERSION + 1;
        assert_eq!(HelloAnswer::decode(&bytes).and_then(|a| a.refused), Some(RefuseReason::Version));
    }
}
