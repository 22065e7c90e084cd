//! Which connections are let in: so many at a time, so many of one address, so many a second. The limits are read at each
//! connection, so that a change of the configuration acts at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::AHashMap;
use eddy_metadata::config::BrokerConfig;

use crate::connection_state::ConnectionState;

/// Shortest pause, so that waiting does not burn the CPU.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Longest pause before the pace is looked at again: it may have been raised meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Connections that are open.
#[derive(Default)]
pub(crate) struct Open {
    by_id: AHashMap<u64, Arc<ConnectionState>>,
    by_address: AHashMap<IpAddr, u32>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("max.connections is reached: {0}")]
    Limit(u32),
    #[error("the limit of connections from one address is reached: {0}")]
    AddressLimit(u32),
}

impl Refused {
    /// Name of the reason in metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Refused::Limit(_) => "limit",
            Refused::AddressLimit(_) => "limit_per_ip",
        }
    }
}

impl Open {
    /// Lets a connection in and counts it, or says why not.
    pub(crate) fn admit(
        &mut self,
        id: u64,
        peer: SocketAddr,
        local: SocketAddr,
        config: &BrokerConfig,
    ) -> Result<Arc<ConnectionState>, Refused> {
        if self.by_id.len() >= config.max_connections as usize {
            return Err(Refused::Limit(config.max_connections));
        }
        let address = peer.ip().to_canonical();
        let own = config.max_connections_per_ip_overrides.of(address);
        let limit = own.unwrap_or(config.max_connections_per_ip);
        let count = self.by_address.get(&address).copied().unwrap_or(0);
        if count >= limit {
            return Err(Refused::AddressLimit(limit));
        }
        self.by_address.insert(address, count + 1);
        let state = Arc::new(ConnectionState::new(peer, local));
        self.by_id.insert(id, Arc::clone(&state));
        Ok(state)
    }

    /// Forgets a connection that has ended.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(state) = self.by_id.remove(&id) else { return };
        let address = state.peer.ip().to_canonical();
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConnectionState> {
        self.by_id.values().map(|state| &**state)
    }
}

/// How fast connections are accepted (`max.connection.creation.rate`): those of a second at once, then evenly.
pub(crate) struct Pace {
    /// Connections that may be accepted now; below 1, none.
    credit: f64,
    since: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Pace {
        Pace { credit: f64::MAX, since: now }
    }

    /// How long the next connection waits to be accepted; `None` when it need not.
    pub(crate) fn wait(&mut self, rate: u32, now: Instant) -> Option<Duration> {
        let rate = f64::from(rate);
        let earned = now.saturating_duration_since(self.since).as_secs_f64() * rate;
        self.since = now;
        self.credit = (self.credit + earned).min(rate.max(1.0));
        if self.credit >= 1.0 && rate > 0.0 {
            return None;
        }
        let pause = if rate > 0.0 { (1.0 - self.credit) / rate } else { f64::INFINITY };
        Some(Duration::try_from_secs_f64(pause).unwrap_or(PAUSE_MAX).clamp(PAUSE_MIN, PAUSE_MAX))
    }

    /// Counts an accepted connection.
    pub(crate) fn accepted(&mut self) {
        self.credit -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddy_metadata::config::StaticConfig;

    fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
        BrokerConfig::from_static(&StaticConfig::from_pairs(pairs.iter().copied()).unwrap())
    }

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn an_address_has_its_own_limit_or_that_of_all() {
        let config =
            config(&[("max.connections.per.ip", "1"), ("max.connections.per.ip.overrides", "10.0.0.2:2")]);
        let mut open = Open::default();
        let mut admit = |id, address| open.admit(id, peer(address), peer("10.0.0.9"), &config).map(drop);
        assert_eq!(admit(1, "10.0.0.1"), Ok(()));
        // The same address, as a socket for both families shows it.
        assert_eq!(admit(2, "::ffff:10.0.0.1"), Err(Refused::AddressLimit(1)));
        assert_eq!(admit(3, "10.0.0.2"), Ok(()));
        assert_eq!(admit(4, "10.0.0.2"), Ok(()));
        assert_eq!(admit(5, "10.0.0.2"), Err(Refused::AddressLimit(2)));
        open.remove(1);
        open.remove(1);
        assert!(open.admit(6, peer("10.0.0.1"), peer("10.0.0.9"), &config).is_ok());
        assert_eq!((open.iter().count(), open.by_address.len()), (3, 2));
    }

    #[test]
    fn all_addresses_together_have_a_limit() {
        let config = config(&[("max.connections", "1")]);
        let mut open = Open::default();
        let mut admit = |id, address| open.admit(id, peer(address), peer("10.0.0.9"), &config).map(drop);
        assert_eq!((admit(1, "10.0.0.1"), admit(2, "10.0.0.2")), (Ok(()), Err(Refused::Limit(1))));
    }

    #[test]
    fn a_second_of_connections_comes_at_once_and_then_evenly() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..10 {
            assert_eq!(pace.wait(10, start), None);
            pace.accepted();
        }
        let wait = pace.wait(10, start).unwrap();
        assert!((90..=110).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(pace.wait(10, start + Duration::from_millis(101)), None);
        pace.accepted();
        assert_eq!(pace.wait(0, start + Duration::from_secs(9)), Some(PAUSE_MAX));
        // Without a limit, a moment is enough.
        assert_eq!(pace.wait(i32::MAX as u32, start + Duration::from_secs(9)), Some(PAUSE_MIN));
        assert_eq!(pace.wait(i32::MAX as u32, start + Duration::from_secs(9) + PAUSE_MIN), None);
    }
}
