//! Names of things: brokers, clusters, topics, producers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number_id!(
    /// A broker of the cluster (`node.id`), 0 or more; -1 on the wire means "none".
    BrokerId(i32)
);
number_id!(
    /// An idempotent producer, unique in the cluster for ever; -1 on the wire means "none".
    ProducerId(i64)
);
number_id!(
    /// Small number of a partition within one data directory: how the write-ahead log names partitions.
    LocalPartition(u32)
);

impl BrokerId {
    /// "No broker" on the wire.
    pub const NONE: BrokerId = BrokerId(-1);
}

impl ProducerId {
    /// What a batch without idempotence carries.
    pub const NONE: ProducerId = ProducerId(-1);
}

/// A 128-bit identity written as Kafka writes it: 22 characters of unpadded URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Uuid128(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = u128::from_be_bytes(self.0);
        let mut text = [0u8; 22];
        // 22 digits of 6 bits hold 132 bits: the last digit carries two bits of value and four of padding.
        text[21] = ALPHABET[((bits & 0b11) << 4) as usize];
        bits >>= 2;
        for digit in text[..21].iter_mut().rev() {
            *digit = ALPHABET[(bits & 0b11_1111) as usize];
            bits >>= 6;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Text that is not 22 characters of unpadded URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of 22 base64url characters: {0:?}")]
pub struct ParseIdError(pub String);

impl FromStr for Uuid128 {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError(text.to_owned());
        if text.len() != 22 {
            return Err(bad());
        }
        let digit = |c: u8| ALPHABET.iter().position(|&a| a == c).map(|v| v as u128);
        let mut bits: u128 = 0;
        for &c in &text.as_bytes()[..21] {
            bits = bits << 6 | digit(c).ok_or_else(bad)?;
        }
        let last = digit(text.as_bytes()[21]).ok_or_else(bad)?;
        if last & 0b1111 != 0 {
            return Err(bad());
        }
        Ok(Uuid128((bits << 2 | last >> 4).to_be_bytes()))
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// All zero: "none" on the wire.
            pub const ZERO: $name = $name([0; 16]);

            /// Whether this is the "none" of the wire.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid128(self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse::<Uuid128>().map(|id| $name(id.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id!(
    /// Identity of a topic; a topic made again under an old name has a new one.
    TopicId
);
uuid_id!(
    /// Identity of a cluster, made once when its first node starts.
    ClusterId
);
uuid_id!(
    /// Identity of a data directory, made once: a broker that comes back with another one has lost what it held.
    DirectoryId
);

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Index of the partition in the topic, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        let id: TopicId = "Rwz0yaKDQBC4pIT7UEJhwQ".parse().unwrap();
        assert_eq!(id.to_string(), "Rwz0yaKDQBC4pIT7UEJhwQ");
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId([0xff; 16]).to_string(), "_____________________w");
    }

    #[test]
    fn text_that_no_id_prints_is_refused() {
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA+A"] {
            assert!(text.parse::<TopicId>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ids_survive_their_text(bytes: [u8; 16]) {
            let id = TopicId(bytes);
            proptest::prop_assert_eq!(id.to_string().parse::<TopicId>().unwrap(), id);
        }
    }
}
