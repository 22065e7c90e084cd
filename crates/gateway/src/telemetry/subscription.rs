//! Which metrics are wanted of a client, and how often.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use eddy_metadata::Image;
use eddy_metadata::config::{ClientMetricsConfig, ClientSelector};
use eddy_types::TopicId;

use super::InstanceId;

/// How often a client asks whether something is wanted of it while nothing is.
const INTERVAL_MS: i32 = 300_000;
/// Subscribes to every metric.
const ALL: &str = "*";

/// What a subscription may choose clients by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientFacts<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) software_name: &'a str,
    pub(crate) software_version: &'a str,
    pub(crate) peer: SocketAddr,
}

/// What is wanted of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Changes whenever the rest does.
    pub(crate) id: i32,
    pub(crate) push_interval_ms: i32,
    /// Prefixes of names; `*` for all, none for nothing.
    pub(crate) metrics: Vec<String>,
}

/// The configured subscriptions, read again when the cluster's metadata has changed: their patterns are costly to compile.
#[derive(Default)]
pub(crate) struct Subscriptions {
    of_version: u64,
    configured: Arc<[ClientMetricsConfig]>,
}

impl Subscriptions {
    /// What is wanted of a client, by all subscriptions that choose it.
    pub(crate) fn of_client(
        &mut self,
        image: &Image,
        id: InstanceId,
        client: &ClientFacts<'_>,
    ) -> Subscription {
        if self.of_version != image.version() {
            self.of_version = image.version();
            self.configured = image.client_metrics_subscriptions().map(|(_, config)| config).collect();
        }
        let mut metrics = BTreeSet::new();
        let mut push_interval_ms = None::<i32>;
        for config in self.configured.iter().filter(|config| chooses(config, id, client)) {
            metrics.extend(config.metrics.iter().map(String::as_str));
            push_interval_ms =
                Some(push_interval_ms.map_or(config.interval_ms, |ms| ms.min(config.interval_ms)));
        }
        let metrics: Vec<String> = if metrics.contains(ALL) {
            vec![ALL.to_owned()]
        } else {
            metrics.into_iter().map(str::to_owned).collect()
        };
        let push_interval_ms = push_interval_ms.unwrap_or(INTERVAL_MS);
        Subscription { id: subscription_id(&metrics, push_interval_ms, id), push_interval_ms, metrics }
    }
}

fn chooses(config: &ClientMetricsConfig, id: InstanceId, client: &ClientFacts<'_>) -> bool {
    config.matches.iter().all(|wanted| match wanted.selector {
        ClientSelector::InstanceId => wanted.pattern.is_match(&instance_text(id)),
        ClientSelector::ClientId => wanted.pattern.is_match(client.client_id),
        ClientSelector::SoftwareName => wanted.pattern.is_match(client.software_name),
        ClientSelector::SoftwareVersion => wanted.pattern.is_match(client.software_version),
        ClientSelector::SourceAddress => {
            wanted.pattern.is_match(&client.peer.ip().to_canonical().to_string())
        }
        ClientSelector::SourcePort => wanted.pattern.is_match(&client.peer.port().to_string()),
    })
}

/// An instance id as Kafka writes all ids.
pub(super) fn instance_text(id: InstanceId) -> String {
    TopicId(id).to_string()
}

/// As Kafka has it: the checksum of what is wanted, mixed with who is asked, so that no two clients have the same.
fn subscription_id(metrics: &[String], push_interval_ms: i32, id: InstanceId) -> i32 {
    let mut text = format!("[{}]", metrics.join(", "));
    // Writing to a string cannot fail.
    let _ = write!(text, "{push_interval_ms}");
    let folded = id.chunks_exact(4).fold(0u32, |folded, word| {
        folded ^ word.iter().fold(0u32, |number, &byte| number << 8 | u32::from(byte))
    });
    (crc32c(text.as_bytes()) ^ folded).cast_signed()
}

/// CRC-32C, bit by bit: the text is short, and seldom computed.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8)
            .fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_id_depends_on_what_is_wanted_how_often_and_of_whom() {
        let metrics = ["a".to_owned(), "b".to_owned()];
        let id = subscription_id(&metrics, 1000, [7; 16]);
        assert_eq!(id, subscription_id(&metrics, 1000, [7; 16]));
        let mut other = [7; 16];
        other[3] = 8;
        for differs in [
            subscription_id(&metrics[..1], 1000, [7; 16]),
            subscription_id(&metrics, 1001, [7; 16]),
            subscription_id(&metrics, 1000, other),
        ] {
            assert_ne!(id, differs);
        }
    }
}
