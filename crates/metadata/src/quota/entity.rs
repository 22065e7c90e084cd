//! Whom a quota limits.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Name of a user, client id or address, or the default of all that have no quota of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaName {
    /// All without a quota of their own.
    Default,
    /// One.
    Exact(String),
}

impl QuotaName {
    /// The one name of an address: IPv4 is IPv4, however the socket tells it.
    #[must_use]
    pub fn of_ip(ip: IpAddr) -> QuotaName {
        QuotaName::Exact(ip.to_canonical().to_string())
    }

    /// The name, `None` for the default: as the protocol writes it.
    #[must_use]
    pub fn as_deref(&self) -> Option<&str> {
        match self {
            QuotaName::Default => None,
            QuotaName::Exact(name) => Some(name),
        }
    }
}

/// A user, a client id, both together, or an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuotaEntity {
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<QuotaName>,
    /// The client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<QuotaName>,
    /// The address, alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<QuotaName>,
}

impl QuotaEntity {
    /// Kafka's name of the user part.
    pub const USER: &'static str = "user";
    /// Kafka's name of the client id part.
    pub const CLIENT_ID: &'static str = "client-id";
    /// Kafka's name of the address part.
    pub const IP: &'static str = "ip";

    /// The parts there are, by Kafka's names, sorted by them.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &QuotaName)> {
        let parts = [(Self::CLIENT_ID, &self.client_id), (Self::IP, &self.ip), (Self::USER, &self.user)];
        parts.into_iter().filter_map(|(part, name)| Some((part, name.as_ref()?)))
    }
}

impl fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (part, name)) in self.parts().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match name {
                QuotaName::Default => write!(f, "{separator}default {part}")?,
                QuotaName::Exact(name) => write!(f, "{separator}{part} {name:?}")?,
            }
        }
        Ok(())
    }
}
