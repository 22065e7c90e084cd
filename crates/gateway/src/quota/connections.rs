//! The quota on new connections of an address (KIP-612).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use eddy_metadata::Image;
use eddy_types::Millis;

use super::{Limited, Quotas, windows};
use crate::context::Context;

/// Refused connections that are kept open for their pause; those beyond are closed at once.
const DELAYED_MAX: usize = 1000;

impl Quotas {
    /// Counts a new connection. `Some` when its address makes too many: it is not served, and kept waiting for that long, one
    /// window at most as in Kafka. A client that was refused at once would only try again at once.
    pub(crate) fn connected(&self, image: &Image, peer: IpAddr) -> Option<Duration> {
        let limit = image.client_quotas().of_ip(peer)?;
        let (now, windows, peer) = (self.now(), windows(image), peer.to_canonical());
        let mut connected = self.connected.lock();
        let delay = connected.record(now, windows, &peer, 1.0, limit).min(Millis(i64::from(windows.millis)));
        let delay = u64::try_from(delay.0).ok().filter(|&millis| millis > 0).map(Duration::from_millis)?;
        // What is not served does not count, or a client that insists would never get in again.
        connected.unrecord(now, &peer, 1.0, limit);
        self.count(Limited::Connection, delay);
        Some(delay)
    }

    /// Keeps a refused connection for its pause.
    pub(crate) fn close_later(ctx: &Arc<Context>, connection: impl Send + 'static, pause: Duration) {
        {
            let mut closing = ctx.quotas.closing.lock();
            if *closing >= DELAYED_MAX {
                return;
            }
            *closing += 1;
        }
        let ctx = Arc::clone(ctx);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            drop(connection);
            *ctx.quotas.closing.lock() -= 1;
        });
    }
}
