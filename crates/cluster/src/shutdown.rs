//! Leaving in order: others lead before this broker stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use eddy_engine::Engine;
use eddy_metadata::Image;
use eddy_metadata::controller::{begin_shutdown, fence_broker};
use eddy_peer::Peers;
use tokio::time::Instant;

use crate::liveness::{Heartbeats, until_applied};

/// Hands over what this broker leads, waits until the others know, and is fenced at its own wish. Ends at the deadline at the
/// latest: the others then find out by themselves.
pub(crate) async fn leave(engine: &Arc<Engine>, peers: &Peers, heartbeats: &Heartbeats, deadline: Instant) {
    heartbeats.leaving.store(true, Ordering::Relaxed);
    let me = engine.me();
    let others = engine.image().alive_brokers().any(|broker| broker.id != me);
    if !others {
        tracing::info!("the last broker of the cluster stops: there is nobody to hand over to");
        return;
    }
    let left = async {
        let begin = |image: &Image| Ok::<_, Infallible>((begin_shutdown(image, me), ()));
        if let Err(error) = engine.quorum().change(begin).await {
            return tracing::warn!(%error, "cannot hand over what this broker leads");
        }
        let version = engine.image().version();
        let applied = until_applied(engine, peers, version, deadline).await;
        tracing::info!(applied, left = led(&engine.image(), me), "handed over what this broker led");
        let fence = |image: &Image| Ok::<_, Infallible>((fence_broker(image, me), ()));
        if let Err(error) = engine.quorum().change(fence).await {
            tracing::warn!(%error, "cannot leave the cluster in order");
        }
    };
    if tokio::time::timeout_at(deadline, left).await.is_err() {
        tracing::warn!("leaving the cluster took too long");
    }
}

/// Partitions that a broker leads.
fn led(image: &Image, broker: eddy_types::BrokerId) -> usize {
    let partitions = image.topics().flat_map(|topic| &topic.partitions);
    partitions.filter(|partition| partition.leader == Some(broker)).count()
}
