//! What others ask over `Service::Liveness`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_engine::Engine;
use eddy_peer::Handler;
use eddy_types::BrokerId;

use super::Controller;
use super::wire::{Answer, Request};

/// Longest time a question for a version is left open here, whatever the asker says.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Answers heartbeats and questions how far the metadata is applied.
pub(crate) struct LivenessService {
    engine: Arc<Engine>,
    controller: Arc<Controller>,
}

impl LivenessService {
    pub(crate) fn new(engine: Arc<Engine>, controller: Arc<Controller>) -> LivenessService {
        LivenessService { engine, controller }
    }

    async fn answer(&self, from: BrokerId, request: Request) -> Answer {
        match request {
            Request::Heartbeat { incarnation, .. } => self.controller.heartbeat(from, incarnation).await,
            Request::Applied { version, within } => {
                let mut applied = self.engine.image_version();
                let reached = applied.wait_for(|applied| *applied >= version);
                // What there is at the end is the answer either way.
                let _ = tokio::time::timeout(within.min(WAIT_MAX), reached).await;
                Answer::Applied(*self.engine.image_version().borrow())
            }
        }
    }
}

impl Handler for LivenessService {
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(async move {
            let request = Request::decode(request).map_err(|error| error.to_string())?;
            Ok(self.answer(from, request).await.encode())
        })
    }
}
