//! Waiting until a change of the metadata is applied everywhere it matters.

use std::sync::Arc;
use std::time::Duration;

use eddy_engine::Engine;
use eddy_peer::{Peers, Service};
use eddy_types::BrokerId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wire::{Answer, Request};

/// Pause after a broker could not be asked.
const PAUSE: Duration = Duration::from_millis(20);

/// How long one question stays open: whether the broker still counts is looked at in between.
const QUESTION: Duration = Duration::from_secs(1);

/// Returns when every broker that is not fenced has applied `version`, or at the deadline: whether all have is the answer.
pub(crate) async fn until_applied(
    engine: &Arc<Engine>,
    peers: &Peers,
    version: u64,
    deadline: Instant,
) -> bool {
    let mut here = engine.image_version();
    match tokio::time::timeout_at(deadline, here.wait_for(|applied| *applied >= version)).await {
        Ok(Ok(_)) => {}
        // Too late, or the engine is gone.
        _ => return false,
    }
    let me = engine.me();
    let others: Vec<BrokerId> =
        engine.image().alive_brokers().map(|broker| broker.id).filter(|broker| *broker != me).collect();
    let mut asked = JoinSet::new();
    for broker in others {
        asked.spawn(one_applied(Arc::clone(engine), peers.clone(), broker, version, deadline));
    }
    // A panic in a question was reported by its hook.
    asked.join_all().await.into_iter().all(|applied| applied)
}

async fn one_applied(
    engine: Arc<Engine>,
    peers: Peers,
    broker: BrokerId,
    version: u64,
    deadline: Instant,
) -> bool {
    loop {
        // A broker that was fenced meanwhile leads nothing, and catches up before it is back.
        if engine.image().broker(broker).is_none_or(|known| known.fenced) {
            return true;
        }
        let within = QUESTION.min(deadline.saturating_duration_since(Instant::now()));
        if within.is_zero() {
            return false;
        }
        let request = Request::Applied { version, within }.encode();
        // The other side answers when the time is over; the connection may still take its own.
        match peers.call(broker, Service::Liveness, request, within + PAUSE).await {
            Ok(answer) => match Answer::decode(answer) {
                Ok(Answer::Applied(applied)) if applied >= version => return true,
                _ => {}
            },
            Err(error) => {
                tracing::debug!(%broker, version, %error, "cannot ask whether a change is applied");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
