//! API keys: their names, versions, and which header goes with which version.

use std::fmt;
use std::ops::RangeInclusive;

macro_rules! api_keys {
    ($($key:literal $name:ident $min:literal $max:literal ($flexible:expr))*) => {
        /// An API of Kafka 4.3, those between Kafka's own nodes included; those removed in 4.0 are not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = concat!(stringify!($name), ", key ", $key, ".")] $name = $key,)*
        }

        impl ApiKey {
            /// Every key, ascending.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name,)*];

            /// The API of a number, `None` for a number without one.
            #[must_use]
            pub fn from_i16(key: i16) -> Option<ApiKey> {
                match key {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `OffsetForLeaderEpoch`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// Versions that can be decoded and encoded: all that the schemas call valid. That is one more than a real 4.3
            /// broker advertises where the latest is unstable (InitProducerId 6), and says nothing of what is served.
            #[must_use]
            pub fn valid_versions(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $min..=$max,)*
                }
            }

            /// First flexible version, `None` for APIs that are never flexible (SaslHandshake, OffsetDelete).
            #[must_use]
            pub fn flexible_from(self) -> Option<i16> {
                match self {
                    $(ApiKey::$name => $flexible,)*
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/api_key.rs"));

impl ApiKey {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether strings and arrays of the version are compact and structs end in tagged fields (KIP-482).
    #[must_use]
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|first| version >= first)
    }

    /// Version of the request's header: 2 for flexible versions, else 1.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// Version of the response's header: 1 for flexible versions, else 0. ApiVersions is always answered with 0, because the
    /// client cannot know yet what the broker understands (R-2.3, KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        if self != ApiKey::ApiVersions && self.is_flexible(version) { 1 } else { 0 }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
