//! Features (KIP-584): what a client may rely on beyond the versions of single APIs.

use eddy_wire::ApiKey;

use crate::api;

/// A feature of Kafka 4.3 and the levels of it that this broker implements. It is finalized at the highest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// The API without which the feature would be an empty promise.
    api: Option<ApiKey>,
}

impl Feature {
    const fn new(name: &'static str, min: i16, max: i16, api: Option<ApiKey>) -> Feature {
        Feature { name, min, max, api }
    }
}

/// Clients turn to new protocols by these: KIP-848 by `group.version`, the second protocol of transactions (KIP-890) by
/// `transaction.version`, and tools to share and streams groups by theirs.
const FEATURES: [Feature; 5] = [
    Feature::new("metadata.version", 7, 30, None),
    Feature::new("group.version", 0, 1, Some(ApiKey::ConsumerGroupHeartbeat)),
    Feature::new("transaction.version", 0, 2, Some(ApiKey::EndTxn)),
    Feature::new("share.version", 0, 1, Some(ApiKey::ShareFetch)),
    Feature::new("streams.version", 0, 1, Some(ApiKey::StreamsGroupHeartbeat)),
];

/// The features whose APIs are served.
pub(crate) fn all() -> impl Iterator<Item = Feature> {
    let served =
        |feature: &Feature| feature.api.is_none_or(|key| api::SERVED.iter().any(|api| api.key == key));
    FEATURES.into_iter().filter(served)
}

/// A feature by name.
pub(crate) fn find(name: &str) -> Option<Feature> {
    all().find(|feature| feature.name == name)
}
