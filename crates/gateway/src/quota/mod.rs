//! Client quotas where requests come in: who is limited, what it used, and how long its connection is left alone.
//!
//! As KIP-219 has it, an answer goes out at once, with the time that the client is to be quiet, and the connection is not read for that
//! time whether the client obeys or not. While no quota is set, a request pays one comparison for all this.

mod connections;
mod fetches;
mod meter;
mod mutations;
mod throttled;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use eddy_core::{BucketQuotas, QuotaWindows, RateQuotas};
use eddy_metadata::Image;
use eddy_metadata::quota::QuotaKey;
use eddy_types::Millis;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use self::fetches::{FetchQuota, FetchVerdict};
pub(crate) use self::meter::Meter;
pub(crate) use self::mutations::{Charge, Mutations, OverQuota, Refused};
pub(crate) use self::throttled::Throttled;
use crate::call::Call;

/// Users, clients and addresses whose use is remembered, for each quota.
const ENTITIES_MAX: usize = 20_000;

/// Whose use is counted together: a user, a client id, or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Client {
    user: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
}

/// What a connection pauses for; the label of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Produce,
    Fetch,
    Request,
    Mutation,
    Connection,
}

impl Limited {
    fn label(self) -> &'static str {
        match self {
            Limited::Produce => "produce",
            Limited::Fetch => "fetch",
            Limited::Request => "request",
            Limited::Mutation => "controller_mutation",
            Limited::Connection => "connection",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QuotaLabel {
    quota: &'static str,
}

/// The use of all clients.
pub(crate) struct Quotas {
    began: Instant,
    produced: Mutex<RateQuotas<Client>>,
    fetched: Mutex<RateQuotas<Client>>,
    requested: Mutex<RateQuotas<Client>>,
    mutated: Mutex<BucketQuotas<Client>>,
    connected: Mutex<RateQuotas<IpAddr>>,
    /// Connections over the rate of their address that wait to be closed.
    closing: Mutex<usize>,
    throttled: Family<QuotaLabel, Counter<f64, AtomicU64>>,
}

impl Quotas {
    pub(crate) fn register(registry: &mut Registry) -> Quotas {
        let quotas = Quotas {
            began: Instant::now(),
            produced: Mutex::new(RateQuotas::new(ENTITIES_MAX)),
            fetched: Mutex::new(RateQuotas::new(ENTITIES_MAX)),
            requested: Mutex::new(RateQuotas::new(ENTITIES_MAX)),
            mutated: Mutex::new(BucketQuotas::new(ENTITIES_MAX)),
            connected: Mutex::new(RateQuotas::new(ENTITIES_MAX)),
            closing: Mutex::new(0),
            throttled: Family::default(),
        };
        let help = "Time for which clients over their quota were told to pause";
        registry.register_with_unit("eddy_throttle", help, Unit::Seconds, quotas.throttled.clone());
        quotas
    }

    /// Time as the quotas count it: nobody's clock, so that nobody's step changes it.
    fn now(&self) -> Millis {
        self.began.elapsed().into()
    }

    /// Counts a produce request; tells the pause that it costs.
    pub(crate) fn produced(&self, call: &Call, image: &Image, bytes: usize) -> Pause {
        let Some((client, limit)) = find(image, QuotaKey::ProducerByteRate, call) else {
            return Pause::NONE;
        };
        let mut produced = self.produced.lock();
        let delay = produced.record(self.now(), windows(image), &client, bytes as f64, limit);
        Pause { quota: Limited::Produce, millis: delay }
    }

    /// Makes a client pause: counts it, mutes the connection, and gives the time to be told in the answer.
    pub(crate) fn enforce(&self, call: &Call, pause: Pause) -> i32 {
        if pause.millis <= Millis(0) {
            return 0;
        }
        // What cannot be told to the client is not held against it either.
        let told = i32::try_from(pause.millis.0).unwrap_or(i32::MAX);
        let pause_for = Duration::from_millis(u64::try_from(told).unwrap_or(0));
        self.count(pause.quota, pause_for);
        // Who is gone is not noticed while nothing is read: no longer than silence is tolerated.
        call.connection.mute(pause_for.min(call.ctx.settings.idle_max));
        told
    }

    fn count(&self, quota: Limited, pause: Duration) {
        self.throttled.get_or_create(&QuotaLabel { quota: quota.label() }).inc_by(pause.as_secs_f64());
    }
}

/// Time that a client is to be quiet, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    quota: Limited,
    millis: Millis,
}

impl Pause {
    pub(crate) const NONE: Pause = Pause { quota: Limited::Request, millis: Millis(0) };

    /// Pauses do not add up: the longer one covers both.
    pub(crate) fn max(self, other: Pause) -> Pause {
        if other.millis > self.millis { other } else { self }
    }
}

/// The limit on a caller, and with whom it shares it.
fn find(image: &Image, key: QuotaKey, call: &Call) -> Option<(Client, f64)> {
    let quotas = image.client_quotas();
    if !quotas.limits(key) {
        return None;
    }
    let user = call.connection.user();
    let quota = quotas.of_client(key, user, &call.client_id)?;
    let client = Client {
        user: quota.by_user.then(|| Arc::from(user)),
        client_id: quota.by_client_id.then(|| Arc::clone(&call.client_id)),
    };
    Some((client, quota.limit))
}

fn windows(image: &Image) -> QuotaWindows {
    let config = image.broker_config();
    QuotaWindows::new(config.quota_window_num, config.quota_window_size_seconds)
}
