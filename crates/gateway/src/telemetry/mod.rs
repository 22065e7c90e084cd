//! Metrics that clients push (KIP-714): who is asked for which, what is taken, and how it shows on `/metrics`.
//!
//! An operator subscribes to metrics of some clients with configurations of the resource type client-metrics; the clients ask what is wanted of
//! them, and push it. Nothing of it is kept for longer than a few push intervals.

mod instances;
mod otlp;
mod series;
mod subscription;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use eddy_batch::{Compression, decompress};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, Millis};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use self::instances::Instances;
pub(crate) use self::instances::Push;
use self::series::Pushed;
use self::subscription::Subscriptions;
pub(crate) use self::subscription::{ClientFacts, Subscription};

/// Codecs that pushes may be compressed with, the preferred one first; uncompressed ones are taken as well.
pub(crate) const CODECS: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];

/// Push intervals after which what a client pushed is forgotten.
const INTERVALS_KEPT: i64 = 3;

/// Identity that a client instance has for its life.
pub(crate) type InstanceId = [u8; 16];

/// Ids that nobody may have: zero, one, and the id of the metadata's log, which Kafka uses for that.
pub(crate) fn is_reserved(id: InstanceId) -> bool {
    u128::from_be_bytes(id) <= 1
}

/// All that the broker knows of its clients' metrics.
pub(crate) struct Telemetry {
    began: Instant,
    instances: Mutex<Instances>,
    subscriptions: Mutex<Subscriptions>,
    pushed: Arc<Pushed>,
}

impl Telemetry {
    pub(crate) fn register(registry: &mut Registry) -> Telemetry {
        let began = Instant::now();
        let pushed = Arc::new(Pushed::new(began));
        registry.register_collector(Box::new(Arc::clone(&pushed)));
        Telemetry { began, instances: Mutex::default(), subscriptions: Mutex::default(), pushed }
    }

    fn now(&self) -> Millis {
        self.began.elapsed().into()
    }

    /// What a client is asked for.
    ///
    /// # Errors
    /// It asks again too early.
    pub(crate) fn subscribe(
        &self,
        image: &Image,
        id: InstanceId,
        client: &ClientFacts<'_>,
    ) -> Result<Subscription, ErrorCode> {
        let subscription = self.subscriptions.lock().of_client(image, id, client);
        self.instances.lock().get(self.now(), id, &subscription)?;
        Ok(subscription)
    }

    /// Takes what a client pushes.
    ///
    /// # Errors
    /// As has them; and INVALID_RECORD for what is no metrics.
    pub(crate) fn push(
        &self,
        image: &Image,
        id: InstanceId,
        client: &ClientFacts<'_>,
        push: &Push,
        metrics: &Bytes,
    ) -> Result<(), ErrorCode> {
        let bytes_max = image.broker_config().telemetry_max_bytes;
        let codec = Compression::from_code(push.codec.into());
        let subscription = self.subscriptions.lock().of_client(image, id, client);
        let now = self.now();
        let fits = match codec {
            None => Err(ErrorCode::UnsupportedCompressionType),
            Some(_) if metrics.len() > bytes_max as usize => Err(ErrorCode::TelemetryTooLarge),
            Some(_) => Ok(()),
        };
        self.instances.lock().push(now, id, &subscription, push, fits)?;
        let Some(codec) = codec.filter(|_| !metrics.is_empty()) else { return Ok(()) };
        let plain = decompress(codec, metrics.clone(), bytes_max.into()).map_err(|error| match error {
            eddy_batch::BatchError::Bomb { .. } => ErrorCode::TelemetryTooLarge,
            _ => ErrorCode::InvalidRecord,
        })?;
        let series = otlp::read(&plain).map_err(|error| {
            tracing::debug!(%error, client_id = client.client_id, "a client pushed what is no metrics");
            ErrorCode::InvalidRecord
        })?;
        let expires = now + Millis(i64::from(subscription.push_interval_ms) * INTERVALS_KEPT);
        self.pushed.replace(now, id, client.client_id, expires, series);
        Ok(())
    }
}
