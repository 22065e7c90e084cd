//! `min.insync.replicas` as every broker is certain to see it.

use crate::config::Overrides;
use crate::{Image, Record, Resource, Topic};

/// The key.
pub(super) const KEY: &str = "min.insync.replicas";

/// The least `min.insync.replicas` that any leader can go by.
///
/// A replica stays eligible only while the high watermark stands still, that is while the ISR is smaller than what *its
/// leader* takes for the minimum. What brokers have in their own files may differ from one to the next, so only what is
/// committed counts, and of that the least; where nothing is committed it is 1 and nobody stays eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MinIsr {
    default: usize,
    /// Whether topics may have another.
    overridable: bool,
}

impl MinIsr {
    /// As the image has it.
    pub(super) fn of(image: &Image) -> MinIsr {
        MinIsr::resolve(image, image.broker_default_overrides())
    }

    fn resolve(image: &Image, default: &Overrides) -> MinIsr {
        let of_brokers = image.brokers().filter_map(|broker| value(image.broker_overrides(broker.id)));
        let default = value(default).unwrap_or(1);
        MinIsr { default: of_brokers.fold(default, usize::min), overridable: true }
    }

    pub(super) fn for_topic(self, topic: &Topic) -> usize {
        let own = value(&topic.overrides).filter(|_| self.overridable);
        own.unwrap_or(self.default)
    }

    /// As it will be, for the topics that it concerns, when the overrides of a resource are `next`.
    pub(super) fn after(image: &Image, resource: &Resource, next: &Overrides) -> MinIsr {
        match resource {
            Resource::BrokerDefault => MinIsr::resolve(image, next),
            Resource::Topic(_) => {
                let default = value(next).unwrap_or(MinIsr::of(image).default);
                MinIsr { default, overridable: false }
            }
            // Deleting what a broker has of its own leaves the least as it was, or raises it, which is no danger.
            Resource::Broker(_) | Resource::Group(_) | Resource::ClientMetrics(_) => MinIsr::of(image),
        }
    }
}

/// What this broker's file says of it, when the cluster has nothing yet. A broker that is alone has no need of it.
pub(super) fn first(image: &Image) -> Option<Record> {
    let own = image.local().config.get(KEY)?;
    let shared = image.broker_config().cluster_listen.is_some();
    let open = !image.broker_default_overrides().contains_key(KEY);
    (shared && open).then(|| Record::ConfigsSet {
        resource: Resource::BrokerDefault,
        changes: [(KEY.to_owned(), Some(own.to_owned()))].into(),
    })
}

/// What overrides say of it.
fn value(overrides: &Overrides) -> Option<usize> {
    overrides.get(KEY).and_then(|text| text.parse().ok())
}
